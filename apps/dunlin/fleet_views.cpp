// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "training/host/text_values.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

void pause_ms(int ms) {
    for (int passed = 0; passed < ms && !interrupted(); passed += 20)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

/// A number that JSON has no word for is a null there.
std::string metric_text(const Json& value) {
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "not finite";
}

std::string members_table(const Json& job) {
    report::Table table{{"member", "node", "state", "updates", "what it measured"}, {}, ""};
    const bool serverless = job["aggregation"] != "federated";
    if (serverless) table.header[3] = "tick";
    for (const Json& member : job["member_list"]) {
        std::string metrics = member.value("refusal", "");
        if (member.contains("metrics")) {
            for (const auto& [name, value] : member["metrics"].items())
                metrics += fmt::format("{}{} {}", metrics.empty() ? "" : "  ", name, metric_text(value));
        }
        const bool here = member["here"];
        const Json& figure = member[serverless ? "tick" : "updates"];
        table.rows.push_back({member["member"].dump(), member["name"],
                              member["state"].get<std::string>() + (here ? "" : ", away"),
                              figure.is_null() ? "unknown" : figure.dump(), metrics});
    }
    return report::text_table(table);
}

std::string job_line(const Json& job) {
    const std::string what =
        job["aggregation"] != "federated"
            ? fmt::format("epoch {}", job["epoch"].dump())
            : fmt::format("{} updates, version {}", job["updates"].dump(), job["version"].dump());
    return fmt::format("job {}  {}  {}  {} of {} nodes here  {}  {}\n", job["job"].dump(),
                       job["name"].get<std::string>(), job["state"].get<std::string>(), job["here"].dump(),
                       job["members"].dump(), what, duration_text(job["elapsed_s"]));
}

/// What somebody who looks at a job, or takes its model, should know of it.
std::string warning_lines(const Json& job) {
    std::string lines;
    if (job.contains("privacy")) lines += fmt::format("privacy: {}\n", privacy_text(job["privacy"]));
    for (const Json& warning : job.value("warnings", Json::array()))
        lines += "warning: " + warning.get<std::string>() + "\n";
    return lines;
}

/// A job whose books do not balance is nothing that a script should take for done: its warnings say why.
int trusted(const Json& job) {
    return job.value("balanced", true) ? succeeded : failed;
}

struct ViewOptions {
    FleetOptions fleet;
    std::uint64_t job = 0;  ///< 0: the newest, or all
    std::uint64_t lines = 50;
    bool follow = false;
};

Outcome<int> status(const ViewOptions& options) {
    if (options.job != 0) {
        const auto reply = ask_fleet(options.fleet.store, {{"command", "job"}, {"job", options.job}});
        if (!reply) return tl::unexpected(reply.error());
        if (options.fleet.json)
            say("{}\n", reply->json.dump());
        else
            say("{}{}{}", job_line(reply->json), members_table(reply->json), warning_lines(reply->json));
        return trusted(reply->json);
    }
    const auto reply = ask_fleet(options.fleet.store, {{"command", "status"}});
    if (!reply) return tl::unexpected(reply.error());
    const Json& told = reply->json;
    if (options.fleet.json) {
        say("{}\n", told.dump());
        return succeeded;
    }
    const std::string store = told["store"], endpoint = told["endpoint"];
    say("{}\nserver key {}\n", told["serving"] ? "serving at " + endpoint : "nobody serves " + store,
        told["server_key"].get<std::string>());
    say("{} of {} nodes here; {} records stored\n", told["here"].dump(), told["nodes"].dump(),
        told["records"].dump());
    for (const Json& warning : told["warnings"]) say("warning: {}\n", warning.get<std::string>());
    for (const Json& alert : told.value("alerts", Json::array()))
        say("alert: {} (since {} UTC)\n", alert["text"].get<std::string>(), time_text(alert["raised_unix_ms"]));
    for (const Json& job : told["jobs"]) {
        if (!job["ended"]) say("{}{}", job_line(job), warning_lines(job));
    }
    hint(options.fleet,
         told["serving"] ? "next: dunlin fleet nodes, jobs, watch, logs" : "next: dunlin fleet serve");
    return succeeded;
}

/// Is a member waited for? One that went is not, nor, when the job is over, one that never began.
bool counts(const Json& job, const Json& member) {
    const std::string state = member["state"];
    if (state == "declined" || state == "left" || state == "gone" || state == "fenced") return false;
    return !job["ended"] || (state != "invited" && state != "offered");
}

Outcome<int> watch(const ViewOptions& options) {
    catch_interrupts();
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    while (!interrupted()) {
        const auto reply = ask_fleet(options.fleet.store, {{"command", "job"}, {"job", options.job}});
        if (interrupted()) break;
        if (!reply) return tl::unexpected(reply.error());
        if (options.fleet.json) {
            say("{}\n", reply->json.dump());
        } else {
            if (terminal) std::fputs("\x1b[H\x1b[J", stdout);
            say("{}{}{}", job_line(reply->json), members_table(reply->json), warning_lines(reply->json));
            if (terminal) say("Ctrl-C ends the watching, not the job\n");
        }
        if (output_lost()) return failed;
        const Json& members = reply->json["member_list"];
        const bool over = reply->json["ended"] && std::ranges::all_of(members, [&](const Json& member) {
                              return member["reported"] || !member["here"] || !counts(reply->json, member);
                          });
        if (over) return succeeded;
        pause_ms(1000);
    }
    return stopped;
}

Outcome<int> logs(const ViewOptions& options) {
    catch_interrupts();
    Json request{{"command", "logs"}, {"job", options.job}, {"lines", options.lines}};
    for (;;) {
        const auto reply = ask_fleet(options.fleet.store, request);
        if (interrupted()) return stopped;
        if (!reply) return tl::unexpected(reply.error());
        const Json& lines = reply->json["lines"];
        for (const Json& line : lines) {
            if (options.fleet.json) {
                say("{}\n", line.dump());
                continue;
            }
            const std::uint64_t job = line["job"];
            const std::string node = line["node"];
            say("{}  {}{}{}\n", time_text(line["time_ms"]), job == 0 ? "" : fmt::format("job {}: ", job),
                node.empty() ? "" : node + " ", line["text"].get<std::string>());
        }
        if (output_lost()) return failed;
        if (!options.follow) return succeeded;
        // From now on all that comes, however much of it came since the last look.
        request["after"] = reply->json["last"];
        request["lines"] = 1000;
        if (lines.size() < 1000) pause_ms(500);
    }
}

std::string list_text(const Json& numbers) {
    std::string text;
    for (const Json& number : numbers) text += (text.empty() ? "" : " ") + number.dump();
    return text;
}

Outcome<int> ledger(const ViewOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "ledger"}, {"job", options.job}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{
        {"job", "epoch", "over at", "gone", "left", "anew", "weight before", "weight lost", "values lost", "times"},
        {},
        "weights in nodes: each begins with 1; values lost as a Euclidean norm; times: what is left counts so "
        "often "
        "in the next epoch"};
    for (const Json& row : reply->json["epochs"]) {
        const double unit = row["weight_unit"];
        table.rows.push_back(
            {row["job"].dump(), row["epoch"].dump(), time_text(row["time_ms"]), list_text(row["gone"]),
             list_text(row["left"]), list_text(row["joined"]),
             fmt::format("{:.6f}", row["weight_before"].get<double>() * unit),
             row["weight_lost"] == 0 ? "0" : fmt::format("{:.6f}", row["weight_lost"].get<double>() * unit),
             row["values_lost_norm"].is_null() ? "not audited"
                                               : fmt::format("{:.6g}", row["values_lost_norm"].get<double>()),
             row["shift"] == 0 ? "1" : fmt::format("2^{}", row["shift"].dump())});
    }
    say("{}", report::text_table(table));
    hint(options.fleet, table.rows.empty()
                            ? "no epoch of a job without a server is over yet\nnext: dunlin fleet status, jobs"
                            : fmt::format("next: dunlin fleet status {0}, or dunlin fleet pull {0}",
                                          reply->json["epochs"].back()["job"].dump()));
    return succeeded;
}

struct WaitOptions {
    FleetOptions fleet;
    std::uint64_t job = 0;
    std::string condition;
    double timeout_s = 0;  ///< 0: for ever
};

/// Nothing where it holds for nobody and nobody is waited for.
std::optional<bool> every_member(const Json& job, bool (*holds)(const Json&)) {
    bool anybody = false, all = true;
    for (const Json& member : job["member_list"]) {
        const bool so = holds(member);
        if (!so && !counts(job, member)) continue;
        anybody = true;
        all = all && so;
    }
    return anybody ? std::optional(all) : std::nullopt;
}

/// Is it so? Nothing where it can never be.
std::optional<bool> holds(const std::string& condition, const Json& told) {
    if (condition == "accepted") {
        const auto all = every_member(
            told, [](const Json& member) { return member["state"] == "active" || member["state"] == "leaving"; });
        return told["ended"] && all == false ? std::nullopt : all;
    }
    if (condition == "reported")
        return every_member(told, [](const Json& member) { return member["reported"].get<bool>(); });
    if (condition == "finished" && told["ended"] && told["state"] != "finished") return std::nullopt;
    return told["ended"].get<bool>();
}

std::string next_step(const std::string& condition, const Json& told) {
    if (condition.starts_with("nodes=")) return "next: dunlin fleet run EXPERIMENT";
    const std::string job = told["job"].dump();
    return condition == "accepted" ? "next: dunlin fleet watch " + job
                                   : fmt::format("next: dunlin fleet status {0}, or dunlin fleet pull {0}", job);
}

/// N of "nodes=N"; nothing for other conditions.
std::optional<std::int64_t> nodes_wanted(std::string_view condition) {
    constexpr std::string_view before = "nodes=";
    if (!condition.starts_with(before)) return std::nullopt;
    const auto number = whole_number(condition.substr(before.size()));
    return number && *number >= 0 ? number : std::nullopt;
}

Outcome<int> wait(const WaitOptions& options) {
    catch_interrupts();
    const std::int64_t begin = steady_now_ms();
    const std::optional<std::int64_t> wanted = nodes_wanted(options.condition);
    const bool by_nodes = wanted.has_value();
    for (;;) {
        const auto reply =
            ask_fleet(options.fleet.store, {{"command", by_nodes ? "status" : "job"}, {"job", options.job}});
        if (interrupted()) return stopped;
        if (!reply) return tl::unexpected(reply.error());
        const std::optional<bool> so =
            by_nodes ? reply->json["here"].get<std::int64_t>() >= *wanted : holds(options.condition, reply->json);
        const bool late =
            options.timeout_s > 0 && static_cast<double>(steady_now_ms() - begin) >= options.timeout_s * 1000.0;
        if (!so || *so || late) {
            if (options.fleet.json) say("{}\n", reply->json.dump());
            // On the standard error, whatever is wanted there: a script that waits must not take half a fleet for
            // one.
            note("{}", warning_lines(reply->json));
            if (so && *so) {
                hint(options.fleet, next_step(options.condition, reply->json));
                return trusted(reply->json);
            }
            if (!so)
                hint(options.fleet,
                     fmt::format("that can never be: job {0} is {1}\nnext: dunlin fleet status {0}",
                                 reply->json["job"].dump(), reply->json["state"].get<std::string>()));
            else
                hint(options.fleet, "not within the time given");
            return so ? timed_out : failed;
        }
        pause_ms(200);
    }
}

CLI::App* add_view(CLI::App& fleet, Command& run, const char* name, const char* help, const char* job_help,
                   Outcome<int> (*show)(const ViewOptions&), const std::shared_ptr<ViewOptions>& options) {
    CLI::App* command = fleet.add_subcommand(name, help);
    add_fleet_options(*command, options->fleet);
    command->add_option("job,--job", options->job, job_help);
    command->footer(fmt::format("Example:\n  dunlin fleet {}\n", name));
    command->callback([options, show, &run] { run = [options, show] { return show(*options); }; });
    return command;
}

}  // namespace

void add_fleet_views(CLI::App& fleet, Command& run) {
    add_view(fleet, run, "status", "How the fleet is, or one job", "a job's number; default: the fleet", status,
             std::make_shared<ViewOptions>());
    add_view(fleet, run, "watch", "A live table of a job until it is over", "its number; default: the newest",
             watch, std::make_shared<ViewOptions>());
    auto read = std::make_shared<ViewOptions>();
    CLI::App* command = add_view(fleet, run, "logs", "What happened", "one job's; default: all", logs, read);
    command->add_option("--lines,-n", read->lines, "how many, the newest")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command->add_flag("--follow,-f", read->follow, "go on until Ctrl-C");
    add_view(fleet, run, "ledger", "What every epoch of jobs without a server balanced to, to the bit",
             "one job's; default: all", ledger, std::make_shared<ViewOptions>());

    auto waited = std::make_shared<WaitOptions>();
    command = fleet.add_subcommand("wait", "Wait until something is so");
    add_fleet_options(*command, waited->fleet);
    command->add_option("--job", waited->job, "a job's number; default: the newest");
    command
        ->add_option(
            "--for", waited->condition,
            "ended; finished (ended, and not stopped); accepted (by all); reported (finally, by all); nodes=N")
        ->required()
        ->check([](const std::string& text) -> std::string {
            for (const char* known : {"ended", "finished", "accepted", "reported"}) {
                if (text == known) return "";
            }
            if (nodes_wanted(text)) return "";
            return "expected ended, finished, accepted, reported or nodes=N";
        });
    command->add_option("--timeout", waited->timeout_s, "seconds; default: for ever")
        ->check([](const std::string& text) -> std::string {
            return real_number(text).value_or(0.0) > 0.0 ? "" : "expected a number of seconds above 0";
        });
    command->footer(
        "Exit codes: 0 it is so, 1 it can never be, 2 wrong input, 3 not in time, 130 Ctrl-C.\n"
        "Example:\n  dunlin fleet wait --for reported --timeout 600\n");
    command->callback([waited, &run] { run = [waited] { return wait(*waited); }; });
}

}  // namespace dunlin::app

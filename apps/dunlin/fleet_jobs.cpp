// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/pushed_model.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/saved_model.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/table.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/jobs/asked_experiment.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/shell_text.hpp"
#include "training/host/text_values.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <memory>
#include <optional>
#include <tuple>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

struct RunOptions {
    FleetOptions fleet;
    std::string experiment, policy, token;
    std::vector<std::string> assignments, nodes;
    std::optional<std::uint64_t> seed;
};

/// Starts a job; `numbers` are those of a policy that is pushed.
Outcome<int> start(const RunOptions& options, ProblemExperiment& settings, Json request,
                   const std::vector<float>& numbers) {
    request["command"] = "run";
    request["experiment"] = write_deployed(settings);
    request["where"] = options.experiment;
    request["nodes"] = options.nodes;
    request["token"] = options.token;
    const auto reply = ask_fleet(options.fleet.store, request, numbers);
    if (!reply) return tl::unexpected(reply.error());
    const auto job = reply->json["job"].get<std::uint64_t>();
    say("{}\n", options.fleet.json ? reply->json.dump() : std::to_string(job));
    const bool made = reply->json.value("made", true);
    hint(options.fleet,
         fmt::format(
             "job {} {}\nnext: {}", job, made ? "is stored" : "has this token: it was started before",
             is_served_somewhere(options.fleet.store)
                 ? fmt::format("dunlin fleet watch {}, or dunlin fleet wait --for=finished --job {}", job, job)
                 : "dunlin fleet serve, for nobody serves this fleet now"));
    return succeeded;
}

Outcome<int> start_experiment(const RunOptions& options) {
    const auto toml = experiment_text(options.experiment);
    if (!toml) return tl::unexpected(toml.error());
    std::vector<std::string> assignments = options.assignments;
    if (options.seed) assignments.push_back(fmt::format("seed={}", *options.seed));
    auto settings = asked_experiment(*toml, options.experiment, assignments);
    if (!settings) return tl::unexpected(settings.error());
    return start(options, *settings, Json::object(), {});
}

Outcome<int> push(RunOptions options) {
    const auto saved = open_model(options.policy);
    if (!saved) return tl::unexpected(saved.error());
    auto settings = settings_of_push(options.policy, *saved, options.experiment, options.assignments);
    if (!settings) return tl::unexpected(settings.error());
    if (const auto* navigation = settings->as<FleetNavigationSettings>()) {
        const Outcome<Rehearsal> here = rehearse(*navigation, saved->model);
        if (!here) return tl::unexpected(here.error());
        if (here->harms)
            note("warning: {}\n", here->text);
        else
            hint(options.fleet, here->text);
    }
    return start(options, *settings, {{"push", true}}, saved->model.parameters);
}

struct JobOptions {
    FleetOptions fleet;
    std::uint64_t job = 0;  ///< 0: the newest
    bool now = false, undo = false;
    std::string out;
    std::vector<std::string> nodes;
};

Outcome<int> jobs(const FleetOptions& options, bool all) {
    const auto reply = ask_fleet(options.store, {{"command", "jobs"}, {"all", all}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{
        {"job", "experiment", "state", "how", "members", "here", "updates", "version", "epoch", "s"}, {}, ""};
    for (const Json& job : reply->json["jobs"]) {
        const bool serverless = job["aggregation"] != "federated";
        table.rows.push_back({job["job"].dump(), job["name"], job["state"],
                              job["push"] ? "push" : job["aggregation"].get<std::string>(), job["members"].dump(),
                              job["here"].dump(), serverless ? "" : job["updates"].dump(), job["version"].dump(),
                              serverless ? job["epoch"].dump() : "",
                              fmt::format("{:.0f}", job["elapsed_s"].get<double>())});
    }
    say("{}", report::text_table(table));
    hint(options, table.rows.empty() ? "next: dunlin fleet run EXPERIMENT" : "next: dunlin fleet status --job JOB");
    return succeeded;
}

Outcome<int> change(const JobOptions& options, const std::string& command) {
    const auto reply =
        ask_fleet(options.fleet.store, {{"command", command}, {"job", options.job}, {"now", options.now}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) say("{}\n", reply->json.dump());
    const std::string job = reply->json["job"].dump();
    const std::string state = reply->json["state"];
    hint(options.fleet, fmt::format("job {}: {}\nnext: {}", job, state,
                                    state == "paused"   ? "dunlin fleet resume --job " + job
                                    : state == "ending" ? "dunlin fleet wait --for=ended --job " + job
                                    : command == "stop" ? "dunlin fleet pull " + job
                                                        : "dunlin fleet watch"));
    return succeeded;
}

/// Archives a job, or deletes it.
Outcome<int> put_away(const JobOptions& options, bool deletes) {
    const auto reply =
        ask_fleet(options.fleet.store,
                  {{"command", deletes ? "delete" : "archive"}, {"job", options.job}, {"undo", options.undo}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) say("{}\n", reply->json.dump());
    hint(options.fleet, fmt::format("job {} is {}\nnext: dunlin fleet jobs{}", options.job,
                                    deletes        ? "deleted"
                                    : options.undo ? "listed again"
                                                   : "archived",
                                    deletes || options.undo ? "" : " --all"));
    return succeeded;
}

/// Adds nodes to a job that runs, or removes them.
Outcome<int> change_members(const JobOptions& options, const std::string& command) {
    const auto reply =
        ask_fleet(options.fleet.store,
                  {{"command", command}, {"job", options.job}, {"nodes", options.nodes}, {"now", options.now}});
    if (!reply) return tl::unexpected(reply.error());
    const std::string list = command == "add" ? "added" : "removed", job = reply->json["job"].dump();
    if (options.fleet.json) say("{}\n", reply->json.dump());
    for (const Json& node : reply->json[list]) {
        const std::string name = node["name"];
        hint(options.fleet, fmt::format("job {}: {} is {}, member {}", job, name, list, node["member"].dump()));
    }
    hint(options.fleet, "next: dunlin fleet status --job " + job);
    return succeeded;
}

Outcome<int> pull(JobOptions options) {
    std::error_code ignored;
    if (std::filesystem::is_directory(options.out, ignored)) options.out += "/policy.dunlin";
    const auto reply = ask_fleet(options.fleet.store, {{"command", "pull"}, {"job", options.job}});
    if (!reply) return tl::unexpected(reply.error());
    const Outcome<TrainedModel> model = pulled_model(reply->json, reply->numbers);
    if (!model) return tl::unexpected(model.error());
    if (auto written = report::write_file(options.out, model->bytes()); !written)
        return refuse(written.error(), options.out);
    if (options.fleet.json) {
        Json told{{"job", reply->json["job"]},
                  {"version", reply->json["version"]},
                  {"learned", reply->json.value("learned", true)},
                  {"parameters", reply->numbers.size()},
                  {"file", options.out},
                  {"warnings", reply->json.value("warnings", Json::array())}};
        if (reply->json.contains("privacy")) told["privacy"] = reply->json["privacy"];
        say("{}\n", told.dump());
    } else {
        say("{}\n", options.out);
    }
    for (const Json& warning : reply->json.value("warnings", Json::array()))
        note("warning: {}\n", warning.get<std::string>());
    if (reply->json.contains("privacy")) note("privacy: {}\n", privacy_text(reply->json["privacy"]));
    if (!reply->json.value("learned", true)) {
        note(
            "dunlin: job {} has not learned: no node's update is in this model; it is what the job began "
            "with{}\n",
            reply->json["job"].dump(), reply->json["push"].get<bool>() ? ", the model that was pushed" : "");
    }
    // Who wants it all the same has the file.
    if (!reply->json.value("balanced", true)) return failed;
    hint(options.fleet,
         fmt::format("version {} of job {}\nnext: dunlin fleet push {}", reply->json["version"].dump(),
                     reply->json["job"].dump(), shell_path(options.out)));
    return succeeded;
}

}  // namespace

void add_fleet_jobs(CLI::App& fleet, Command& run) {
    auto started = std::make_shared<RunOptions>();
    CLI::App* command = fleet.add_subcommand("run", "Start an experiment on nodes, as a job");
    add_fleet_options(*command, started->fleet);
    command->add_option("experiment", started->experiment, "a ready-made one (`dunlin list`), or a TOML file")
        ->required();
    command->add_option("--nodes", started->nodes,
                        "names, labels, or expressions of them such as gpu,!lab; default: all on the roster");
    command->add_option("--set", started->assignments, "KEY=VALUE over the experiment; may be given many times")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option_function<std::uint64_t>(
        "--seed", [started](std::uint64_t seed) { started->seed = seed; }, "all randomness comes from it");
    command->add_option("--token", started->token, "a word for this job: given again, it is the same job");
    command->footer([started] {
        return settings_help("fleet run", started->experiment, started->experiment) +
               "Prints the job's number.\nExample:\n  dunlin fleet run fleet-navigation --nodes arm --token "
               "monday\n";
    });
    command->callback([started, &run] { run = [started] { return start_experiment(*started); }; });

    auto pushed = std::make_shared<RunOptions>();
    command =
        fleet.add_subcommand("push", "Hand a policy out: every node makes it its own and says how good it is");
    add_fleet_options(*command, pushed->fleet);
    command
        ->add_option("policy", pushed->policy,
                     "policy.dunlin or model.dunlin, or the run directory that it lies in")
        ->required();
    command->add_option("--experiment", pushed->experiment, "what it is for; default: what it was trained on");
    command->add_option("--nodes", pushed->nodes,
                        "names, labels, or expressions of them such as gpu,!lab; default: all on the roster");
    command->add_option("--set", pushed->assignments, "KEY=VALUE over the experiment")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option("--token", pushed->token, "a word for this job: given again, it is the same job");
    command->footer("Example:\n  dunlin fleet push policy.dunlin --nodes kitchen\n");
    command->callback([pushed, &run] { run = [pushed] { return push(*pushed); }; });

    auto listed = std::make_shared<FleetOptions>();
    command = fleet.add_subcommand("jobs", "List all jobs");
    add_fleet_options(*command, *listed);
    auto all = std::make_shared<bool>(false);
    command->add_flag("--all", *all, "those that are archived, too");
    command->footer("Example:\n  dunlin fleet jobs\n");
    command->callback([listed, all, &run] { run = [listed, all] { return jobs(*listed, *all); }; });

    for (const bool deletes : {false, true}) {
        auto options = std::make_shared<JobOptions>();
        command = fleet.add_subcommand(deletes ? "delete" : "archive",
                                       deletes ? "Delete a job that has ended, with its model and its metrics"
                                               : "Leave a job that has ended out of lists; it can still be pulled");
        add_fleet_options(*command, options->fleet);
        command->add_option("job,--job", options->job, "its number")->required()->check(CLI::PositiveNumber);
        if (!deletes) command->add_flag("--undo", options->undo, "list it again");
        command->footer(fmt::format("Example:\n  dunlin fleet {} 3\n", deletes ? "delete" : "archive"));
        command->callback(
            [options, deletes, &run] { run = [options, deletes] { return put_away(*options, deletes); }; });
    }

    const std::pair<const char*, const char*> changes[] = {
        {"pause", "Let a job's nodes hold still"},
        {"resume", "Let them go on"},
        {"stop", "End a job; without a server, its nodes say first what they hold, which makes the model"}};
    for (const auto& [name, help] : changes) {
        auto options = std::make_shared<JobOptions>();
        command = fleet.add_subcommand(name, help);
        add_fleet_options(*command, options->fleet);
        command->add_option("job,--job", options->job, "its number; default: the newest");
        if (name == std::string_view("stop"))
            command->add_flag("--now", options->now,
                              "do not wait for nodes that are away; without a server, no model");
        command->footer(fmt::format("Example:\n  dunlin fleet {} 3\n", name));
        command->callback([options, name = std::string(name), &run] {
            run = [options, name] { return change(*options, name); };
        });
    }

    const std::tuple<const char*, const char*, const char*> members[] = {
        {"add", "Let nodes take part in a job that runs",
         "With a server they begin at once, by rounds with the next one, and without a server with the next epoch "
         "of the "
         "graph, at the mean of the others. A node that was in the job gets its number, and its data, back. The "
         "job's "
         "budget stays as it is.\nExample:\n  dunlin fleet add kitchen --job 3\n"},
        {"remove", "Take nodes out of a job that runs; they stay on the roster",
         "Without a server a node hands its mass to the others first, when it is here; --now takes it out at once, "
         "and "
         "`dunlin fleet ledger` says what went with it.\nExample:\n  dunlin fleet remove kitchen --job 3\n"}};
    for (const auto& [name, help, footer] : members) {
        auto options = std::make_shared<JobOptions>();
        command = fleet.add_subcommand(name, help);
        add_fleet_options(*command, options->fleet);
        command->add_option("nodes,--nodes", options->nodes, "names or labels")->required();
        command->add_option("--job", options->job, "its number; default: the newest");
        if (name == std::string_view("remove"))
            command->add_flag("--now", options->now, "do not wait for what it holds");
        command->footer(footer);
        command->callback([options, name = std::string(name), &run] {
            run = [options, name] { return change_members(*options, name); };
        });
    }

    auto pulled = std::make_shared<JobOptions>();
    pulled->out = "policy.dunlin";
    command = fleet.add_subcommand("pull", "Write a job's model to a file");
    add_fleet_options(*command, pulled->fleet);
    command->add_option("job,--job", pulled->job, "its number; default: the newest");
    command->add_option("--out", pulled->out, "the file")->capture_default_str();
    command->footer("Example:\n  dunlin fleet pull 3 --out policy.dunlin\n");
    command->callback([pulled, &run] { run = [pulled] { return pull(*pulled); }; });
}

}  // namespace dunlin::app

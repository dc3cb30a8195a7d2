// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

struct TopOptions {
    FleetOptions fleet;
    double every_s = 1;
    std::uint64_t count = 0;  ///< looks; 0: until Ctrl-C
};

/// Who needs looking at comes first.
int rank(const Json& node) {
    const std::string state = node["state"];
    return state == "suspect" ? 0 : state == "away" ? 1 : state == "here" ? 2 : 3;
}

std::string nodes_table(std::vector<Json> nodes, std::size_t lines) {
    std::ranges::stable_sort(nodes, {}, rank);
    report::Table table{{"node", "state", "silent s", "job", "labels", "program"}, {}, ""};
    for (const Json& node : nodes) {
        if (table.rows.size() == lines) break;
        std::string labels;
        for (const Json& label : node["labels"])
            labels += fmt::format("{}{}", labels.empty() ? "" : ",", label.get<std::string>());
        const bool connected = node.contains("heard_ms_ago");
        table.rows.push_back({node["name"], node["state"],
                              connected ? fmt::format("{:.1f}", node["heard_ms_ago"].get<double>() / 1000) : "",
                              connected && node["job"] != 0 ? node["job"].dump() : "", labels,
                              node.value("software", "")});
    }
    std::string text = report::text_table(table);
    if (nodes.size() > table.rows.size())
        text += fmt::format("and {} more: dunlin fleet nodes\n", nodes.size() - table.rows.size());
    return text;
}

std::string jobs_table(const Json& jobs, const std::map<std::uint64_t, double>& rates) {
    report::Table table{{"job", "experiment", "state", "here", "updates", "per s", "version"}, {}, ""};
    for (const Json& job : jobs) {
        if (job["ended"]) continue;
        const auto rate = rates.find(job["job"].get<std::uint64_t>());
        table.rows.push_back({job["job"].dump(), job["name"], job["state"],
                              fmt::format("{} of {}", job["here"].dump(), job["members"].dump()),
                              job["updates"].dump(), rate == rates.end() ? "" : fmt::format("{:.1f}", rate->second),
                              job["version"].dump()});
    }
    return table.rows.empty() ? "no job runs\n" : report::text_table(table);
}

std::string rollouts_lines(const Json& rollouts) {
    std::string text;
    for (const Json& told : rollouts) {
        if (told["ended"]) continue;
        text += fmt::format("roll-out {}: v{} {}, wave {}", told["rollout"].dump(), told["version"].dump(),
                            told["state"].get<std::string>(), told["wave"].dump());
        for (const auto& [word, count] : told["counts"].items()) text += fmt::format(", {} {}", count.dump(), word);
        text += '\n';
    }
    return text;
}

std::size_t terminal_lines() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 1000;
}

Outcome<int> top(const TopOptions& options) {
    catch_interrupts();
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    std::map<std::uint64_t, std::uint64_t> before;
    std::int64_t before_ms = 0;
    for (std::uint64_t looks = 1; !interrupted(); ++looks) {
        Json told = Json::object();
        for (const char* command : {"status", "nodes", "rollouts"}) {
            const auto reply = ask_fleet(options.fleet.store, {{"command", command}});
            if (interrupted()) return stopped;
            if (!reply) return tl::unexpected(reply.error());
            told.update(reply->json);
        }
        std::map<std::uint64_t, double> rates;
        const std::int64_t now_ms = steady_now_ms();
        for (const Json& job : told["jobs"]) {
            const auto number = job["job"].get<std::uint64_t>(), updates = job["updates"].get<std::uint64_t>();
            const auto last = before.find(number);
            if (last != before.end() && now_ms > before_ms && updates >= last->second)
                rates[number] =
                    1000.0 * static_cast<double>(updates - last->second) / static_cast<double>(now_ms - before_ms);
            before[number] = updates;
        }
        before_ms = now_ms;
        if (options.fleet.json) {
            say("{}\n", told.dump());
        } else {
            std::string text =
                fmt::format("{}; {} of {} nodes here; {} records stored\n",
                            told["serving"] ? "serving at " + told["endpoint"].get<std::string>()
                                            : std::string("nobody serves"),
                            told["here"].dump(), std::to_string(told["nodes"].size()), told["records"].dump());
            for (const Json& warning : told["warnings"]) text += "warning: " + warning.get<std::string>() + "\n";
            text += rollouts_lines(told["rollouts"]) + jobs_table(told["jobs"], rates) + "\n";
            const auto used = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 4;
            const std::size_t lines = terminal ? terminal_lines() : 1000;
            text += nodes_table(told["nodes"].get<std::vector<Json>>(), lines > used ? lines - used : 1);
            if (terminal) std::fputs("\x1b[H\x1b[J", stdout);
            say("{}", text);
        }
        if (output_lost()) return failed;
        if (looks == options.count) return succeeded;
        const auto wait_ms = static_cast<int>(options.every_s * 1000);
        for (int passed = 0; passed < wait_ms && !interrupted(); passed += 20)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return stopped;
}

}  // namespace

void add_fleet_top(CLI::App& fleet, Command& run) {
    auto options = std::make_shared<TopOptions>();
    CLI::App* command = fleet.add_subcommand("top", "A live table of nodes, jobs and roll-outs, until Ctrl-C");
    add_fleet_options(*command, options->fleet);
    command->add_option("--every", options->every_s, "seconds from one look to the next")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    command->add_option("--count", options->count, "looks; 0: until Ctrl-C")->capture_default_str();
    command->footer("Example:\n  dunlin fleet top --every 2\n");
    command->callback([options, &run] { run = [options] { return top(*options); }; });
}

}  // namespace dunlin::app

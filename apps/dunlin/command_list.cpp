// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/kinds.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "core/kernels.hpp"
#include "envs/map_file.hpp"
#include "training/axes/combinations.hpp"
#include "training/problems/problem_kinds.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

void list() {
    report::Table table{{"experiment", "what it shows"}, {}, ""};
    for (const Experiment& experiment : experiments())
        table.rows.push_back({std::string(experiment.name), std::string(experiment.summary())});
    say("{}\n", report::text_table(table));
    report::Table methods{{"kind", "methods that compare runs by default"}, {}, ""};
    for (const Kind& kind : kinds()) methods.rows.push_back({std::string(kind.name), std::string(kind.methods)});
    say("{}\n", report::text_table(methods));
    say("maps:    empty-RxC");
    for (std::string_view map : built_in_maps()) say(", {}", map);
    say(", or the path of a .map file\n");
    say("graphs:  ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, file\n");
    say("kernels:");
    for (const Kernels<float>* const* set = available_kernels(); *set != nullptr; ++set) say(" {}", (*set)->name);
    say(" (on this processor, fastest first)\n");
    say("axes:    dunlin list --combinations\n");
}

/// Those that this program registered, and Dunlin does not know.
const std::vector<TaskTraits>& own_tasks() {
    static const std::vector<TaskTraits> own = [] {
        std::vector<TaskTraits> all;
        for (const RegisteredProblem& problem : registered_problems()) {
            if (!problem.deploys() ||
                std::ranges::find(task_traits(), problem.name, &TaskTraits::experiment) != task_traits().end())
                continue;
            const auto defaults = problem.defaults();
            const bool layers = !problem.settings(*defaults).value("model.personal_layers").empty();
            all.push_back(
                {.name = problem.name, .experiment = problem.name, .has_layers = layers, .on_real_nodes = true});
        }
        return all;
    }();
    return own;
}

std::string combinations_json() {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Combination& one : all_combinations(own_tasks())) {
        list.push_back({{"task", one.task->name},
                        {"objective", name_of(one.objective)},
                        {"aggregation", one.aggregation},
                        {"link", name_of(one.link)},
                        {"allowed", one.allowed()},
                        {"kind", name_of(one.refused)},
                        {"reason", one.reason}});
    }
    return list.dump(2) + "\n";
}

/// A line for each task, objective and link; then every reason once.
void list_combinations() {
    report::Table table{{"task", "link", "objective", "aggregations"}, {}, ""};
    // By kind and reason: what it refuses.
    std::map<std::pair<RefusalKind, std::string>, std::pair<std::size_t, std::string>> refusals;
    for (const Combination& one : all_combinations(own_tasks())) {
        if (!one.allowed()) {
            auto& [count, example] = refusals[{one.refused, one.reason}];
            if (count++ == 0)
                example = fmt::format("{}, {}, {}, {}", one.task->name, name_of(one.objective), one.aggregation,
                                      name_of(one.link));
            continue;
        }
        const std::vector<std::string> head{std::string(one.task->name), std::string(name_of(one.link)),
                                            std::string(name_of(one.objective))};
        const auto same = std::ranges::find_if(
            table.rows, [&](const auto& row) { return std::equal(head.begin(), head.end(), row.begin()); });
        if (same != table.rows.end()) {
            same->back() += fmt::format(", {}", one.aggregation);
        } else {
            table.rows.push_back({head[0], head[1], head[2], std::string(one.aggregation)});
        }
    }
    say("{}\nRefused:\n", report::text_table(table));
    for (const auto& [why, what] : refusals)
        say("  {}: {} ({} combinations, such as {})\n", name_of(why.first), why.second, what.first, what.second);
}

}  // namespace

void add_list(CLI::App& program, Command& run) {
    CLI::App* command = program.add_subcommand("list", "List experiments, maps, methods and kernels");
    command->footer("Example:\n  dunlin list\n  dunlin list --combinations --json\n");
    const auto combinations = std::make_shared<bool>(false);
    const auto json = std::make_shared<bool>(false);
    CLI::Option* const which = command->add_flag(
        "--combinations", *combinations,
        "what of the axes task, objective, aggregation and link goes together, and why the rest does not");
    command->add_flag("--json", *json, "as JSON")->needs(which);
    command->callback([&run, combinations, json] {
        run = [combinations = *combinations, json = *json]() -> Outcome<int> {
            if (json) {
                say("{}", combinations_json());
            } else if (combinations) {
                list_combinations();
            } else {
                list();
            }
            return 0;
        };
    });
}

}  // namespace dunlin::app

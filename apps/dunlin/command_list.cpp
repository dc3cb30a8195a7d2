// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/kinds.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "core/kernels.hpp"
#include "envs/map_file.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

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
}

}  // namespace

void add_list(CLI::App& program, Command& run) {
    CLI::App* command = program.add_subcommand("list", "List experiments, maps, methods and kernels");
    command->footer("Example:\n  dunlin list\n");
    command->callback([&run] {
        run = []() -> Outcome<int> {
            list();
            return 0;
        };
    });
}

}  // namespace dunlin::app

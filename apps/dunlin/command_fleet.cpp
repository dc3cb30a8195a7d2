// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/fleet_demo.hpp"

#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace dunlin::app {
namespace {

void add_demo(CLI::App& fleet, Command& run) {
    CLI::App* command = fleet.add_subcommand(
        "demo", "A coordinator and real node processes on this machine, learning live; leaves nothing behind");
    auto request = std::make_shared<FleetDemoRequest>();
    command->add_option("--nodes", request->nodes, "node processes, each with a task of its own")
        ->check(CLI::Range(2, 64))
        ->capture_default_str();
    command->add_option("--seed", request->seed, "all randomness comes from it")->capture_default_str();
    command->add_option("--rounds", request->rounds, "rounds of learning; 0: as the experiment says")
        ->check(CLI::Range(0, 100'000))
        ->capture_default_str();
    command->add_flag("--json", request->json, "one JSON object on stdout");
    command->add_flag("--quiet", request->quiet, "no progress");
    command->footer("Example:\n  dunlin fleet demo --nodes 8\n");
    command->callback([&run, request] {
        run = [request]() -> Outcome<int> {
            if (auto here = need_here("demo"); !here) return tl::unexpected(here.error());
            return run_fleet_demo(*request);
        };
    });
}

}  // namespace

void add_fleet(CLI::App& program, Command& run) {
    CLI::App* fleet = program.add_subcommand("fleet", "Run a fleet of real nodes from this machine");
    fleet->require_subcommand(1);
    fleet->footer(
        "First: dunlin fleet init; then on each board: dunlin-node init; then: dunlin fleet admit NAME "
        "PUBLIC_KEY,\n"
        "dunlin fleet serve, and in another terminal: dunlin fleet run fleet-navigation; dunlin fleet watch.\n"
        "Or see it all on this machine: dunlin fleet demo.\n"
        "Exit codes: 0 done, 1 failed while running, 2 wrong input, 3 not in time (wait), 130 stopped by "
        "Ctrl-C.\n");
    add_fleet_at(*fleet);
    add_demo(*fleet, run);
    add_fleet_roster(*fleet, run);
    add_fleet_serve(*fleet, run);
    add_fleet_jobs(*fleet, run);
    add_fleet_rollouts(*fleet, run);
    add_fleet_views(*fleet, run);
    add_fleet_access(*fleet, run);
    add_fleet_top(*fleet, run);
    add_fleet_keeping(*fleet, run);
}

}  // namespace dunlin::app

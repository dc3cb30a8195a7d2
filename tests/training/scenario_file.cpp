// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/scenario_file.hpp"

#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "training/navigation/grid_world.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <queue>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;

namespace {

/// Dijkstra over eight directions, as the format means it: no cutting of corners.
double octile_length(const GridMap& map, GridCell start, GridCell goal) {
    std::vector<double> length(static_cast<std::size_t>(map.cells()), INFINITY);
    std::priority_queue<std::pair<double, int>> open;
    open.emplace(0.0, map.index(start));
    length[static_cast<std::size_t>(map.index(start))] = 0;
    while (!open.empty()) {
        const auto [minus, cell] = open.top();
        open.pop();
        if (-minus > length[static_cast<std::size_t>(cell)]) continue;
        const GridCell at = map.cell(cell);
        for (int dr = -1; dr <= 1; ++dr) {
            for (int dc = -1; dc <= 1; ++dc) {
                const GridCell next{at.row + dr, at.column + dc};
                if (!map.free(next) || !map.free(GridCell{at.row, next.column}) ||
                    !map.free(GridCell{next.row, at.column})) {
                    continue;
                }
                const double through = -minus + std::hypot(dr, dc);
                double& known = length[static_cast<std::size_t>(map.index(next))];
                if (through >= known - 1e-12) continue;
                known = through;
                open.emplace(-through, map.index(next));
            }
        }
    }
    return length[static_cast<std::size_t>(map.index(goal))];
}

/// Fewest moves of four directions, from the dense reward 1 - d / D of a task without its own start.
double move_length(const StoredMap& map, const Scenario& scenario) {
    GridTaskSettings settings;
    settings.goal = scenario.goal;
    settings.reward = GridReward::dense;
    const auto task = GridTask::make(map, settings);
    REQUIRE(task);
    const GridNavigation& grid = task->environment();
    const int farthest = grid.starts().back(), start = GridMap(map).index(scenario.start);
    REQUIRE(grid.connected(start));
    CHECK(grid.reward_at(farthest) == 0.0f);
    // D is not told: a neighbour of the goal has the reward 1 - 1 / D.
    const double nearest = 1.0 / (1.0 - static_cast<double>(grid.reward_at(grid.starts().front())));
    return std::round((1.0 - static_cast<double>(grid.reward_at(start))) * nearest);
}

}  // namespace

TEST_CASE("scenarios are read with x as the column, and their lengths are those of the format") {
    const StoredMap map =
        parse_map("type octile\nheight 5\nwidth 7\nmap\n.......\n.@@@...\n...@...\n...@.T.\n.......\n").value();
    const auto read = parse_scenarios(
        "version 1.0\n"
        "0\tm.map\t7\t5\t0\t0\t6\t0\t6\n"
        "0 m.map 7 5 0 0 6 4 8.82842712\r\n"
        "1\tm.map\t7\t5\t2\t2\t4\t2\t6\n\n",
        map.rows, map.columns, "m.scen");
    REQUIRE(read);
    REQUIRE(read->size() == 3);
    CHECK((*read)[1].goal == GridCell{4, 6});
    CHECK((*read)[2].start == GridCell{2, 2});
    CHECK((*read)[2].line == 4);
    for (const Scenario& scenario : *read) {
        const double octile = octile_length(map, scenario.start, scenario.goal);
        CHECK(octile == Approx(scenario.octile_length).margin(1e-6));
        const double moves = move_length(map, scenario);
        CHECK(moves >= octile - 1e-9);
        CHECK(moves <= octile * std::sqrt(2.0) + 1e-9);
    }
}

TEST_CASE("scenarios that are none are refused with the line, what stands there and what is expected") {
    const auto refusal = [](const char* text) {
        const auto read = parse_scenarios(text, 5, 7, "m.scen");
        REQUIRE_FALSE(read);
        return read.error().text;
    };
    CHECK(refusal("1\t2\n") == "m.scen: line 1: expected `version 1`; there stands \"1 2\"");
    CHECK(refusal("version 1\n0 m 7 5 0 0 6\n").find("line 2: expected bucket, map") != std::string::npos);
    CHECK(refusal("version 1\n0 m 7 5 0 0 6 x 1\n").find("there stands \"0 m 7 5 0 0 6 x 1\"") !=
          std::string::npos);
    CHECK(refusal("version 1\n0 m 5 7 0 0 1 1 1\n").find("a map of 5 x 7 (width x height)") != std::string::npos);
    CHECK(refusal("version 1\n").find("no scenarios") != std::string::npos);
}

TEST_CASE("scenarios that the horizon is too short for are refused with how many, the farthest and what it needs") {
    const auto path =
        std::filesystem::temp_directory_path() / ("dunlin-scenarios-" + std::to_string(::getpid()) + ".scen");
    std::ofstream(path) << "version 1\n0 m 5 3 0 0 0 1 1\n0 m 5 3 0 0 4 2 9\n0 m 5 3 0 0 2 2 5\n";
    NavigationSettings settings;
    settings.rows = {".....", "@@@@.", "....."};
    settings.rows[1][0] = '.';
    settings.goals = {path.string()};
    settings.training_tasks = 1;
    settings.held_out_tasks = 2;
    settings.horizon = 3;
    const auto refused = GridWorld::make(settings);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text ==
          "environment.goals: " + path.string() +
              ": 2 of the 3 scenarios that are used need more steps to the goal than rl.horizon = 3 allows, line 3 "
              "the most with 6; set rl.horizon = 6 or more, or take scenarios of shorter ways");
    settings.horizon = 6;
    CHECK(GridWorld::make(settings));
    settings.horizon = 3;
    settings.held_out_tasks = 0;  // those that are not used do not matter
    CHECK(GridWorld::make(settings));
    std::filesystem::remove(path);
}

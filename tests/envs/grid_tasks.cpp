// SPDX-License-Identifier: Apache-2.0
#include "envs/navigation_tasks.hpp"

#include <algorithm>
#include <set>
#include <vector>

using namespace dunlin;

namespace {

StoredMap rows(std::vector<std::string_view> lines) {
    return parse_rows(lines).value();
}

Stream stream(std::uint64_t seed = 1) {
    return Stream(seed, 0, Purpose::tasks);
}

std::vector<GridTask> three(const StoredMap& map, const GridTaskSettings& common = {}, std::uint64_t seed = 1) {
    Stream random = stream(seed);
    auto tasks = three_tasks(map, common, random);
    REQUIRE(tasks);
    REQUIRE(tasks->size() == 3);
    return *std::move(tasks);
}

std::set<int> goals(const std::vector<GridTask>& tasks) {
    std::set<int> found;
    for (const GridTask& task : tasks) found.insert(task.environment().goal());
    return found;
}

int free_cells(const StoredMap& map) {
    return static_cast<int>(std::count(map.text.begin(), map.text.end(), '.'));
}

}  // namespace

TEST_CASE("the three tasks are those of the experiment") {
    GridTaskSettings common;
    common.horizon = 30;
    common.discount = 0.95f;
    common.slip = 0.25f;
    Stream random = stream();
    Stream untouched = random;
    const auto tasks = three_tasks(find_map("empty-7x7").value(), common, random);
    REQUIRE(tasks);
    CHECK(random.bits() == untouched.bits());

    CHECK((*tasks)[0].settings().goal == GridCell{6, 0});
    CHECK((*tasks)[1].settings().goal == GridCell{0, 6});
    CHECK((*tasks)[2].settings().goal == GridCell{3, 2});
    CHECK((*tasks)[0].environment().after_action(24, 0) == 17);
    CHECK((*tasks)[1].environment().after_action(22, 2) == 23);  // left is right
    CHECK((*tasks)[2].environment().after_action(24, 0) == 25);  // up is right
    CHECK((*tasks)[2].environment().after_action(24, 3) == 31);
    CHECK((*tasks)[2].environment().after_action(24, 1) == 23);
    CHECK((*tasks)[2].environment().after_action(24, 2) == 17);
    CHECK((*tasks)[2].environment().wind() == 0.1f);
    CHECK((*tasks)[1].environment().wind() == 0.0f);
    CHECK((*tasks)[0].map() == find_map("empty-7x7").value());
    CHECK((*tasks)[1].map() == rows({".......", "...#...", "...#...", "...#...", "...#...", "...#...", "......."}));
    for (const GridTask& task : *tasks) {
        CHECK(task.environment().horizon() == 30);
        CHECK(task.environment().discount() == 0.95f);
        CHECK(task.environment().slip() == 0.25f);
        CHECK(task.environment().state_count() == 49);
        CHECK(static_cast<int>(task.environment().starts().size()) == free_cells(task.map()) - 1);
    }
}

TEST_CASE("the three tasks fit any map with two free cells, and every cell reaches each goal that did before") {
    for (const char* name : {"empty-1x2", "empty-2x1", "empty-2x2", "empty-3x3", "empty-1x9", "empty-9x1",
                             "empty-5x5", "empty-10x10", "empty-4x9", "four-rooms", "two-rooms", "maze-9x9"}) {
        INFO(name);
        const StoredMap map = find_map(name).value();
        for (const GridTask& task : three(map)) {
            CHECK(static_cast<int>(task.environment().starts().size()) == free_cells(task.map()) - 1);
        }
    }
    CHECK(three(rows({".#.#.", ".#.#."})).size() == 3);
}

TEST_CASE("goals that do not fit are drawn anew: by the stream, and apart") {
    const StoredMap map = rows({"....#", ".....", "..#..", ".....", "#...."});
    std::set<int> drawn;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        const auto tasks = three(map, {}, seed);
        CHECK(goals(tasks).size() == 3);
        CHECK(tasks[2].settings().goal == GridCell{2, 1});
        drawn.insert(tasks[0].environment().goal());
        CHECK(goals(tasks) == goals(three(map, {}, seed)));
    }
    CHECK(drawn.size() > 10);
}

TEST_CASE("a fixed start is kept: never a wall, never a goal, never cut off") {
    GridTaskSettings common;
    common.start = GridCell{2, 2};
    for (const char* name : {"empty-5x5", "four-rooms"}) {
        for (const GridTask& task : three(find_map(name).value(), common)) {
            CHECK(task.environment().starts().size() == 1);
            CHECK(task.settings().goal != common.start);
        }
    }
    common.start = GridCell{4, 0};  // the first task's goal
    const auto tasks = three(find_map("empty-5x5").value(), common);
    CHECK(goals(tasks).size() == 3);
    common.start = GridCell{0, 0};
    for (const GridTask& task : three(rows({"..#..", "..#.."}), common)) CHECK(task.settings().goal->column < 2);
}

TEST_CASE("maps and settings on which no task fits are refused") {
    Stream random = stream();
    CHECK(three_tasks(rows({".#."}), {}, random).error().code == Code::map_no_free_cell);
    CHECK(three_tasks(rows({"."}), {}, random).error().code == Code::map_no_free_cell);
    GridTaskSettings common;
    common.horizon = 0;
    CHECK(three_tasks(rows({"..."}), common, random).error().code == Code::out_of_range);
    common = {};
    common.start = GridCell{0, 1};
    CHECK(three_tasks(rows({".#."}), common, random).error().code == Code::start_in_wall);
    CHECK(three_tasks(StoredMap{}, {}, random).error().code == Code::map_size);
}

TEST_CASE("training and held-out goals differ while the map has enough") {
    const StoredMap map = find_map("four-rooms").value();
    Stream random = stream();
    const auto split = sample_tasks(map, {}, 84, 20, random);
    REQUIRE(split);
    CHECK(split->training.size() == 84);
    CHECK(split->held_out.size() == 20);
    std::set<int> all = goals(split->training);
    CHECK(all.size() == 84);
    all.merge(goals(split->held_out));
    CHECK(all.size() == 104);
}

TEST_CASE("where goals are too few they repeat, and no held-out goal is a training goal") {
    Stream random = stream();
    const auto split = sample_tasks(rows({"...."}), {}, 30, 10, random);
    REQUIRE(split);
    CHECK(goals(split->training).size() == 3);
    CHECK(split->training.size() == 30);
    CHECK(distinct_tasks(split->training) == 3);
    CHECK(split->held_out.size() == 1);  // of ten: no other is left that would be another
    std::set<int> all = goals(split->training);
    all.merge(goals(split->held_out));
    CHECK(all.size() == 4);

    GridTaskDistribution one;  // beside the start there is one goal
    one.common.start = GridCell{0, 0};
    const auto shared = sample_tasks(rows({".."}), one, 2, 1, random);
    REQUIRE(shared);
    CHECK(shared->training.size() == 2);
    CHECK(shared->held_out.empty());  // it would be the training task
    CHECK(sample_tasks(rows({".."}), {}, 5, 0, random)->held_out.empty());
}

TEST_CASE("no held-out task repeats or was trained on, whatever the tasks differ in") {
    GridTaskDistribution plain, permuted, windy, slippery, started;
    permuted.permute_actions = true;
    windy.wind_limit = 0.2f;
    slippery.slip_limit = 0.2f;
    started.common.start = GridCell{0, 0};
    for (const GridTaskDistribution& distribution : {plain, permuted, windy, slippery, started}) {
        for (const char* name : {"empty-5x5", "empty-1x2", "two-rooms"}) {
            for (std::uint64_t seed = 0; seed < 5; ++seed) {
                Stream random = stream(seed);
                const auto split = sample_tasks(find_map(name).value(), distribution, 100, 20, random);
                REQUIRE(split);
                CHECK(split->training.size() == 100);
                CHECK(distinct_tasks(split->held_out) == static_cast<int>(split->held_out.size()));
                for (const GridTask& task : split->held_out) CHECK_FALSE(contains(split->training, task));
                const bool varies = distribution.wind_limit > 0 || distribution.slip_limit > 0;
                if (varies) CHECK(split->held_out.size() == 20);
            }
        }
    }
}

TEST_CASE("goals are drawn evenly") {
    const StoredMap map = rows({"...#.", "####.", "....."});
    std::vector<int> counts(15, 0);
    Stream random = stream();
    for (int k = 0; k < 9000; ++k) {
        const auto goal = draw_goal(map, {}, {}, random);
        REQUIRE(goal);
        ++counts[static_cast<std::size_t>(GridMap(map).index(*goal))];
    }
    for (std::size_t cell = 0; cell < 15; ++cell) {
        if (map.text[cell] == '.') {
            CHECK(std::abs(counts[cell] - 900) < 150);
        } else {
            CHECK(counts[cell] == 0);
        }
    }
    const std::vector<GridCell> taken = {{0, 0}, {0, 1}};
    for (int k = 0; k < 50; ++k) CHECK(draw_goal(map, GridCell{0, 1}, taken, random) == GridCell{0, 2});
    CHECK(draw_goal(map, GridCell{0, 3}, {}, random).error().code == Code::start_in_wall);
}

TEST_CASE("permutations, wind and slip are drawn within their limits, and the same stream draws them again") {
    GridTaskDistribution distribution;
    distribution.permute_actions = true;
    distribution.wind_limit = 0.3f;
    distribution.slip_limit = 0.2f;
    const StoredMap map = find_map("empty-10x10").value();
    Stream random = stream();
    Stream replay = random;
    const auto split = sample_tasks(map, distribution, 60, 30, random);
    const auto again = sample_tasks(map, distribution, 60, 30, replay);
    REQUIRE(split);
    REQUIRE(again);
    std::set<decltype(GridTaskSettings::moves)> permutations;
    std::set<Move> directions;
    float strongest = 0.0f;
    for (std::size_t k = 0; k < 60; ++k) {
        const GridTaskSettings& settings = split->training[k].settings();
        CHECK(settings == again->training[k].settings());
        permutations.insert(settings.moves);
        directions.insert(settings.wind_direction);
        strongest = std::max(strongest, settings.wind);
        CHECK((settings.wind >= 0.0f && settings.wind < 0.3f));
        CHECK((settings.slip >= 0.0f && settings.slip < 0.2f));
    }
    CHECK(permutations.size() > 30);
    CHECK(directions.size() == 4);
    CHECK(strongest > 0.25f);
}

TEST_CASE("distributions out of their range are refused") {
    const StoredMap map = rows({"..."});
    Stream random = stream();
    CHECK(sample_tasks(map, {}, -1, 2, random).error() == Error{Code::out_of_range, -1, grid_task_limit});
    CHECK(sample_tasks(map, {}, grid_task_limit, 1, random).error().code == Code::out_of_range);
    GridTaskDistribution distribution;
    distribution.wind_limit = 1.5f;
    CHECK(sample_tasks(map, distribution, 1, 1, random).error().code == Code::out_of_range);
    distribution = {};
    distribution.common.discount = 0.0f;
    CHECK(sample_tasks(map, distribution, 1, 1, random).error().code == Code::out_of_range);
    CHECK(sample_tasks(rows({".#."}), {}, 1, 1, random).error().code == Code::map_no_free_cell);
}

TEST_CASE("walls can be added, on the map only") {
    const std::vector<GridCell> walls = {{0, 1}, {1, 0}};
    CHECK(*add_walls(rows({"...", "..."}), walls) == rows({".#.", "#.."}));
    const std::vector<GridCell> outside = {{0, 1}, {0, 3}};
    CHECK(add_walls(rows({"...", "..."}), outside).error() == Error{Code::wall_outside, 0, 3});
    const std::vector<GridCell> all = {{0, 0}, {0, 1}};
    CHECK(add_walls(rows({".."}), all).error() == Error{Code::map_no_free_cell});
}

TEST_CASE("a task's environment stays valid when the task is moved") {
    GridTaskSettings settings;
    settings.goal = GridCell{0, 0};
    GridTask task = GridTask::make(rows({"..."}), settings).value();
    const GridNavigation environment = task.environment();
    std::vector<GridTask> tasks;
    tasks.push_back(std::move(task));
    CHECK(environment.after_action(2, 2) == 1);
    CHECK(tasks[0].environment().after_action(2, 2) == 1);
}

// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_navigation.hpp"

#include "envs/navigation_tasks.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <type_traits>
#include <vector>

using namespace dunlin;

namespace {

static_assert(std::is_trivially_copyable_v<GridNavigation>);
static_assert(std::is_trivially_copyable_v<GridNavigation::State>);

constexpr int up = 0, down = 1, left = 2, right = 3, stay = 4;

StoredMap rows(std::vector<std::string_view> lines) {
    return parse_rows(lines).value();
}

GridTask make(const StoredMap& map, const GridTaskSettings& settings) {
    auto task = GridTask::make(map, settings);
    REQUIRE(task);
    return *std::move(task);
}

Error error_of(const StoredMap& map, const GridTaskSettings& settings) {
    const auto task = GridTask::make(map, settings);
    REQUIRE_FALSE(task.has_value());
    return task.error();
}

GridTaskSettings towards(GridCell goal) {
    GridTaskSettings settings;
    settings.goal = goal;
    return settings;
}

/// Where one action leads, and what it pays.
GridNavigation::Step step(const GridNavigation& task, int& state, int action) {
    Stream random(1, 0, Purpose::rollout);
    return task.step(state, action, random);
}

/// How often `action` from `state` ends where, in `draws` steps.
std::map<int, double> frequencies(const GridNavigation& task, int state, int action, int draws) {
    Stream random(5, 0, Purpose::rollout);
    std::map<int, double> counts;
    for (int k = 0; k < draws; ++k) {
        GridNavigation::State at = state;
        task.step(at, action, random);
        counts[at] += 1.0 / draws;
    }
    return counts;
}

}  // namespace

TEST_CASE("moves lead to the neighbour, and walls and edges hold") {
    const GridTask task = make(rows({"..#", "...", "..."}), towards({2, 2}));
    const GridNavigation& grid = task.environment();
    const std::vector<std::array<int, 3>> moves = {{4, up, 1},    {4, down, 7},  {4, left, 3}, {4, right, 5},
                                                   {4, stay, 4},  {0, up, 0},    {0, left, 0}, {7, down, 7},
                                                   {5, right, 5}, {1, right, 1}, {5, up, 5}};
    for (const auto& [from, action, to] : moves) {
        int state = from;
        const auto result = step(grid, state, action);
        CHECK(state == to);
        CHECK(result.reward == 0.0f);
        CHECK_FALSE(result.ended);
    }
}

TEST_CASE("a sparse reward is one on reaching the goal, which ends the trajectory") {
    const GridTask task = make(rows({"..."}), towards({0, 2}));
    int state = 1;
    const auto reached = step(task.environment(), state, right);
    CHECK(state == 2);
    CHECK(reached.reward == 1.0f);
    CHECK(reached.ended);
    CHECK(task.environment().goal() == 2);
    CHECK(task.environment().ends_at_goal());
}

TEST_CASE("a dense reward is one minus the shortest path's share of the longest, and ends nothing") {
    // From (0, 0) to (0, 2) the way is around the wall: 6 steps, the farthest of all.
    GridTaskSettings settings = towards({0, 2});
    settings.reward = GridReward::dense;
    const GridTask task = make(rows({".#.", ".#.", "..."}), settings);
    const GridNavigation& grid = task.environment();
    CHECK(grid.reward_at(0) == Approx(0.0f));
    CHECK(grid.reward_at(3) == Approx(1.0f / 6.0f));
    CHECK(grid.reward_at(7) == Approx(0.5f));
    CHECK(grid.reward_at(2) == 1.0f);
    int state = 5;
    const auto reached = step(grid, state, up);
    CHECK(reached.reward == 1.0f);
    CHECK_FALSE(reached.ended);
    CHECK(step(grid, state, down).reward == Approx(5.0f / 6.0f));
}

TEST_CASE("dense rewards lie in [0, 1] on every cell of any map") {
    for (const char* name : {"four-rooms", "maze-9x9", "empty-1x2", "empty-16x3"}) {
        GridTaskSettings settings;
        settings.reward = GridReward::dense;
        const auto map = find_map(name);
        REQUIRE(map);
        for (int goal = 0; goal < GridMap(*map).cells(); ++goal) {
            if (!GridMap(*map).free(goal)) continue;
            settings.goal = GridMap(*map).cell(goal);
            const GridTask task = make(*map, settings);
            float lowest = 1.0f;
            for (int cell = 0; cell < task.environment().state_count(); ++cell) {
                const float reward = task.environment().reward_at(cell);
                CHECK((reward >= 0.0f && reward <= 1.0f));
                lowest = std::min(lowest, reward);
            }
            CHECK(lowest == 0.0f);
        }
    }
}

TEST_CASE("random starts are uniform over the cells that can reach the goal, without it") {
    // The right column is cut off.
    const GridTask task = make(rows({"..#.", "..#."}), towards({0, 1}));
    Stream random(3, 0, Purpose::rollout);
    std::map<int, int> counts;
    constexpr int draws = 30'000;
    for (int k = 0; k < draws; ++k) ++counts[task.environment().reset(random)];
    REQUIRE(counts.size() == 3);
    for (const int cell : {0, 4, 5}) CHECK(std::abs(counts[cell] - draws / 3) < 5 * std::sqrt(draws * 2.0 / 9.0));
}

TEST_CASE("a fixed start is the start, and neither it nor a plain step draws a number") {
    GridTaskSettings settings = towards({2, 2});
    settings.start = GridCell{1, 0};
    const GridTask task = make(rows({"...", "...", "..."}), settings);
    Stream random(3, 0, Purpose::rollout);
    Stream untouched = random;
    int state = task.environment().reset(random);
    CHECK(state == 3);
    task.environment().step(state, right, random);
    CHECK(random.bits() == untouched.bits());
}

TEST_CASE("permuted actions do each other's moves") {
    GridTaskSettings settings = towards({2, 2});
    settings.moves = {3, 2, 0, 1, 4};
    const GridTask task = make(rows({"...", "...", "..."}), settings);
    for (const auto& [action, to] : std::vector<std::array<int, 2>>{{0, 5}, {1, 3}, {2, 1}, {3, 7}, {4, 4}}) {
        int state = 4;
        step(task.environment(), state, action);
        CHECK(state == to);
    }
}

TEST_CASE("wind pushes one cell further, whatever the permutation, and walls hold it too") {
    GridTaskSettings settings = towards({0, 0});
    settings.wind = 1.0f;
    settings.wind_direction = Move::down;
    settings.moves = {1, 0, 3, 2, 4};
    const GridTask task = make(rows({"....", "....", "...#"}), settings);
    for (const auto& [from, action, to] :
         std::vector<std::array<int, 3>>{{1, stay, 5}, {1, right, 4}, {2, left, 7}, {7, stay, 7}, {9, stay, 9}}) {
        int state = from;
        step(task.environment(), state, action);
        CHECK(state == to);
    }
    settings.wind = 0.25f;
    const GridTask sometimes = make(rows({"....", "....", "...."}), settings);
    auto counts = frequencies(sometimes.environment(), 1, stay, 40'000);
    CHECK(counts.size() == 2);
    CHECK(std::abs(counts[5] - 0.25) < 5 * std::sqrt(0.25 * 0.75 / 40'000));
}

TEST_CASE("whoever is blown over the goal has not reached it, and whoever is blown onto it has") {
    GridTaskSettings settings = towards({0, 2});
    settings.wind = 1.0f;
    settings.wind_direction = Move::right;
    const GridTask task = make(rows({"...."}), settings);
    int state = 1;
    CHECK_FALSE(step(task.environment(), state, right).ended);
    CHECK(state == 3);
    state = 0;
    CHECK(step(task.environment(), state, right).ended);
}

TEST_CASE("slip replaces the action by a uniform one of the five") {
    GridTaskSettings settings = towards({0, 0});
    settings.slip = 0.5f;
    const GridTask task = make(rows({"...", "...", "..."}), settings);
    constexpr int draws = 50'000;
    auto counts = frequencies(task.environment(), 4, down, draws);
    const double tolerance = 5 * std::sqrt(0.25 / draws);
    CHECK(std::abs(counts[7] - 0.6) < tolerance);
    for (const int cell : {1, 3, 4, 5}) CHECK(std::abs(counts[cell] - 0.1) < tolerance);
}

TEST_CASE("observations are row and column scaled to [-1, 1], at the stride") {
    const GridTask task = make(find_map("empty-7x256").value(), towards({0, 0}));
    const GridNavigation& grid = task.environment();
    REQUIRE(grid.observation_size() == 2);
    for (int cell = 0; cell < grid.state_count(); ++cell) {
        float out[8] = {};
        grid.observe(cell, out, 7);
        CHECK(out[0] == Approx(cell / 256 / 3.0 - 1.0).margin(1e-6));
        CHECK(out[7] == Approx(cell % 256 / 127.5 - 1.0).margin(1e-6));
        CHECK(out[1] == 0.0f);
        CHECK(grid.index(grid.state(cell)) == cell);
    }
    float out[2];
    const GridTask corridor = make(find_map("empty-1x3").value(), towards({0, 0}));
    corridor.environment().observe(2, out, 1);
    CHECK(out[0] == 0.0f);
    CHECK(out[1] == 1.0f);
}

TEST_CASE("every cell of the largest map has its row") {
    const GridTask task = make(find_map("empty-256x255").value(), towards({0, 0}));
    for (int cell = 0; cell < task.environment().state_count(); ++cell) {
        float out[2];
        task.environment().observe(cell, out, 1);
        REQUIRE(out[0] == Approx(cell / 255 / 127.5 - 1.0).margin(1e-6));
    }
}

TEST_CASE("the same stream gives the same trajectory, another seed another") {
    GridTaskSettings settings = towards({5, 8});
    settings.wind = 0.3f;
    settings.slip = 0.2f;
    const GridTask task = make(find_map("four-rooms").value(), settings);
    const auto trajectory = [&](std::uint64_t seed) {
        Stream random(seed, 0, Purpose::rollout);
        std::vector<int> states{task.environment().reset(random)};
        for (int k = 0; k < 50; ++k) {
            GridNavigation::State state = states.back();
            task.environment().step(state, static_cast<int>(random.below(5)), random);
            states.push_back(state);
        }
        return states;
    };
    CHECK(trajectory(1) == trajectory(1));
    CHECK(trajectory(1) != trajectory(2));
}

TEST_CASE("goals and starts that do not fit the map are refused") {
    const StoredMap map = rows({"..#.", "..#."});
    CHECK(error_of(map, {}) == Error{Code::goal_outside, -1, -1});
    CHECK(error_of(map, towards({2, 0})) == Error{Code::goal_outside, 2, 0});
    CHECK(error_of(map, towards({0, 4})) == Error{Code::goal_outside, 0, 4});
    CHECK(error_of(map, towards({1, 2})) == Error{Code::goal_in_wall, 1, 2});
    CHECK(error_of(rows({".#."}), towards({0, 2})) == Error{Code::goal_unreachable, 0, 2});
    GridTaskSettings settings = towards({0, 3});
    settings.start = GridCell{0, 0};
    CHECK(error_of(map, settings) == Error{Code::goal_unreachable, 0, 3});
    settings.start = GridCell{0, 2};
    CHECK(error_of(map, settings) == Error{Code::start_in_wall, 0, 2});
    settings.start = GridCell{-1, 0};
    CHECK(error_of(map, settings) == Error{Code::start_in_wall, -1, 0});
    settings.start = GridCell{0, 3};
    CHECK(error_of(map, settings) == Error{Code::start_is_goal, 0, 3});
    CHECK(error_of(StoredMap{"...", 2, 2}, towards({0, 0})) == Error{Code::map_size, 2, 2});
    CHECK(error_of(StoredMap{"", 0, 0}, towards({0, 0})) == Error{Code::map_size, 0, 0});
}

TEST_CASE("settings out of their range are refused") {
    const StoredMap map = rows({"..."});
    const float not_a_number = std::numeric_limits<float>::quiet_NaN();
    GridTaskSettings settings = towards({0, 0});
    settings.moves = {0, 1, 1, 3, 4};
    CHECK(error_of(map, settings) == Error{Code::not_a_permutation, 2});
    settings.moves = {0, 1, 2, 3, 5};
    CHECK(error_of(map, settings) == Error{Code::not_a_permutation, 4});
    for (const float wrong : {-0.1f, 1.1f, not_a_number}) {
        settings = towards({0, 0});
        settings.wind = wrong;
        CHECK(error_of(map, settings).code == Code::out_of_range);
        settings = towards({0, 0});
        settings.slip = wrong;
        CHECK(error_of(map, settings).code == Code::out_of_range);
    }
    for (const float wrong : {0.0f, -1.0f, 1.01f, not_a_number}) {
        settings = towards({0, 0});
        settings.discount = wrong;
        CHECK(error_of(map, settings).code == Code::out_of_range);
    }
    for (const int wrong : {-5, 0, grid_horizon_limit + 1}) {
        settings = towards({0, 0});
        settings.horizon = wrong;
        CHECK(error_of(map, settings) == Error{Code::out_of_range, wrong, grid_horizon_limit});
    }
}

TEST_CASE("a task that does not fit the arena is refused, one that fits exactly is made") {
    constexpr GridMap map(".........", 3, 3);
    alignas(Arena::alignment) static std::byte memory[GridNavigation::bytes(9)];
    Arena arena(memory);
    REQUIRE(GridNavigation::make(map, towards({0, 0}), arena).has_value());
    const auto second = GridNavigation::make(map, towards({0, 0}), arena);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error() == Error{Code::too_little_memory, 0, GridNavigation::bytes(9)});
}

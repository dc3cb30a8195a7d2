// SPDX-License-Identifier: Apache-2.0
#include "envs/point_navigation.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

using namespace dunlin;

static_assert(std::is_trivially_copyable_v<PointNavigation::State>);

TEST_CASE("a step moves by the clipped velocity and pays minus the squared distance") {
    const PointNavigation task{.goal_x = 0.3f, .goal_y = -0.4f};
    Stream random(1, 0, Purpose::rollout);
    PointNavigation::State state = task.reset(random);
    CHECK(state.x == 0.0f);
    CHECK(state.y == 0.0f);
    const float action[] = {0.05f, 9.0f, -3.0f};
    auto step = task.step(state, action, 2, random);
    CHECK(state.x == Approx(0.05f));
    CHECK(state.y == Approx(-0.1f));
    CHECK(step.reward == Approx(-(0.25 * 0.25 + 0.3 * 0.3)));
    step = task.step(state, action, 1, random);
    CHECK(state.x == Approx(0.1f));
    CHECK(state.y == Approx(0.0f).margin(1e-7));

    float out[4] = {};
    task.observe(state, out, 3);
    CHECK(out[0] == state.x);
    CHECK(out[3] == state.y);
}

TEST_CASE("the published code's reward is minus the distance") {
    const PointNavigation task{.goal_x = 0.3f, .goal_y = -0.4f, .reward = PointReward::distance};
    Stream random(1, 0, Purpose::rollout);
    PointNavigation::State state;
    const float stay[] = {0.0f, 0.0f};
    CHECK(task.step(state, stay, 1, random).reward == Approx(-0.5f));
}

TEST_CASE("nothing ends a trajectory, not even standing on the goal") {
    const PointNavigation task{.goal_x = 0.1f, .goal_y = 0.1f};
    Stream random(1, 0, Purpose::rollout);
    PointNavigation::State state;
    const float there[] = {0.1f, 0.1f};
    const auto step = task.step(state, there, 1, random);
    CHECK(step.reward == 0.0f);
    CHECK_FALSE(step.ended);
    CHECK(task.horizon() == 100);
}

TEST_CASE("goals fill the square of side one around the origin, and a stream gives them again") {
    Stream random(4, 0, Purpose::tasks);
    Stream replay = random;
    double sum_x = 0.0, sum_y = 0.0, largest = 0.0, smallest = 0.0;
    constexpr int draws = 10'000;
    for (int k = 0; k < draws; ++k) {
        const PointNavigation task = PointNavigation::sample(random);
        const PointNavigation again = PointNavigation::sample(replay);
        REQUIRE(task.goal_x == again.goal_x);
        REQUIRE(task.goal_y == again.goal_y);
        sum_x += task.goal_x;
        sum_y += task.goal_y;
        largest = std::max<double>({largest, task.goal_x, task.goal_y});
        smallest = std::min<double>({smallest, task.goal_x, task.goal_y});
    }
    CHECK(largest < 0.5);
    CHECK(largest > 0.499);
    CHECK(smallest >= -0.5);
    CHECK(smallest < -0.499);
    const double tolerance = 5 * std::sqrt(draws / 12.0);
    CHECK(std::abs(sum_x) < tolerance);
    CHECK(std::abs(sum_y) < tolerance);
}

TEST_CASE("a step through an obstacle stays where it began, and one beside it does not") {
    PointNavigation task{.goal_x = 0.4f};
    task.obstacles = 1;
    task.discs[0] = {0.05f, 0.0f, 0.02f};
    Stream random(1, 0, Purpose::rollout);
    PointNavigation::State state;
    const float through[] = {0.1f, 0.0f}, up[] = {0.0f, 0.05f};
    auto step = task.step(state, through, 1, random);  // both ends of the way are free
    CHECK(state.x == 0.0f);
    CHECK(step.reward == Approx(-0.16f));
    task.step(state, up, 1, random);
    task.step(state, through, 1, random);
    CHECK(state.x == Approx(0.1f));
    CHECK(state.y == Approx(0.05f));
}

TEST_CASE("the drift is added to what was clipped, and a trajectory ends within the goal's radius") {
    PointNavigation task{.goal_x = 0.13f, .goal_y = -0.02f, .goal_radius = 0.01f};
    task.drift_x = 0.03f;
    task.drift_y = -0.02f;
    Stream random(1, 0, Purpose::rollout);
    PointNavigation::State state;
    const float fast[] = {7.0f, 0.005f}, stay[] = {0.0f, 0.0f};
    CHECK(task.step(state, fast, 1, random).ended);
    CHECK(state.x == Approx(0.13f));
    CHECK(state.y == Approx(-0.015f));
    CHECK_FALSE(task.step(state, stay, 1, random).ended);  // blown out of it
}

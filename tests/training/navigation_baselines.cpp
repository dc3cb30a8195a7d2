// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/grid_evaluation.hpp"
#include "training/navigation/grid_world.hpp"
#include "training/navigation/point_world.hpp"

#include <numeric>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

NavigationSettings on_rows(std::vector<std::string> rows, std::vector<std::string> goals) {
    NavigationSettings s;
    s.rows = std::move(rows);
    s.goals = std::move(goals);
    s.hidden = {8};
    s.horizon = 8;
    s.meta.task_batch = static_cast<int>(s.goals.size());
    s.meta.inner.step_limit = 2;
    s.rollout.trajectories = 6;
    return s;
}

double mean_ratio(const std::vector<TaskOutcome>& tasks) {
    double sum = 0;
    for (const TaskOutcome& task : tasks) sum += task.ratio();
    return sum / static_cast<double>(tasks.size());
}

}  // namespace

TEST_CASE("one policy for one task is that task's optimum") {
    auto world = GridWorld::make(on_rows({".....", ".##..", ".....", "..#..", "....."}, {"4,4"}));
    REQUIRE(world);
    const auto outcomes = world->single_policy(TaskSet::training, never_asked);
    REQUIRE(outcomes.size() == 1);
    CHECK(outcomes[0].ratio() > 0.99);
    CHECK(outcomes[0].ratio() <= 1.0 + 1e-9);
}

TEST_CASE("one policy for two goals on opposite sides reaches half of what each could have") {
    // From the middle of three cells one step decides: the shares of the two tasks sum to one for any policy.
    NavigationSettings s = on_rows({"..."}, {"0,0", "0,2"});
    s.start = {0, 1};
    s.horizon = 1;
    auto world = GridWorld::make(s);
    REQUIRE(world);
    const auto outcomes = world->single_policy(TaskSet::training, never_asked);
    REQUIRE(outcomes.size() == 2);
    CHECK(mean_ratio(outcomes) == Approx(0.5).margin(0.01));
}

TEST_CASE("in the plane one policy goes to the mean goal, and to any other place for less") {
    NavigationSettings s;
    s.world = World::point;
    s.training_tasks = 7;
    s.held_out_tasks = 2;
    s.horizon = 40;
    const auto world = PointWorld::make(s);
    REQUIRE(world);
    const auto mean = [&](float x, float y) {  // of going straight to (x, y), over the training tasks
        double sum = 0;
        for (const PointNavigation& task : world->environments(TaskSet::training)) {
            PointNavigation::State at{};
            Stream unused;
            for (int h = 0; h < task.horizon(); ++h) {
                const float velocity[] = {x - at.x, y - at.y};
                sum += static_cast<double>(task.step(at, velocity, 1, unused).reward);
            }
        }
        return sum / 7;
    };
    double best = 0;
    for (const TaskOutcome& task : world->single_policy(TaskSet::training, never_asked))
        best += task.expected_return / 7;
    float x = 0, y = 0;
    for (const PointNavigation& task : world->environments(TaskSet::training)) {
        x += task.goal_x / 7;
        y += task.goal_y / 7;
    }
    CHECK(best == Approx(mean(x, y)).epsilon(1e-4));
    for (const float shift : {-0.05f, 0.05f}) {
        CHECK(mean(x + shift, y) < best);
        CHECK(mean(x, y + shift) < best);
    }
    CHECK(world->single_policy(TaskSet::held_out, never_asked).size() == 2);
}

TEST_CASE(
    "the untrained policy is the one that training began with, by the same draws, however long training was") {
    auto training = NavigationTraining::make(on_rows({"....", "....", "...."}, {"0,0", "2,3"}), 1);
    REQUIRE(training);
    NavigationTraining& run = **training;
    const auto of = [&](StartPolicy start) {
        std::vector<double> returns;
        for (const auto& task : run.evaluate(TaskSet::training, 2, 5, false, start)) {
            for (const TaskOutcome& step : task) returns.push_back(step.expected_return);
        }
        return returns;
    };
    const std::vector<double> before = of(StartPolicy::meta);
    CHECK(of(StartPolicy::untrained) == before);
    for (int k = 0; k < 3; ++k) REQUIRE(run.iterate());
    CHECK(of(StartPolicy::untrained) == before);
    CHECK(of(StartPolicy::meta) != before);
}

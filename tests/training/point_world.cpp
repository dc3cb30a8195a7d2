// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/point_world.hpp"

#include <cmath>

using namespace dunlin;

namespace {

NavigationSettings plane() {
    NavigationSettings settings;
    settings.world = World::point;
    settings.training_tasks = 60;
    settings.held_out_tasks = 20;
    settings.horizon = 50;
    return settings;
}

}  // namespace

TEST_CASE("goals and the start stay clear of obstacles, which all tasks share, and the plain world is as it was") {
    const NavigationSettings before = plane();
    NavigationSettings settings = before;
    settings.point.obstacles = 4;
    settings.point.obstacle_radius = 0.1f;
    const auto plain = PointWorld::make(before), world = PointWorld::make(settings);
    REQUIRE(plain);
    REQUIRE(world);
    const PointNavigation& first = world->environments(TaskSet::training).front();
    REQUIRE(first.obstacles == 4);
    for (const TaskSet set : {TaskSet::training, TaskSet::held_out}) {
        for (const PointNavigation& task : world->environments(set)) {
            CHECK(task.discs == first.discs);
            for (int k = 0; k < task.obstacles; ++k) {
                const PointDisc& disc = task.discs[static_cast<std::size_t>(k)];
                CHECK(std::hypot(task.goal_x - disc.x, task.goal_y - disc.y) >= disc.radius + 0.049f);
                CHECK(std::hypot(disc.x, disc.y) > disc.radius);
            }
        }
    }
    CHECK(plain->environments(TaskSet::training).front().obstacles == 0);
    CHECK(plain->single_policy(TaskSet::training, never_asked).size() == 60);
    CHECK(world->single_policy(TaskSet::training, never_asked).empty());  // no bound is known there

    settings.point.obstacles = 8;
    settings.point.obstacle_radius = 0.25f;
    const auto crowded = PointWorld::make(settings);
    REQUIRE_FALSE(crowded);
    CHECK(crowded.error().text.find("environment.obstacles = 8") != std::string::npos);
}

TEST_CASE("tasks differ in their drift too, and what a user names has the drift that it says") {
    NavigationSettings settings = plane();
    settings.point.drift_limit = 0.05f;
    auto world = PointWorld::make(settings);
    REQUIRE(world);
    float largest = 0.0f;
    for (const PointNavigation& task : world->environments(TaskSet::training)) {
        largest = std::max({largest, std::abs(task.drift_x), std::abs(task.drift_y)});
        CHECK(std::max(std::abs(task.drift_x), std::abs(task.drift_y)) <= 0.05f);
    }
    CHECK(largest > 0.04f);
    const auto number = world->add_held_out("goal=0.2,-0.1;drift=0.01,0.02");
    REQUIRE(number);
    const PointNavigation& asked = world->environments(TaskSet::held_out)[static_cast<std::size_t>(*number)];
    CHECK(asked.goal_x == 0.2f);
    CHECK(asked.drift_y == 0.02f);
    CHECK(world->names(TaskSet::held_out).back().find("drift (0.010, 0.020)") != std::string::npos);
    CHECK_FALSE(world->add_held_out("goal=0.2,-0.1;wind=0.1"));
}

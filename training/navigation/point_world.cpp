// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/point_world.hpp"

#include "training/settings/task_text.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <span>

namespace dunlin {
namespace {

constexpr float room_at_goals = 0.05f;  ///< and at the start, to every obstacle

}  // namespace

Outcome<PointWorld> PointWorld::make(const NavigationSettings& s) {
    PointWorld world;
    world.common_.horizon_steps = s.horizon;
    world.common_.discount_factor = s.discount;
    world.common_.reward = s.point.reward;
    world.common_.goal_radius = s.point.goal_radius;
    Stream random(s.seed, 1, Purpose::tasks), obstacles(s.seed, 2, Purpose::tasks),
        drift(s.seed, 3, Purpose::tasks);
    if (const auto placed = world.place_obstacles(s.point, obstacles); !placed)
        return tl::unexpected(placed.error());
    for (int k = 0; k < s.training_tasks + s.held_out_tasks; ++k) {
        PointNavigation drawn = PointNavigation::sample(random);
        while (world.on_obstacle(drawn.goal_x, drawn.goal_y, room_at_goals))
            drawn = PointNavigation::sample(random);
        PointNavigation task = world.with_goal(drawn.goal_x, drawn.goal_y);
        if (s.point.drift_limit > 0.0f) {
            task.drift_x = s.point.drift_limit * (2.0f * drift.uniform() - 1.0f);
            task.drift_y = s.point.drift_limit * (2.0f * drift.uniform() - 1.0f);
        }
        (k < s.training_tasks ? world.training_ : world.held_out_).push_back(task);
    }
    return world;
}

/// Where goals come from, none on the start.
Outcome<void> PointWorld::place_obstacles(const PointWorldSettings& how, Stream& random) {
    for (int tries = 0; common_.obstacles < how.obstacles; ++tries) {
        if (tries == 1000)
            return refuse(fmt::format(
                "environment.obstacles = {}: of radius {} there is room for {} that leave the start and "
                "each other free; fewer, or lower environment.obstacle_radius",
                how.obstacles, how.obstacle_radius, common_.obstacles));
        const PointDisc disc{random.uniform() - 0.5f, random.uniform() - 0.5f, how.obstacle_radius};
        const bool apart = std::hypot(disc.x, disc.y) > disc.radius + room_at_goals &&
                           !on_obstacle(disc.x, disc.y, disc.radius + room_at_goals);
        if (apart) common_.discs[static_cast<std::size_t>(common_.obstacles++)] = disc;
    }
    return {};
}

bool PointWorld::on_obstacle(float x, float y, float room) const {
    return std::ranges::any_of(std::span(common_.discs).first(static_cast<std::size_t>(common_.obstacles)),
                               [&](const PointDisc& disc) {
                                   return PointDisc{disc.x, disc.y, disc.radius + room}.holds(x, y);
                               });
}

Outcome<PointWorld::Policy> PointWorld::policy(const NavigationSettings& s, const Kernels<float>* kernels) const {
    const Result<MlpShape> shape =
        MlpShape::make(common_.observation_size(), s.hidden, common_.action_size(), s.activation);
    if (!shape) return refuse(shape.error(), "policy.hidden");
    const Outcome<Mlp<float>> critic = critic_of(s, *shape, kernels);
    if (!critic) return tl::unexpected(critic.error());
    return Policy{{Mlp<float>{*shape, kernels}}, *critic};
}

std::vector<std::string> PointWorld::names(TaskSet set) const {
    std::vector<std::string> all;
    for (const PointNavigation& task : environments(set)) {
        all.push_back(fmt::format("task {}: goal ({:.2f}, {:.2f})", all.size() + 1,
                                  static_cast<double>(task.goal_x), static_cast<double>(task.goal_y)));
        if (task.drift_x != 0.0f || task.drift_y != 0.0f)
            all.back() += fmt::format(", drift ({:.3f}, {:.3f})", static_cast<double>(task.drift_x),
                                      static_cast<double>(task.drift_y));
    }
    return all;
}

Outcome<int> PointWorld::add_held_out(const std::string& description) {
    PointNavigation task = common_;
    const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
        const auto pair = numbers<float>(value, 2);
        if ((key != "goal" && key != "drift") || !pair) return false;
        (key == "goal" ? task.goal_x : task.drift_x) = (*pair)[0];
        (key == "goal" ? task.goal_y : task.drift_y) = (*pair)[1];
        return true;
    });
    if (!read) return tl::unexpected(read.error());
    if (on_obstacle(task.goal_x, task.goal_y, 0.0f))
        return refuse(fmt::format("{}: the goal is on an obstacle", description));
    held_out_.push_back(task);
    return static_cast<int>(held_out_.size()) - 1;
}

int PointWorld::distinct_tasks(TaskSet set) const {
    std::set<std::array<float, 4>> tasks;
    for (const PointNavigation& task : environments(set))
        tasks.insert({task.goal_x, task.goal_y, task.drift_x, task.drift_y});
    return static_cast<int>(tasks.size());
}

bool PointWorld::trained_on(int number) const {
    return std::ranges::find(training_, held_out_[static_cast<std::size_t>(number)]) != training_.end();
}

std::vector<TaskOutcome> PointWorld::single_policy(TaskSet set, StopAsked) const {
    const bool plain =
        common_.obstacles == 0 && common_.goal_radius == 0.0f && common_.reward == PointReward::squared_distance &&
        std::ranges::all_of(
            training_, [](const PointNavigation& task) { return task.drift_x == 0.0f && task.drift_y == 0.0f; });
    if (!plain) return {};
    double goal_x = 0, goal_y = 0;
    for (const PointNavigation& task : training_) {
        goal_x += static_cast<double>(task.goal_x) / static_cast<double>(training_.size());
        goal_y += static_cast<double>(task.goal_y) / static_cast<double>(training_.size());
    }
    std::vector<TaskOutcome> outcomes;
    Stream unused;
    for (const PointNavigation& task : environments(set)) {
        PointNavigation::State at = task.reset(unused);
        TaskOutcome& outcome = outcomes.emplace_back();
        outcome.expected_return = 0;
        for (int h = 0; h < task.horizon(); ++h) {  // a step is clipped to what is possible
            const float velocity[] = {static_cast<float>(goal_x) - at.x, static_cast<float>(goal_y) - at.y};
            outcome.expected_return += static_cast<double>(task.step(at, velocity, 1, unused).reward);
        }
        outcome.sampled_return = outcome.expected_return;
    }
    return outcomes;
}

PointNavigation PointWorld::with_goal(float x, float y) const {
    PointNavigation task = common_;
    task.goal_x = x;
    task.goal_y = y;
    return task;
}

}  // namespace dunlin

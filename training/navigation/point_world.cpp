// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/point_world.hpp"

#include "training/settings/task_text.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace dunlin {

Outcome<PointWorld> PointWorld::make(const NavigationSettings& s) {
    PointWorld world;
    world.common_.horizon_steps = s.horizon;
    world.common_.discount_factor = s.discount;
    Stream random(s.seed, 1, Purpose::tasks);
    for (int k = 0; k < s.training_tasks + s.held_out_tasks; ++k) {
        const PointNavigation drawn = PointNavigation::sample(random);
        (k < s.training_tasks ? world.training_ : world.held_out_)
            .push_back(world.with_goal(drawn.goal_x, drawn.goal_y));
    }
    return world;
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
    }
    return all;
}

Outcome<int> PointWorld::add_held_out(const std::string& description) {
    PointNavigation task = common_;
    const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
        const auto goal = numbers<float>(value, 2);
        if (key != "goal" || !goal) return false;
        task = with_goal((*goal)[0], (*goal)[1]);
        return true;
    });
    if (!read) return tl::unexpected(read.error());
    held_out_.push_back(task);
    return static_cast<int>(held_out_.size()) - 1;
}

int PointWorld::distinct_tasks(TaskSet set) const {
    std::set<std::pair<float, float>> goals;
    for (const PointNavigation& task : environments(set)) goals.emplace(task.goal_x, task.goal_y);
    return static_cast<int>(goals.size());
}

bool PointWorld::trained_on(int number) const {
    const PointNavigation& asked = held_out_[static_cast<std::size_t>(number)];
    return std::ranges::any_of(training_, [&](const PointNavigation& task) {
        return task.goal_x == asked.goal_x && task.goal_y == asked.goal_y;
    });
}

std::vector<TaskOutcome> PointWorld::single_policy(TaskSet set, StopAsked) const {
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

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "envs/point_navigation.hpp"
#include "rl/actor_critic.hpp"
#include "training/navigation/navigation.hpp"

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

class GridTask;

/// The plane with goals in it, as navigation training sees it: the point navigation of MAML's first experiments.
class PointWorld {
public:
    using Environment = PointNavigation;
    using Policy = ActorCritic<GaussianPolicy<float>>;

    static Outcome<PointWorld> make(const NavigationSettings& settings);
    /// A policy that fits the world. Error: a shape that is none.
    Outcome<Policy> policy(const NavigationSettings& settings, const Kernels<float>* kernels) const;

    const std::vector<PointNavigation>& environments(TaskSet set) const {
        return set == TaskSet::training ? training_ : held_out_;
    }
    std::vector<std::string> names(TaskSet set) const;
    static const GridTask* grid_task(TaskSet, int) { return nullptr; }
    /// Its number; NavigationTraining::add_held_out says what a description is.
    Outcome<int> add_held_out(const std::string& description);

    int distinct_tasks(TaskSet set) const;
    /// Whether a held-out task is one of those of training.
    bool trained_on(int number) const;
    static std::size_t evaluation_bytes(int) { return 0; }
    static double planning_work() { return 0; }

    /// One policy for all training tasks, on every task of a set: at full speed in each coordinate to the mean of the
    /// training goals, and there. With costs of squared distances no policy does better in the mean over those tasks:
    /// the mean of |x - goal|^2 is |x - mean goal|^2 and a constant, and every step is as near as can be reached. Empty
    /// where obstacles, drift or an end at the goal make that no bound.
    std::vector<TaskOutcome> single_policy(TaskSet set, StopAsked) const;

    /// The return of this benchmark is the plain sum of rewards.
    template <class Task>
    TaskOutcome judge(TaskSet, int, ConstVector<float> theta, Task& task, Stream& random, StopAsked) const {
        PointNavigation undiscounted = task.environment();
        undiscounted.discount_factor = 1.0f;
        task.set_environment(undiscounted);
        task.draw(0, theta, random);
        TaskOutcome outcome;
        outcome.expected_return = outcome.sampled_return = -static_cast<double>(task.value(0, theta));
        return outcome;
    }

    /// Writes what does not change along a trajectory.
    void describe(TaskSet set, int number, TaskRecord& record) const {
        const PointNavigation& task = environments(set)[static_cast<std::size_t>(number)];
        record.goal = {static_cast<double>(task.goal_x), static_cast<double>(task.goal_y)};
        for (const PointDisc& disc : std::span(task.discs).first(static_cast<std::size_t>(task.obstacles)))
            record.discs.push_back(
                {static_cast<double>(disc.x), static_cast<double>(disc.y), static_cast<double>(disc.radius)});
    }
    std::array<double, 2> position(const TaskRecord&, PointNavigation::State state) const {
        return {static_cast<double>(state.x), static_cast<double>(state.y)};
    }
    template <class Task>
    static std::array<float, 2> action(const Task& task, int column) {
        return task.action_at(0, column);
    }
    /// Whether it is near the goal at the end.
    static bool reached(const TaskRecord& record, std::array<double, 2> position, bool, float) {
        return std::hypot(position[0] - record.goal[0], position[1] - record.goal[1]) < 0.1;
    }

private:
    PointNavigation with_goal(float x, float y) const;
    Outcome<void> place_obstacles(const PointWorldSettings& how, Stream& random);
    bool on_obstacle(float x, float y, float room) const;

    PointNavigation common_;
    std::vector<PointNavigation> training_, held_out_;
};

}  // namespace dunlin

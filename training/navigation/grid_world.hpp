// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "rl/actor_critic.hpp"
#include "training/navigation/grid_evaluation.hpp"
#include "training/navigation/map_set.hpp"
#include "training/navigation/navigation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

/// A map by a built-in name or from a file. Errors name the setting, the line, what stands there and what is
/// expected.
Outcome<StoredMap> read_map(const std::string& name_or_path, std::string_view setting = "environment.map");
/// The map that the settings environment.map and environment.rows name: the rows, where there are any. Errors name
/// the setting.
Outcome<StoredMap> map_of(const std::string& name, const std::vector<std::string>& rows);

/// A map with tasks on it, as navigation training sees them. A trained task is judged exactly, by dynamic
/// programming.
class GridWorld {
public:
    using Environment = GridNavigation;
    using Policy = ActorCritic<CategoricalPolicy<float>>;

    /// Errors name the setting, file and line that is wrong.
    static Outcome<GridWorld> make(const NavigationSettings& settings);
    /// A policy that fits the world. Error: a shape that is none.
    Outcome<Policy> policy(const NavigationSettings& settings, const Kernels<float>* kernels) const;

    std::vector<GridNavigation> environments(TaskSet set) const;
    std::vector<std::string> names(TaskSet set) const;
    const GridTask* grid_task(TaskSet set, int number) const {
        return &tasks(set)[static_cast<std::size_t>(number)];
    }
    /// Its number; NavigationTraining::add_held_out says what a description is.
    Outcome<int> add_held_out(const std::string& description);

    /// What a user should know of the maps: a sentence each.
    const std::vector<std::string>& notes() const { return map_notes_; }

    int distinct_tasks(TaskSet set) const { return dunlin::distinct_tasks(tasks(set)); }
    /// Whether a held-out task is one of those of training.
    bool trained_on(int number) const { return contains(training_, held_out_[static_cast<std::size_t>(number)]); }
    /// Bytes that `threads` exact evaluations take at once.
    std::size_t evaluation_bytes(int threads) const {
        const auto cells = static_cast<std::size_t>(map_.rows) * static_cast<std::size_t>(map_.columns);
        return static_cast<std::size_t>(threads) *
               (cells * static_cast<std::size_t>(common_.action_count()) + grid_scratch(static_cast<int>(cells))) *
               sizeof(double);
    }
    /// Multiply-adds of one exact evaluation, but for the policy's own; 0: it is done however often it is asked
    /// for.
    double planning_work() const {
        const double cells = static_cast<double>(map_.rows) * map_.columns;
        return cells <= small_map_cells ? 0.0 : cells * common_.horizon * 2.0 * common_.action_count();
    }

    /// Exactly, and over ten trajectories. The first time that a task is judged its optimum is planned.
    template <class Task>
    TaskOutcome judge(TaskSet set, int number, ConstVector<float> theta, Task& task, Stream& random,
                      StopAsked stop) {
        const auto at = static_cast<std::size_t>(number);
        const GridEvaluation exact = evaluate_exactly(task.policy(), task.environment(), theta, stop);
        TaskOutcome outcome;
        outcome.expected_return = exact.expected_return;
        outcome.success = exact.success;
        outcome.optimal_return = optimum(set, at, stop);
        outcome.sampled_return = mean_of_ten(task, theta, random);
        return outcome;
    }

    /// What `shared_policy` of the training tasks reaches on every task of a set; empty where it does not exist.
    std::vector<TaskOutcome> single_policy(TaskSet set, StopAsked stop);

    /// Writes what does not change along a trajectory.
    void describe(TaskSet set, int number, TaskRecord& record) const;
    std::array<double, 2> position(const TaskRecord& record, GridNavigation::State cell) const {
        return {static_cast<double>(cell / record.columns), static_cast<double>(cell % record.columns)};
    }
    template <class Task>
    static std::array<float, 2> action(const Task& task, int column) {
        return {static_cast<float>(task.rollout(0).action(column)), 0.0f};
    }
    static bool reached(const TaskRecord& record, std::array<double, 2> position, bool before, float) {
        return before || position == record.goal;
    }

    /// Planned the first time that it is asked for.
    double optimum(TaskSet set, std::size_t number, StopAsked stop) {
        double& known = (set == TaskSet::training ? training_optima_ : held_out_optima_)[number];
        if (std::isnan(known)) known = optimal_return(tasks(set)[number].environment(), stop);
        return known;
    }

private:
    static constexpr double small_map_cells = 1024;

    Outcome<void> add_scenarios(const NavigationSettings& settings);
    Outcome<void> add_maps(const NavigationSettings& settings, Stream& random);
    Outcome<GridTask> parse_task(const std::string& description) const;
    Outcome<void> check_memory(int tasks) const;
    void make_room_for_optima();

    template <class Task>
    static double mean_of_ten(Task& task, ConstVector<float> theta, Stream& random) {
        task.draw(0, theta, random);
        const auto& rollout = task.rollout(0);
        double sum = 0, factor = 1;
        for (int h = 0; h < rollout.length(); ++h, factor *= static_cast<double>(task.environment().discount())) {
            for (int k = 0; k < rollout.active(h); ++k) {
                const int column = rollout.first(h) + k;
                if (rollout.trajectory(column) < 10) sum += factor * static_cast<double>(rollout.reward(column));
            }
        }
        return sum / std::min(10, rollout.trajectories());
    }

    const std::vector<GridTask>& tasks(TaskSet set) const {
        return set == TaskSet::training ? training_ : held_out_;
    }

    StoredMap map_;
    GridTaskSettings common_;
    std::vector<GridTask> training_, held_out_;
    std::vector<NamedMap> maps_;  ///< of a set, to train on and then held out
    std::vector<std::string> training_on_,
        held_out_on_;  ///< the map of each task, by name; empty: there is one map
    std::vector<std::string> map_notes_;
    std::vector<double> training_optima_, held_out_optima_;  ///< NaN: not planned yet
    std::optional<std::vector<double>> shared_policy_;       ///< once it was asked for
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/navigation.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dunlin {

/// All that a world has to train on, which may be more than it shows and judges.
template <class World>
decltype(auto) training_pool(const World& world) {
    if constexpr (requires { world.training_pool(); })
        return world.training_pool();
    else
        return world.environments(TaskSet::training);
}

/// Errors: settings that do not fit a policy with a memory.
Outcome<void> check_recurrent(const NavigationSettings& settings);
Outcome<RecurrentPolicy<float>> recurrent_policy(const NavigationSettings& settings, int observations, int actions,
                                                 const Kernels<float>* kernels);
/// A trial is rl.inner_steps trajectories and one more.
RecurrentSettings recurrent_settings(const NavigationSettings& settings);

/// A recurrent policy on the tasks of a world. What other methods do by an inner step it does by a trajectory: the k-th
/// outcome of a task is that of the trajectory after k others in the same trial.
template <class World>
class RecurrentTraining final : public NavigationTraining {
public:
    using E = typename World::Environment;
    using Trainer = RecurrentTrainer<E>;

    RecurrentTraining(const NavigationSettings& settings, World world, const RecurrentPolicy<float>& policy,
                      const RecurrentSettings& how, int threads)
        : NavigationTraining(settings),
          world_(std::move(world)),
          trainer_(policy, how, settings.seed, settings.output_gain, threads, training_pool(world_)) {}

    Outcome<void> iterate() override {
        return trainer_.iterate().map_error([this](const Error& error) {
            return dunlin::describe(error,
                                    fmt::format("training stopped in iteration {}", trainer_.iteration() + 1));
        });
    }
    std::int64_t iteration() const override { return trainer_.iteration(); }
    std::int64_t environment_steps() const override { return trainer_.environment_steps(); }
    std::int64_t gradients() const override { return trainer_.gradients(); }
    std::int64_t adaptation_environment_steps() const override { return trainer_.adaptation_environment_steps(); }
    std::vector<std::string> task_names(TaskSet set) const override { return world_.names(set); }
    int distinct_tasks(TaskSet set) const override { return world_.distinct_tasks(set); }
    bool trained_on(int held_out) const override { return world_.trained_on(held_out); }
    void stop_when(StopAsked stop) override {
        stop_ = stop;
        trainer_.stop_when(stop);
    }
    bool stopped() const override { return stop_(); }
    int evaluation_interval() const override { return settings_.evaluate_every; }

    std::vector<std::vector<TaskOutcome>> evaluate(TaskSet set, int steps, std::uint64_t epoch, bool last_only,
                                                   StartPolicy start) override {
        std::vector<E> environments = world_.environments(set);
        if constexpr (requires { World::judged(environments.front()); })
            for (E& environment : environments) environment = World::judged(environment);
        const std::vector<float> untrained =
            start == StartPolicy::untrained ? trainer_.first_parameters() : std::vector<float>{};
        const ConstVector<float> from = start == StartPolicy::untrained ? untrained : trainer_.parameters();
        std::vector<std::vector<TaskOutcome>> outcomes(environments.size());
        trainer_.trials(from, environments, steps + 1, epoch, [&](int number, const RecurrentTask<E>& task) {
            const auto at = static_cast<std::size_t>(number);
            for (int k = last_only ? steps : 0; k <= steps; ++k) {
                TaskOutcome outcome;
                outcome.expected_return = outcome.success = 0;
                for (int trial = 0; trial < task.trials(); ++trial) {
                    outcome.expected_return += static_cast<double>(task.episode_return(trial, k)) / task.trials();
                    outcome.success += (task.episode_success(trial, k) ? 1.0 : 0.0) / task.trials();
                }
                outcome.sampled_return = outcome.expected_return;
                outcome.optimal_return = world_.optimum(set, at, stop_);
                outcomes[at].push_back(outcome);
            }
        });
        return outcomes;
    }
    std::vector<TaskOutcome> best_single_policy(TaskSet set) override { return world_.single_policy(set, stop_); }
    /// None: what a policy with a memory does is not the same from one trajectory to the next.
    std::vector<TaskRecord> record(TaskSet, int, int, std::size_t, StartPolicy) override { return {}; }

    Outcome<int> add_held_out(const std::string& description) override { return world_.add_held_out(description); }
    const GridTask* grid_task(TaskSet set, int number) const override { return world_.grid_task(set, number); }

    const MlpShape& shape() const override { return no_perceptron_; }
    const NetworkShape* network() const override { return &trainer_.policy().shape; }
    bool continuous() const override { return false; }
    bool evaluates_per_state() const override { return false; }
    std::string kernels() const override { return trainer_.policy().kernels->name; }
    ConstVector<float> parameters() const override { return trainer_.parameters(); }
    ConstVector<float> adaptation_numbers() const override { return {}; }
    MetaTrainerState save() override { return trainer_.save(); }
    Result<void> restore(const MetaTrainerState& state) override { return trainer_.restore(state); }

private:
    World world_;
    Trainer trainer_;
    MlpShape no_perceptron_;
    StopAsked stop_ = never_asked;
};

}  // namespace dunlin

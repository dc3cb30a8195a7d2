// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "envs/rule_planning.hpp"
#include "rl/actor_critic.hpp"
#include "training/navigation/navigation.hpp"

#include <array>
#include <string>
#include <vector>

namespace dunlin {

/// Generated rule worlds, as navigation training sees them: tasks to train on by number, and others whose rules are of another
/// part of all rules. A trained task is judged by what its policy samples; the optimum is planned, or bounded.
class RuleTasks {
public:
    using Environment = RuleWorld;
    using Policy = ActorCritic<CategoricalPolicy<float>>;

    static Outcome<RuleTasks> make(const NavigationSettings& settings);
    Outcome<Policy> policy(const NavigationSettings& settings, const Kernels<float>* kernels) const;

    const std::vector<RuleWorld>& environments(TaskSet set) const {
        return set == TaskSet::training ? training_ : held_out_;
    }
    /// All that are trained on, of which the first ones are judged.
    const std::vector<RuleWorld>& training_pool() const { return pool_; }
    std::vector<std::string> names(TaskSet set) const;
    static const GridTask* grid_task(TaskSet, int) { return nullptr; }
    /// "number=N" of the held-out part, and by choice "seed=S".
    Outcome<int> add_held_out(const std::string& description);

    /// By the rule and the kinds of objects that lie there.
    int distinct_tasks(TaskSet set) const;
    /// Whether a training task has its rule.
    bool trained_on(int number) const;
    static std::size_t evaluation_bytes(int) { return 0; }
    static double planning_work() { return 0; }
    /// None is known beforehand; one that is learned is `rl.method = "joint"`.
    static std::vector<TaskOutcome> single_policy(TaskSet, StopAsked) { return {}; }

    template <class Task>
    TaskOutcome judge(TaskSet set, int number, ConstVector<float> theta, Task& task, Stream& random,
                      StopAsked stop) {
        task.set_environment(judged(environments(set)[static_cast<std::size_t>(number)]));
        const auto& rollout = task.rollout(0);
        const int batches = (judged_trajectories + rollout.trajectories() - 1) / rollout.trajectories();
        TaskOutcome outcome;
        outcome.expected_return = outcome.success = 0;
        for (int batch = 0; batch < batches; ++batch) {
            task.draw(0, theta, random);
            outcome.expected_return -= static_cast<double>(task.value(0, theta)) / batches;
            int ended = 0;
            for (int h = 0; h < rollout.length(); ++h) {
                for (int k = 0; k < rollout.active(h); ++k) ended += rollout.reward(rollout.first(h) + k) >= 1.0f;
            }
            outcome.success += static_cast<double>(ended) / (rollout.trajectories() * batches);
        }
        outcome.sampled_return = outcome.expected_return;
        outcome.optimal_return = optimum(set, static_cast<std::size_t>(number), stop);
        return outcome;
    }
    /// The best discounted return of the goal's reward, or a bound of it. Planned the first time.
    double optimum(TaskSet set, std::size_t number, StopAsked stop);
    /// Without what training pays for rules.
    static RuleWorld judged(RuleWorld world) {
        world.rule_reward = 0.0f;
        return world;
    }

    void describe(TaskSet set, int number, TaskRecord& record) const;
    std::array<double, 2> position(const TaskRecord&, const RuleWorld::State& state) const {
        return {static_cast<double>(state.agent / RuleWorld::stride),
                static_cast<double>(state.agent % RuleWorld::stride)};
    }
    template <class Task>
    static std::array<float, 2> action(const Task& task, int column) {
        return {static_cast<float>(task.rollout(0).action(column)), 0.0f};
    }
    /// Positions do not tell: a step that pays for the goal does.
    static bool reached(const TaskRecord&, std::array<double, 2>, bool before, float reward) {
        return before || reward >= 1.0f;
    }

private:
    static constexpr int judged_trajectories = 64;  ///< at least

    std::string name(const RuleWorld& world) const;

    RuleWorldSettings settings_;
    std::uint64_t seed_ = 1;
    RuleSplit part_ = RuleSplit::test;
    std::vector<RuleWorld> pool_, training_, held_out_;
    std::vector<double> training_optima_, held_out_optima_;  ///< NaN: not planned yet
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/meta_judgement.hpp"
#include "training/problems/federated_result.hpp"
#include "training/problems/run_figures.hpp"

#include <string>
#include <vector>

namespace dunlin {

/// What the report of meta-training is written from.
struct MetaReport {
    NavigationTraining& training;
    const FederatedResult& result;
    const MetaJudgement& end;
    double adaptation_steps;
    std::vector<std::string> names = training.task_names(TaskSet::training);

    const NavigationSettings& settings() const { return training.settings(); }
    /// Are optimum and success known, of the optimum perhaps a bound alone?
    bool exact() const { return settings().world != World::point; }
    /// Sampled returns otherwise.
    bool planned() const { return settings().world == World::grid && training.network() == nullptr; }
    /// Where the reward is dense, a share of the optimum is earned by standing near: success comes first.
    bool dense() const { return settings().reward == Reward::dense; }
    /// What held-out tasks are judged by.
    std::string held_out_title() const {
        if (!exact()) return "return, sum over the horizon";
        return dense() ? "success" : "return as a share of the optimum";
    }
    double held_out_value(const TaskOutcome& task) const {
        if (!exact()) return task.expected_return;
        return dense() ? task.success : task.ratio();
    }
    /// Rule worlds lie otherwise in every trajectory, and a policy with a memory does otherwise.
    bool draws_maps() const { return settings().world != World::rules && training.network() == nullptr; }
    bool has_baselines() const { return end.untrained.size() == end.tasks.size() && !end.tasks.empty(); }
    bool has_single() const { return end.single_policy.size() == end.tasks.size() && !end.tasks.empty(); }
    std::size_t unseen() const { return end.held_out.size(); }
};

/// Each training task over iterations: its return, and that as a share of the optimum.
FigureChart returns_chart(const MetaReport& report);
FigureChart shares_chart(const MetaReport& report);
/// Held-out tasks, of which there are some, after each inner step: mean and range.
FigureChart held_out_chart(const MetaReport& report);
/// Their mean over training. Without two points it says nothing.
FigureChart held_out_curve(const MetaReport& report);
/// Trajectories of the first tasks, if there was time for them.
void add_map(const MetaReport& report, FigureSection& section, FigureMap map, StartPolicy start);

/// Measures and curves of a comparison; of tasks that were judged.
void compare_meta(const MetaReport& report, RunFigures& figures);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/navigation.hpp"

#include <string>
#include <vector>

/// What a meta-policy is measured against: the untrained policy under the same adaptation, and one policy for all
/// training tasks without any.
namespace dunlin {

/// Means over tasks; NaN of none.
struct TaskMeans {
    double expected_return = TaskOutcome::none;
    double ratio = TaskOutcome::none;  ///< share of the optimum
    double success = TaskOutcome::none;
    double worst_ratio = TaskOutcome::none;
};

/// NaN where there is nothing to take the mean of.
TaskMeans means(const std::vector<TaskOutcome>& tasks);

using OutcomesByStep = std::vector<std::vector<TaskOutcome>>;  ///< [task][inner step]
/// After the last inner step. Empty where a task was left off.
std::vector<TaskOutcome> last_of_each(const OutcomesByStep& outcomes);

/// How a meta-policy does after a fresh adaptation. Empty where it was not measured.
struct MetaJudgement {
    std::vector<TaskOutcome> tasks;  ///< of training
    OutcomesByStep held_out;
    // Of the policy that training began with, by the same adaptation and the same draws.
    std::vector<TaskOutcome> untrained;
    OutcomesByStep held_out_untrained;
    // Of one policy for all training tasks, without adaptation.
    std::vector<TaskOutcome> single_policy, held_out_single;
};

/// Where meta-training stands between the untrained policy under the same adaptation and the optimum:
///
///     (J - J0) / (J* - J0)
///
/// Below 0: it harms. NaN where J* is not known or J0 reaches it.
double normalised_gain(const TaskOutcome& trained, const TaskOutcome& untrained);

/// A sentence, without a full stop, for each set of tasks on which the untrained policy under the same adaptation does
/// better than the trained one: on average, by more than a hundredth of success (where the reward is dense), of the
/// optimum, or of the return.
std::vector<std::string> harms(const NavigationSettings& settings, const MetaJudgement& judged);

}  // namespace dunlin

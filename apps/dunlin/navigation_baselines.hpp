// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/navigation_run.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

/// What a navigation run is measured against: the untrained policy under the same adaptation, and one policy for all
/// training tasks without any.
namespace dunlin::app {

/// NaN where there is nothing to take the mean of.
TaskMeans means(const std::vector<TaskOutcome>& tasks);
/// After the last inner step: outcomes[task][inner step]. Empty where a task was left off.
std::vector<TaskOutcome> last_of_each(const std::vector<std::vector<TaskOutcome>>& outcomes);

/// Where meta-training stands between the untrained policy under the same adaptation and the optimum:
///
///     (J - J0) / (J* - J0)
///
/// Below 0: it harms. NaN where J* is not known or J0 reaches it.
double normalised_gain(const TaskOutcome& trained, const TaskOutcome& untrained);

/// A sentence for each set of tasks on which the untrained policy under the same adaptation does better than the
/// trained one: on average, by more than a hundredth of success (where the reward is dense), of the optimum, or of
/// the return.
std::vector<std::string> harms(const NavigationResult& result);

/// Adds what the baselines reach to the JSON of a task; null where it was not measured.
void add_baselines(nlohmann::ordered_json& entry, const TaskOutcome& trained, const TaskOutcome* untrained,
                   const TaskOutcome* single);

}  // namespace dunlin::app

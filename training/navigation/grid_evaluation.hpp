// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/grid_planning.hpp"
#include "rl/policy.hpp"

#include <span>
#include <vector>

namespace dunlin {

/// pi(a | s) of a perceptron policy in every state of a grid task, state_count() x action_count(), as exact
/// planning takes it.
std::vector<double> action_probabilities(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                         ConstVector<float> parameters);

/// Exact return and success of a perceptron policy on a grid task; NaN where it was left off. Takes 88 bytes a
/// cell.
GridEvaluation evaluate_exactly(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                ConstVector<float> parameters, StopAsked stop = never_asked);

/// One policy for tasks of one size, made with all that is known of them: by exact gradient steps (Adam on the logits
/// of a table, from the uniform policy) on
///
///     mean over tasks i of  J_i(pi) / J*_i
///
/// the best of what it passed. Tasks differ in what one state asks for, so the objective is not concave: this is a
/// maximum nearby, which no policy of a network that does not adapt is likely to pass. `optima` are the J*_i, above
/// 0 (tasks where nothing can be earned are left out). Of many tasks each step looks at some in turn, as many as there
/// is time for; empty where a step cannot look at three, or when it was left off. state_count() x action_count() probabilities.
std::vector<double> shared_policy(std::span<const GridNavigation> tasks, std::span<const double> optima,
                                  StopAsked stop = never_asked);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/grid_planning.hpp"
#include "rl/policy.hpp"

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

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_navigation.hpp"

#include <span>
#include <vector>

namespace dunlin {

/// Exact answers about a grid task by dynamic programming over its horizon, in double. For hosts: these allocate. A
/// policy is state_count() x action_count() probabilities, the actions of one state side by side, the same at every
/// step of a trajectory. The return is that of the paper, discounted from the first step on:
///
///     J = E[ sum over l < H of gamma^l r^l ],  over starts, actions, slip and wind
///
/// The environment's probabilities are taken as its settings say; its draws differ from them by less than 2^-23.
struct GridEvaluation {
    double expected_return = 0.0;  ///< J
    double success = 0.0;          ///< probability that some step within the horizon ends on the goal
};
GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy);

/// The largest J of all policies, also of those that count the steps left; with the starts as they are drawn.
double optimal_return(const GridNavigation& task);

/// The gradient of J by the logits z of the policy softmax(z), state_count() x action_count():
///
///     dJ/dz(s, a) = pi(a|s) sum over l < H of gamma^l P(s^l = s) (Q^l(s, a) - V^l(s))
///
/// where only trajectories that have not ended count. Takes memory for horizon * state_count() doubles.
std::vector<double> policy_gradient(const GridNavigation& task, std::span<const double> policy);

}  // namespace dunlin

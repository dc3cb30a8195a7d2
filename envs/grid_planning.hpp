// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_returns.hpp"

#include <span>
#include <vector>

namespace dunlin {

/// Exact answers about a grid task (grid_returns.hpp says what they mean), for hosts: these allocate.
GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy,
                               StopAsked stop = never_asked);
double optimal_return(const GridNavigation& task, StopAsked stop = never_asked);

/// The gradient of J by the logits z of the policy softmax(z), state_count() x action_count():
///
///     dJ/dz(s, a) = pi(a|s) sum over l < H of gamma^l P(s^l = s) (Q^l(s, a) - V^l(s))
///
/// where only trajectories that have not ended count. Takes memory for horizon * state_count() doubles.
std::vector<double> policy_gradient(const GridNavigation& task, std::span<const double> policy);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "envs/grid_navigation.hpp"

#include <cstddef>
#include <span>

namespace dunlin {

/// What a policy is worth on a grid task, exactly, by dynamic programming over its horizon, in double. A policy is
/// state_count() x action_count() probabilities, the actions of one state side by side, the same at every step of a
/// trajectory. The return is that of the paper, discounted from the first step on:
///
///     J = E[ sum over l < H of gamma^l r^l ],  over starts, actions, slip and wind
///
/// The environment's probabilities are taken as its settings say; its draws differ from them by less than 2^-23.
/// Freestanding: a board judges itself with the same numbers as a host.
struct GridEvaluation {
    double expected_return = 0.0;  ///< J; NaN: left off
    double success = 0.0;          ///< probability that some step within the horizon ends on the goal
};

/// Doubles of scratch that both functions need.
constexpr std::size_t grid_scratch(int states) {
    return static_cast<std::size_t>(states) * 6;
}

/// `stop` is asked once a step of the horizon; at its yes planning is left off, with NaN. Takes horizon * (cells
/// connected with the goal) * 5 steps of work.
GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy,
                               std::span<double> scratch, StopAsked stop = never_asked);

/// The largest J of all policies, also of those that count the steps left; with the starts as they are drawn.
double optimal_return(const GridNavigation& task, std::span<double> scratch, StopAsked stop = never_asked);

}  // namespace dunlin

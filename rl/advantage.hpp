// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "rl/rollout.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// A value network as a baseline.
struct ValueSettings {
    float trace_decay = 0.95f;  ///< lambda of the advantages, in [0, 1]; 1: rewards to go minus values
    float weight =
        0.05f;  ///< >= 0: of the squared error of values in the loss, so that values learn by inner steps
    /// What is a trajectory worth that the horizon cut: its last state's value (the horizon is a limit of patience), or
    /// nothing (it is the task's own end)? One that the environment ended is worth nothing either way.
    bool bootstrap = false;
};

/// Generalised advantage estimation,
///
///     delta^h = r^h + gamma V(s^{h+1}) - V(s^h),   A^h = sum over l >= 0 of (gamma lambda)^l delta^{h+l}
///
/// Sets every column's weight to gamma^h A^h, as rewards to go are discounted from time 0 (Rollout), and its target, what V
/// should have said, to A^h + V(s^h). `values` and `targets` are by column. `next` holds, by trajectory, what the state is
/// worth where it stopped: 0 where it ended; it is written over, as is `sums`, which holds as many.
///
/// Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", equation 16.
template <class S>
void weigh_by_advantage(Rollout<S>& rollout, float discount, float trace_decay, ConstVector<S> values,
                        Vector<S> next, Vector<S> sums, Vector<S> targets) {
    std::fill(sums.begin(), sums.end(), S(0));
    for (int h = rollout.length() - 1; h >= 0; --h) {
        for (int c = rollout.first(h); c < rollout.first(h) + rollout.active(h); ++c) {
            const auto column = static_cast<std::size_t>(c);
            const auto t = static_cast<std::size_t>(rollout.trajectory(c));
            const S delta = S(rollout.reward(c)) + S(discount) * next[t] - values[column];
            sums[t] = delta + S(discount) * S(trace_decay) * sums[t];
            next[t] = values[column];
            rollout.weight(c) = sums[t];
            targets[column] = sums[t] + values[column];
        }
    }
    S factor = 1;
    for (int h = 0; h < rollout.length(); ++h, factor *= S(discount)) {
        for (int c = rollout.first(h); c < rollout.first(h) + rollout.active(h); ++c) rollout.weight(c) *= factor;
    }
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "rl/rollout.hpp"

#include <cstdint>

namespace dunlin {

/// How the rewards to go are centred, so that the policy gradient varies less.
enum class Baseline : std::uint8_t {
    none,
    leave_one_out,  ///< the mean, at the same time, over the other trajectories that still run; unbiased
    linear,         ///< least squares on features of observation and time (Duan et al. 2016), fitted to the batch
    value           ///< a value network, with generalised advantages (rl/advantage.hpp); of a policy with a critic
};

/// Subtracts the leave-one-out baseline from the weights. A trajectory that runs alone has none.
template <class S>
void subtract_leave_one_out(Rollout<S>& rollout);

/// Subtracts the least-squares fit of the weights on the features (each observation, its square, t, t^2, t^3, 1)
/// with t = h/H. `observations` holds, step after step, matrices of `size` rows as Rollout lays its columns out.
/// `size` is at most linear_baseline_limit. Fitted to the batch that it serves, it has a bias of order 1/D, as in
/// the literature.
inline constexpr int linear_baseline_limit = 12;
constexpr int linear_features(int size) {
    return 2 * size + 4;
}
template <class S>
void subtract_linear_fit(Rollout<S>& rollout, const S* observations, int size, S* features);

}  // namespace dunlin

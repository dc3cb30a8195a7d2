// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/privacy/sampled_gaussian.hpp"

namespace dunlin {

/// (epsilon, delta) of `steps` sums in each of which every unit may take part (rate 1), exactly: they tell as much as one
/// with noise s = sigma / sqrt(steps), of which
///
///     delta(epsilon) = Phi(1 / (2 s) - epsilon s) - e^epsilon Phi(-1 / (2 s) - epsilon s)
///
/// Rounded up. Source: Balle, Wang 2018, theorem 8; that Gaussian steps compose into one: Dong, Roth, Su 2022, corollary 3.3.
/// Takes microseconds. Noise is above 0, steps are at least 1, and delta has been checked. Where s is below 0.05, what Renyi
/// divergence bounds it by.
double epsilon_gaussian(double noise, std::int64_t steps, double delta);

}  // namespace dunlin

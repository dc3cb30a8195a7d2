// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>

namespace dunlin {

/// What is released: a sum of contributions of norm at most 1, with Gaussian noise, `steps` times. Each time a unit (a
/// user, or a row) takes part with chance `rate`, by itself and hidden from whoever sees the sums. Neighbouring data
/// differ by one unit that is added or removed.
struct SampledGaussian {
    double noise =
        1;  ///< sigma: its standard deviation, as a multiple of the norm that contributions are clipped to
    double rate = 1;  ///< q in (0, 1]
    std::int64_t steps = 1;

    static constexpr double least_noise = 0.1, most_noise = 1e4, least_rate = 1e-9;
    static constexpr std::int64_t step_limit = 10'000'000;
    static constexpr double least_delta = 1e-12;

    /// Errors: a number outside these limits.
    Outcome<void> check() const;

    /// log of E over z ~ N(0, sigma^2) of (P(z) / Q(z))^order, where Q = N(0, sigma^2) and P = (1 - q) Q + q N(1, sigma^2):
    ///
    ///     P(z) / Q(z) = 1 - q + q exp((2 z - 1) / (2 sigma^2))
    ///
    /// for any real order. Source: Mironov, Talwar, Zhang 2019, eq. 8, by the trapezoid rule, which converges faster
    /// than any power of its step where the integrand is analytic (Trefethen, Weideman 2014).
    double log_moment(double order) const;
};

/// Errors: a delta outside [1e-12, 1).
Outcome<void> check_delta(double delta);

/// The noise at which `epsilon_of` is `epsilon`, a little above rather than below. `mechanism.noise` is not looked at.
/// Errors: of the mechanism; an epsilon that no noise within the limits gives.
Outcome<double> noise_for(SampledGaussian mechanism, double epsilon, double delta);

}  // namespace dunlin

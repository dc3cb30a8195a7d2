// SPDX-License-Identifier: Apache-2.0
#include "training/privacy/gaussian.hpp"

#include "training/privacy/renyi.hpp"

#include <cmath>

namespace dunlin {
namespace {

double normal_below(double x) {
    return std::erfc(-x / std::sqrt(2.0)) / 2;
}

double delta_of(double s, double epsilon) {
    const double above = normal_below(-1 / (2 * s) - epsilon * s);
    return normal_below(1 / (2 * s) - epsilon * s) - (above > 0 ? std::exp(epsilon + std::log(above)) : 0.0);
}

}  // namespace

double epsilon_gaussian(double noise, std::int64_t steps, double delta) {
    constexpr double least = 0.05, rounding = 1 + 1e-9;
    const double s = noise / std::sqrt(static_cast<double>(steps));
    if (s < least) {
        SampledGaussian mechanism;
        mechanism.noise = noise;
        mechanism.steps = steps;
        return epsilon_rdp(mechanism, delta).epsilon;
    }
    // At the upper end delta is far below what is asked for: s >= 0.05 and delta >= 1e-12.
    double low = 0, high = 1 / (2 * s * s) + 8 / s;
    for (int halving = 0; halving < 100; ++halving) {
        const double middle = (low + high) / 2;
        (delta_of(s, middle) > delta ? low : high) = middle;
    }
    return high * rounding;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/privacy/renyi.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dunlin {
namespace {

std::vector<double> orders() {
    std::vector<double> all;
    for (int tenth = 11; tenth < 120; ++tenth) all.push_back(tenth / 10.0);
    for (int order = 12; order < 64; ++order) all.push_back(order);
    for (double order = 64; order <= 1024; order *= std::sqrt(2.0)) all.push_back(std::round(order));
    return all;
}

/// The binomial sum of whole orders (eq. 10), exact where the integral would need a million points.
double log_moment_of_whole(const SampledGaussian& mechanism, int order) {
    const double q = mechanism.rate, variance = mechanism.noise * mechanism.noise;
    std::vector<double> logs;
    for (int k = 0; k <= order; ++k) {
        logs.push_back(std::lgamma(order + 1.0) - std::lgamma(k + 1.0) - std::lgamma(order - k + 1.0) +
                       (order - k) * std::log1p(-q) + k * std::log(q) + k * (k - 1.0) / (2 * variance));
    }
    const double most = *std::ranges::max_element(logs);
    double sum = 0;
    for (double one : logs) sum += std::exp(one - most);
    return most + std::log(sum);
}

}  // namespace

double renyi_divergence(const SampledGaussian& mechanism, double order) {
    const bool whole = order == std::floor(order) && mechanism.rate < 1;
    const double moment =
        whole ? log_moment_of_whole(mechanism, static_cast<int>(order)) : mechanism.log_moment(order);
    return std::max(0.0, moment / (order - 1));
}

RenyiBound epsilon_rdp(const SampledGaussian& mechanism, double delta) {
    RenyiBound best{HUGE_VAL, 0};
    for (double order : orders()) {
        const double spent = static_cast<double>(mechanism.steps) * renyi_divergence(mechanism, order);
        const double epsilon =
            spent + std::log((order - 1) / order) - (std::log(delta) + std::log(order)) / (order - 1);
        if (epsilon < best.epsilon) best = {epsilon, order};
    }
    best.epsilon = std::max(best.epsilon, 0.0);
    return best;
}

}  // namespace dunlin

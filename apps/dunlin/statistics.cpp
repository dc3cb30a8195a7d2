// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/statistics.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace dunlin::app {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// The q-quantile of sorted values, between neighbours by a straight line.
double quantile(const std::vector<double>& sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto k = static_cast<std::size_t>(at);
    if (k + 1 == sorted.size()) return sorted.back();
    return sorted[k] + (at - static_cast<double>(k)) * (sorted[k + 1] - sorted[k]);
}

}  // namespace

Estimate bootstrap(std::span<const double> sample, const Statistic& statistic) {
    if (sample.empty()) return {none, none, none};
    const double value = statistic(sample);
    if (sample.size() < 2) return {value, none, none};
    constexpr int resamples = 2000;
    Stream random(1, 0, Purpose::user);
    std::vector<double> values, drawn(sample.size());
    for (int k = 0; k < resamples; ++k) {
        for (double& one : drawn) one = sample[random.below(static_cast<std::uint32_t>(sample.size()))];
        values.push_back(statistic(drawn));
    }
    std::ranges::sort(values);
    return {value, quantile(values, 0.025), quantile(values, 0.975)};
}

double mean_of(std::span<const double> sample) {
    if (sample.empty()) return none;
    return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double interquartile_mean(std::span<const double> sample) {
    std::vector<double> sorted(sample.begin(), sample.end());
    std::ranges::sort(sorted);
    const std::size_t left_out = sorted.size() / 4;
    return mean_of(std::span(sorted).subspan(left_out, sorted.size() - 2 * left_out));
}

double probability_of_improvement(std::span<const double> first, std::span<const double> second) {
    if (first.empty() || second.empty()) return none;
    double sum = 0;
    for (const double x : first) {
        for (const double y : second) sum += x > y ? 1.0 : x == y ? 0.5 : 0.0;
    }
    return sum / (static_cast<double>(first.size()) * static_cast<double>(second.size()));
}

std::vector<double> profile(std::span<const double> values, std::span<const double> thresholds) {
    std::vector<double> shares;
    for (const double threshold : thresholds) {
        const auto above = std::ranges::count_if(values, [&](double value) { return value > threshold; });
        shares.push_back(static_cast<double>(above) / static_cast<double>(values.size()));
    }
    return shares;
}

}  // namespace dunlin::app

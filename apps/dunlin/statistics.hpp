// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

/// What few runs say about methods, as reviewers accept it. Source: Agarwal et al. 2021, "Deep Reinforcement Learning
/// at the Edge of the Statistical Precipice".
namespace dunlin::app {

/// A statistic of a sample, with its 95 % interval by the percentile bootstrap: 2,000 samples drawn with repetition
/// from the sample, the same draws for the same length. NaN of nothing; the interval is NaN for fewer than two.
struct Estimate {
    double value, low, high;

    /// Whether the interval leaves 0 out.
    bool significant() const { return low > 0 || high < 0; }
};
using Statistic = std::function<double(std::span<const double>)>;
Estimate bootstrap(std::span<const double> sample, const Statistic& statistic);

double mean_of(std::span<const double> sample);
/// The interquartile mean: of the middle half, a quarter of the runs being left out at each end.
double interquartile_mean(std::span<const double> sample);

/// The probability that a run of the first method does better than one of the second, ties counting half:
///
///     mean over runs i of the first, j of the second of  [x_i > y_j] + [x_i = y_j] / 2
double probability_of_improvement(std::span<const double> first, std::span<const double> second);

/// A performance profile: the share of the values above each threshold.
std::vector<double> profile(std::span<const double> values, std::span<const double> thresholds);

}  // namespace dunlin::app

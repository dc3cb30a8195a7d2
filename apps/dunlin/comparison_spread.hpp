// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

/// What the table, the files and the pictures of a comparison have in common.
namespace dunlin::app {

/// Values of the seeds that gave one.
struct Spread {
    std::vector<double> values;

    double mean() const {
        return values.empty()
                   ? std::numeric_limits<double>::quiet_NaN()
                   : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    }
    /// Sample standard deviation; NaN for fewer than two.
    double deviation() const {
        if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
        const double middle = mean();
        double sum = 0;
        for (double value : values) sum += (value - middle) * (value - middle);
        return std::sqrt(sum / static_cast<double>(values.size() - 1));
    }
    double low() const {
        return values.empty() ? std::numeric_limits<double>::quiet_NaN() : *std::ranges::min_element(values);
    }
    double high() const {
        return values.empty() ? std::numeric_limits<double>::quiet_NaN() : *std::ranges::max_element(values);
    }
    void add(double value) {
        if (std::isfinite(value)) values.push_back(value);
    }
};

/// A run with numbers, whose measures and curves name those of all; null when there is none yet.
const TrialResult* example(const Comparison& comparison);
/// A measure of a combination, over its seeds.
Spread spread(const Comparison& comparison, std::size_t combination, std::size_t measure);

}  // namespace dunlin::app

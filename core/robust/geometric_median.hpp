// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/rows.hpp"

namespace dunlin {

/// The point with the smallest sum of distances to all rows, by Weiszfeld's iteration from their mean, distances smoothed
/// at `smoothing` times the mean one:
///
///     v := sum_i x_i / max(nu, |x_i - v|)  /  sum_i 1 / max(nu, |x_i - v|)
///
/// Source: Pillutla, Kakade, Harchaoui 2022, algorithm 2. Takes `iteration_limit` steps at most, and stops when one
/// moves v by less than a millionth of the mean distance.
inline void geometric_median(const Rows& rows, Vector<float> out, const RobustScratch& scratch) {
    constexpr int iteration_limit = 100;
    constexpr double smoothing = 1e-4;
    mean_of(
        rows, rows.count, [](std::size_t i) { return i; }, out);
    for (int iteration = 0; iteration < iteration_limit; ++iteration) {
        double mean_distance = 0;
        for (std::size_t i = 0; i < rows.count; ++i) {
            scratch.values[i] = std::sqrt(squared_distance(rows.row(i), out));
            mean_distance += scratch.values[i] / static_cast<double>(rows.count);
        }
        if (mean_distance == 0) return;
        double weights = 0;
        for (std::size_t i = 0; i < rows.count; ++i) {
            scratch.values[i] = 1 / std::max(scratch.values[i], smoothing * mean_distance);
            weights += scratch.values[i];
        }
        double moved = 0;
        for (std::size_t k = 0; k < rows.dimension; ++k) {
            double sum = 0;
            for (std::size_t i = 0; i < rows.count; ++i)
                sum += scratch.values[i] * static_cast<double>(rows.data[i * rows.dimension + k]);
            const double next = sum / weights, step = next - static_cast<double>(out[k]);
            moved += step * step;
            out[k] = static_cast<float>(next);
        }
        if (std::sqrt(moved) < 1e-6 * mean_distance) return;
    }
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/rows.hpp"

namespace dunlin {

/// Scales a vector down to a norm of at most `radius`.
inline void clip_to(double radius, Vector<float> x) {
    const double norm = std::sqrt(squared_norm(x));
    if (norm <= radius) return;
    const auto scale = static_cast<float>(radius / norm);
    for (float& value : x) value *= scale;
}

/// Adaptive robust clipping: the floor(2 liars/count (count - liars)) rows of the largest norms are scaled down to the norm
/// of the next one. Source: Allouah et al. 2025 (ARC), algorithm 2.
inline void clip_adaptively(const Rows& rows, std::size_t liars, const RobustScratch& scratch) {
    const std::size_t clipped = 2 * liars * (rows.count - liars) / rows.count;
    for (std::size_t i = 0; i < rows.count; ++i) scratch.values[i] = squared_norm(rows.row(i));
    scratch.sort_by(rows.count, [&](std::size_t i) { return scratch.values[i]; });
    const double radius =
        std::sqrt(scratch.values[scratch.indices[rows.count - 1 - std::min(clipped, rows.count - 1)]]);
    for (std::size_t i = 0; i < rows.count; ++i) clip_to(radius, rows.row(i));
}

/// Centred clipping: from `out`, the last round's, steps of the mean of clipped differences:
///
///     v := v + (1/count) sum_i (x_i - v) min(1, tau / |x_i - v|)
///
/// Source: Karimireddy, He, Jaggi 2021, algorithm 2. tau is `radius`; 0: the median distance of the rows to v, anew for
/// each step, of which half of the rows cannot be moved away.
inline void centred_clipping(const Rows& rows, double radius, Vector<float> out, const RobustScratch& scratch) {
    constexpr int iterations = 5;
    for (int iteration = 0; iteration < iterations; ++iteration) {
        for (std::size_t i = 0; i < rows.count; ++i)
            scratch.values[i] = std::sqrt(squared_distance(rows.row(i), out));
        scratch.sort_by(rows.count, [&](std::size_t i) { return scratch.values[i]; });
        const double tau = radius > 0 ? radius : scratch.values[scratch.indices[(rows.count - 1) / 2]];
        for (std::size_t i = 0; i < rows.count; ++i)
            scratch.values[i] = scratch.values[i] <= tau ? 1 : tau / scratch.values[i];
        for (std::size_t k = 0; k < rows.dimension; ++k) {
            double step = 0;
            for (std::size_t i = 0; i < rows.count; ++i)
                step += scratch.values[i] *
                        (static_cast<double>(rows.data[i * rows.dimension + k]) - static_cast<double>(out[k]));
            out[k] += static_cast<float>(step / static_cast<double>(rows.count));
        }
    }
}

}  // namespace dunlin

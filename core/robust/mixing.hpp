// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "core/robust/rows.hpp"

namespace dunlin {

/// Replaces each row by the mean of the count - liars rows nearest to it, itself among them, which brings honest members
/// with unlike data together before a robust sum looks for outliers. Source: Allouah et al. 2023 (NNM), algorithm 2.
inline void mix_nearest(const Rows& rows, std::size_t liars, const RobustScratch& scratch) {
    pairwise_distances(rows, scratch.distances);
    for (std::size_t i = 0; i < rows.count; ++i) {
        const double* const own = scratch.distances + i * rows.count;
        scratch.sort_by(rows.count, [&](std::size_t j) { return j == i ? -1.0 : own[j]; });
        mean_of(
            rows, rows.count - liars, [&](std::size_t j) { return scratch.indices[j]; }, scratch.rows.row(i));
    }
    std::copy_n(scratch.rows.data, rows.count * rows.dimension, rows.data);
}

/// Replaces the rows by means of `size` of them, drawn without replacement; the last one may be of fewer. Returns what is
/// left, at the rows' front. Source: Karimireddy, He, Jaggi 2022 (bucketing), algorithm 1.
inline Rows mix_in_buckets(const Rows& rows, std::size_t size, Stream& random, const RobustScratch& scratch) {
    for (std::size_t i = 0; i < rows.count; ++i) scratch.indices[i] = i;
    for (std::size_t i = rows.count; i > 1; --i)
        std::swap(scratch.indices[i - 1], scratch.indices[random.below(static_cast<std::uint32_t>(i))]);
    Rows means{rows.data, (rows.count + size - 1) / size, rows.dimension};
    for (std::size_t bucket = 0; bucket < means.count; ++bucket) {
        const std::size_t first = bucket * size, count = std::min(size, rows.count - first);
        mean_of(
            rows, count, [&](std::size_t i) { return scratch.indices[first + i]; }, scratch.rows.row(bucket));
    }
    std::copy_n(scratch.rows.data, means.count * rows.dimension, rows.data);
    return means;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/rows.hpp"

namespace dunlin {

/// The mean of the `kept` rows whose squared distances to their count - liars - 2 nearest others sum up to least: Krum
/// with kept = 1, multi-Krum with kept = count - liars. Source: Blanchard et al. 2017, sections 3 and 5. There are at
/// least liars + 3 rows.
inline void krum(const Rows& rows, std::size_t liars, std::size_t kept, Vector<float> out,
                 const RobustScratch& scratch) {
    pairwise_distances(rows, scratch.distances);
    const std::size_t near = rows.count - liars - 2;
    for (std::size_t i = 0; i < rows.count; ++i) {
        const double* const own = scratch.distances + i * rows.count;
        scratch.sort_by(rows.count, [&](std::size_t j) { return j == i ? -1.0 : own[j]; });
        scratch.values[i] = 0;
        for (std::size_t k = 1; k <= near; ++k) scratch.values[i] += own[scratch.indices[k]];
    }
    scratch.sort_by(rows.count, [&](std::size_t i) { return scratch.values[i]; });
    mean_of(
        rows, kept, [&](std::size_t i) { return scratch.indices[i]; }, out);
}

}  // namespace dunlin

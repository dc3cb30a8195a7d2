// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/trimmed_mean.hpp"

namespace dunlin {

/// In every coordinate the median; of an even number of rows the mean of both middle ones. Source: Yin et al. 2018,
/// definition 1: it is a trimmed mean of which one or two values are left.
inline void coordinate_median(const Rows& rows, Vector<float> out, const RobustScratch& scratch) {
    trimmed_mean(rows, (rows.count - 1) / 2, out, scratch);
}

}  // namespace dunlin

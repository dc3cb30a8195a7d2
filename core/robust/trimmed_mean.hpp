// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/rows.hpp"

namespace dunlin {

/// In every coordinate the mean without the `trimmed` smallest and the `trimmed` largest values. Source: Yin et al. 2018,
/// definition 2. 2 * trimmed < rows.count.
inline void trimmed_mean(const Rows& rows, std::size_t trimmed, Vector<float> out, const RobustScratch& scratch) {
    for (std::size_t k = 0; k < rows.dimension; ++k) {
        for (std::size_t i = 0; i < rows.count; ++i)
            scratch.values[i] = static_cast<double>(rows.data[i * rows.dimension + k]);
        std::sort(scratch.values, scratch.values + rows.count);
        double sum = 0;
        for (std::size_t i = trimmed; i < rows.count - trimmed; ++i) sum += scratch.values[i];
        out[k] = static_cast<float>(sum / static_cast<double>(rows.count - 2 * trimmed));
    }
}

}  // namespace dunlin

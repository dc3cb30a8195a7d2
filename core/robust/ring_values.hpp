// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace dunlin {

/// Numbers as integers that are summed up modulo 2^ring_bits, so that masks cancel exactly:
///
///     q = round(x / u) w      u = range / 2^(value_bits - 1), x clipped to [-range, range]
///
/// for a member of weight w, an integer. Sums of n members are right while n w 2^(value_bits - 1) < 2^(ring_bits - 1).
struct RingValues {
    std::uint32_t ring_bits = 32;  ///< 32 or 64
    std::uint32_t value_bits = 20;
    float range = 4.0f;
    std::uint32_t largest_weight = 1;

    static constexpr std::uint32_t least_bits = 8, most_bits = 30;

    double unit() const { return std::ldexp(static_cast<double>(range), 1 - static_cast<int>(value_bits)); }
    std::size_t bytes() const { return ring_bits / 8; }
    bool valid() const {
        return (ring_bits == 32 || ring_bits == 64) && value_bits >= least_bits && value_bits <= most_bits &&
               range > 0.0f && range <= 1e6f && largest_weight > 0;
    }
    /// The narrowest ring that holds the sum of so many members; 0: none does.
    std::uint32_t ring_for(std::uint64_t members) const {
        const double most = std::ldexp(static_cast<double>(members) * static_cast<double>(largest_weight),
                                       static_cast<int>(value_bits) - 1);
        return most < 0x1p31 ? 32 : most < 0x1p62 ? 64 : 0;
    }
    /// Writes q to `out`, modulo 2^64; answers how many numbers were clipped. A NaN is clipped to 0.
    std::size_t to_ring(ConstVector<float> x, std::uint32_t weight, std::span<std::uint64_t> out) const {
        const double per_unit = 1.0 / unit();
        std::size_t clipped = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
            const float value = x[k] == x[k] ? std::clamp(x[k], -range, range) : 0.0f;
            if (!(value == x[k])) ++clipped;
            const auto rounded = static_cast<std::int64_t>(std::nearbyint(static_cast<double>(value) * per_unit));
            out[k] = static_cast<std::uint64_t>(rounded * static_cast<std::int64_t>(weight));
        }
        return clipped;
    }
    /// A sum modulo 2^ring_bits, as the number between -2^(ring_bits - 1) and 2^(ring_bits - 1) that it stands for.
    std::int64_t from_ring(std::uint64_t sum) const {
        return ring_bits == 32
                   ? static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(sum)))
                   : static_cast<std::int64_t>(sum);
    }
};

}  // namespace dunlin

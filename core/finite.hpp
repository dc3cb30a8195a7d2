// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/vector.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace dunlin {

inline constexpr float largest_finite = 0x1.fffffep127f;

/// The index of the first value whose magnitude exceeds `limit` >= 0, as NaN and infinity always do, or
/// values.size(). Without its sign bit a float's bits order as its magnitude does, NaN on top, so that one addition
/// carries into the sign where the limit is exceeded; lanes collect the signs, which any vector unit can do.
inline std::size_t first_beyond(ConstVector<float> values, float limit) {
    const auto excess = [room = 0x7fffffffu - std::bit_cast<std::uint32_t>(limit)](float value) {
        return room + (std::bit_cast<std::uint32_t>(value) & 0x7fffffffu);
    };
    constexpr std::size_t lanes = 16;
    std::uint32_t signs[lanes] = {};
    std::size_t k = 0;
    for (; k + lanes <= values.size(); k += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) signs[lane] |= excess(values[k + lane]);
    }
    std::uint32_t any = 0;
    for (const std::uint32_t sign : signs) any |= sign;
    if (any >> 31 != 0) k = 0;  // somewhere: look for the first
    while (k < values.size() && excess(values[k]) >> 31 == 0) ++k;
    return k;
}

inline tl::unexpected<Error> wrong_size(std::size_t found, std::size_t expected) {
    return fail(Code::shape_mismatch, static_cast<std::int64_t>(found), static_cast<std::int64_t>(expected));
}

/// Is this `size` finite numbers? Errors: shape_mismatch, not_finite.
[[gnu::noinline]] inline Result<void> check_finite(ConstVector<float> values, std::size_t size) {
    if (values.size() != size) return wrong_size(values.size(), size);
    const std::size_t bad = first_beyond(values, largest_finite);
    if (bad < size) return fail(Code::not_finite, static_cast<std::int64_t>(bad));
    return {};
}

}  // namespace dunlin

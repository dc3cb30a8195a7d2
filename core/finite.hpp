// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dunlin {

inline constexpr float largest_finite = 0x1.fffffep127f;

/// The index of the first value whose magnitude exceeds `limit` >= 0, as NaN and infinity always do, or
/// values.size(). Without its sign bit a float's bits order as its magnitude does, NaN on top, so the search is a
/// maximum over integers, which vectorises.
inline std::size_t first_beyond(ConstVector<float> values, float limit) {
    const auto magnitude = [](float value) { return std::bit_cast<std::uint32_t>(value) & 0x7fffffffu; };
    const std::uint32_t most = magnitude(limit);
    std::uint32_t largest = 0;
    for (const float value : values) largest = std::max(largest, magnitude(value));
    if (largest <= most) return values.size();
    std::size_t k = 0;
    while (magnitude(values[k]) <= most) ++k;
    return k;
}

inline tl::unexpected<Error> wrong_size(std::size_t found, std::size_t expected) {
    return fail(Code::shape_mismatch, static_cast<std::int64_t>(found), static_cast<std::int64_t>(expected));
}

/// Is this `size` finite numbers? Errors: shape_mismatch, not_finite.
inline Result<void> check_finite(ConstVector<float> values, std::size_t size) {
    if (values.size() != size) return wrong_size(values.size(), size);
    const std::size_t bad = first_beyond(values, largest_finite);
    if (bad < size) return fail(Code::not_finite, static_cast<std::int64_t>(bad));
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <cstdint>
#include <optional>

namespace dunlin {

/// Which of a stream's samples are kept where there is room for `capacity`: after any number of them each is kept with
/// the same probability. Says where a new one goes; the memory is the caller's.
///
/// Source: Vitter 1985, Random sampling with a reservoir, Algorithm R.
struct Reservoir {
    std::uint32_t capacity = 0;
    std::uint32_t offered = 0;  ///< so far; at 2^32 - 1 it stays

    std::uint32_t kept() const { return offered < capacity ? offered : capacity; }

    /// The place of the next sample, or nothing: it is not kept.
    std::optional<std::uint32_t> place(Stream& random) {
        if (offered < capacity) return offered++;
        if (offered + 1 != 0) ++offered;
        const std::uint32_t at = random.below(offered);
        return at < capacity ? std::optional(at) : std::nullopt;
    }
};

}  // namespace dunlin

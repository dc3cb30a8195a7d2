// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hooks.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace dunlin::device {

/// 16 bytes that were never given before: of the board's generator, else of its counter. False where it has neither,
/// and a sealed line may have no session.
inline bool fresh_number(std::span<std::byte, 16> to) {
    if (dunlin_entropy(to.data(), to.size()) == 1) return true;
    uint64_t next = 0;
    if (dunlin_counter(&next) != 1) return false;
    std::fill(to.begin(), to.end(), std::byte{});
    std::memcpy(to.data(), &next, sizeof next);
    return true;
}

}  // namespace dunlin::device

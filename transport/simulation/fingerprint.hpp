// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dunlin::simulation {

/// A hash with one word more.
constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

/// Of bytes; equal for equal ones on one machine, and no defence against whoever looks for another.
inline std::uint64_t fingerprint(std::span<const std::byte> bytes) {
    std::uint64_t hash = bytes.size();
    while (!bytes.empty()) {
        std::uint64_t word = 0;
        const std::size_t taken = std::min(bytes.size(), sizeof word);
        std::memcpy(&word, bytes.data(), taken);
        hash = mix(hash, word);
        bytes = bytes.subspan(taken);
    }
    return hash;
}

}  // namespace dunlin::simulation

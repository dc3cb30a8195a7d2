// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dunlin {

/// Overwrites a machine's state, a block that begins with `identity_words` 64-bit words which say whose it is, with
/// one stored earlier. Errors: state_size, state_mismatch (first: the word that differs); `block` is then
/// unchanged.
inline Result<void> restore_block(std::span<std::byte> block, std::span<const std::byte> saved,
                                  std::size_t identity_words) {
    if (saved.size() != block.size()) {
        return fail(Code::state_size, static_cast<std::int64_t>(saved.size()),
                    static_cast<std::int64_t>(block.size()));
    }
    for (std::size_t word = 0; word < identity_words; ++word) {
        const std::size_t at = word * sizeof(std::uint64_t);
        if (std::memcmp(block.data() + at, saved.data() + at, sizeof(std::uint64_t)) != 0) {
            return fail(Code::state_mismatch, static_cast<std::int64_t>(word));
        }
    }
    std::memmove(block.data(), saved.data(), saved.size());
    return {};
}

}  // namespace dunlin

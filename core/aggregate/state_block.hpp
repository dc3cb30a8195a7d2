// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dunlin {

/// Finds the pieces of a state block again: as an Arena takes them, but what is in them stays.
class StateView {
public:
    explicit StateView(std::span<std::byte> block) : rest_(block) {}

    template <class T>
    std::span<T> take(std::size_t count) {
        static_assert(std::is_trivially_copyable_v<T>);
        const std::size_t size = Arena::bytes<T>(count);
        if (size > rest_.size()) __builtin_trap();
        const std::span<T> piece(reinterpret_cast<T*>(rest_.data()), count);
        rest_ = rest_.subspan(size);
        return piece;
    }

private:
    std::span<std::byte> rest_;
};

inline tl::unexpected<Error> wrong_state(std::size_t found, std::size_t expected) {
    return fail(Code::state_size, static_cast<std::int64_t>(found), static_cast<std::int64_t>(expected));
}

/// Is this the state of the machine that these words name? Errors: state_mismatch (first: the word that differs).
inline Result<void> check_identity(std::span<const std::byte> block, std::span<const std::uint64_t> identity) {
    for (std::size_t word = 0; word < identity.size(); ++word) {
        if (std::memcmp(block.data() + word * sizeof(std::uint64_t), &identity[word], sizeof(std::uint64_t)) != 0)
            return fail(Code::state_mismatch, static_cast<std::int64_t>(word));
    }
    return {};
}

/// Overwrites a machine's state, a block that begins with `identity_words` 64-bit words which say whose it is, with
/// one stored earlier. Errors: state_size, state_mismatch (first: the word that differs); `block` is then
/// unchanged.
inline Result<void> restore_block(std::span<std::byte> block, std::span<const std::byte> saved,
                                  std::size_t identity_words) {
    if (saved.size() != block.size()) {
        return wrong_state(saved.size(), block.size());
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

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

namespace dunlin {

/// The ChaCha20 generator: under a secret key of 256 bits, bits that nobody without it can tell from random ones. One key
/// is used for one purpose, so the nonce is 0 unless a test says otherwise. All 20 rounds. Source: RFC 8439, section 2.3.
class ChaCha20 {
public:
    using Block = std::array<std::uint32_t, 16>;
    static constexpr std::size_t key_bytes = 32;

    explicit ChaCha20(std::span<const std::byte, key_bytes> key, std::uint32_t first_block = 0,
                      std::array<std::uint32_t, 3> nonce = {}) {
        constexpr std::array<std::uint32_t, 4> constants{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
        for (std::size_t k = 0; k < 4; ++k) state_[k] = constants[k];
        for (std::size_t k = 0; k < 8; ++k) {
            std::uint32_t word = 0;
            for (std::size_t b = 0; b < 4; ++b) word |= std::to_integer<std::uint32_t>(key[4 * k + b]) << (8 * b);
            state_[4 + k] = word;
        }
        state_[12] = first_block;
        for (std::size_t k = 0; k < 3; ++k) state_[13 + k] = nonce[k];
    }

    /// The next 512 bits, as 16 numbers; there are 2^32 blocks of them, 256 GiB.
    Block block() {
        Block x = state_;
        for (int round = 0; round < 10; ++round) {
            for (std::size_t k = 0; k < 4; ++k) quarter(x[k], x[4 + k], x[8 + k], x[12 + k]);
            for (std::size_t k = 0; k < 4; ++k)
                quarter(x[k], x[4 + (k + 1) % 4], x[8 + (k + 2) % 4], x[12 + (k + 3) % 4]);
        }
        for (std::size_t k = 0; k < 16; ++k) x[k] += state_[k];
        ++state_[12];
        return x;
    }

    /// The next 64 bits.
    std::uint64_t operator()() {
        if (used_ == 16) {
            buffer_ = block();
            used_ = 0;
        }
        const std::uint64_t low = buffer_[used_], high = buffer_[used_ + 1];
        used_ += 2;
        return high << 32 | low;
    }

private:
    static void quarter(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
        a += b;
        d = std::rotl(d ^ a, 16);
        c += d;
        b = std::rotl(b ^ c, 12);
        a += b;
        d = std::rotl(d ^ a, 8);
        c += d;
        b = std::rotl(b ^ c, 7);
    }

    Block state_{}, buffer_{};
    std::size_t used_ = 16;
};

}  // namespace dunlin

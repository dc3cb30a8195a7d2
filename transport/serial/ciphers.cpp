// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/ciphers.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dunlin {
namespace {

// Bytes are numbers of a little-endian memory.
static_assert(std::endian::native == std::endian::little);

using Block = std::array<std::uint32_t, 16>;

template <class Number>
Number number(const std::byte* from) {
    Number value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

void quarter_round(Block& s, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 7);
}

/// The constants, the key, and 16 bytes.
Block state_of(const CipherKey& key, const std::byte* rest) {
    Block state{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    std::memcpy(&state[4], key.data(), key.size());
    std::memcpy(&state[12], rest, 16);
    return state;
}

void permute(Block& state) {
    for (int round = 0; round < 10; ++round) {
        for (std::size_t k = 0; k < 4; ++k) quarter_round(state, k, 4 + k, 8 + k, 12 + k);
        for (std::size_t k = 0; k < 4; ++k)
            quarter_round(state, k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4);
    }
}

Block key_stream(const CipherKey& key, std::uint32_t block, std::uint64_t nonce) {
    const std::uint32_t rest[4] = {block, 0, static_cast<std::uint32_t>(nonce),
                                   static_cast<std::uint32_t>(nonce >> 32)};
    const Block first = state_of(key, reinterpret_cast<const std::byte*>(rest));
    Block state = first;
    permute(state);
    for (std::size_t k = 0; k < state.size(); ++k) state[k] += first[k];
    return state;
}

constexpr std::uint32_t limb = (1u << 26) - 1;

struct Sip {
    std::uint64_t v0, v1, v2, v3;

    void rounds(int count) {
        for (; count > 0; --count) {
            v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
            v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
        }
    }
    void take(std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
};

}  // namespace

void SmallCiphers::stream(const CipherKey& key, std::uint64_t nonce, std::size_t at, std::span<std::byte> bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const std::size_t skip = (at + done) % 64, size = std::min(64 - skip, bytes.size() - done);
        const Block block = key_stream(key, static_cast<std::uint32_t>(1 + (at + done) / 64), nonce);
        const auto* stream = reinterpret_cast<const std::byte*>(block.data()) + skip;
        for (std::size_t k = 0; k < size; ++k) bytes[done + k] ^= stream[k];
        done += size;
    }
}

CipherKey SmallCiphers::one_time_key(const CipherKey& key, std::uint64_t nonce) {
    const Block block = key_stream(key, 0, nonce);
    CipherKey made;
    std::memcpy(made.data(), block.data(), made.size());
    return made;
}

CipherKey SmallCiphers::derive(const CipherKey& key, std::span<const std::byte, 16> from) {
    Block state = state_of(key, from.data());
    permute(state);
    CipherKey made;
    std::memcpy(made.data(), &state[0], 16);
    std::memcpy(made.data() + 16, &state[12], 16);
    return made;
}

std::uint64_t SmallCiphers::hash(const TagKey& key, std::span<const std::byte> bytes) {
    const auto k0 = number<std::uint64_t>(key.data()), k1 = number<std::uint64_t>(key.data() + 8);
    Sip sip{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    const std::uint64_t length = std::uint64_t{bytes.size()} << 56;
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) sip.take(number<std::uint64_t>(bytes.data()));
    std::uint64_t last = 0;
    if (!bytes.empty()) std::memcpy(&last, bytes.data(), bytes.size());
    sip.take(last | length);
    sip.v2 ^= 0xff;
    sip.rounds(4);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

SmallCiphers::Authenticator::Authenticator(const CipherKey& key) {
    // r, with the bits cleared that RFC 8439 clears, in five parts of 26 bits.
    const auto low = number<std::uint64_t>(key.data()) & 0x0ffffffc0fffffff;
    const auto high = number<std::uint64_t>(key.data() + 8) & 0x0ffffffc0ffffffc;
    r_ = {static_cast<std::uint32_t>(low) & limb, static_cast<std::uint32_t>(low >> 26) & limb,
          static_cast<std::uint32_t>(low >> 52 | high << 12) & limb, static_cast<std::uint32_t>(high >> 14) & limb,
          static_cast<std::uint32_t>(high >> 40)};
    std::memcpy(pad_.data(), key.data() + 16, 16);
}

/// sum = (sum + block + 2^128) r  mod 2^130 - 5, for each block.
void SmallCiphers::Authenticator::add(std::span<const std::byte> bytes) {
    for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(16, bytes.size()))) {
        std::array<std::byte, 16> block{};
        std::memcpy(block.data(), bytes.data(), std::min(block.size(), bytes.size()));
        const auto low = number<std::uint64_t>(block.data()), high = number<std::uint64_t>(block.data() + 8);
        sum_[0] += static_cast<std::uint32_t>(low) & limb;
        sum_[1] += static_cast<std::uint32_t>(low >> 26) & limb;
        sum_[2] += static_cast<std::uint32_t>(low >> 52 | high << 12) & limb;
        sum_[3] += static_cast<std::uint32_t>(high >> 14) & limb;
        sum_[4] += static_cast<std::uint32_t>(high >> 40) | 1u << 24;
        std::array<std::uint32_t, 5> product;
        std::uint64_t carry = 0;
        for (std::size_t k = 0; k < 5; ++k) {
            for (std::size_t j = 0; j < 5; ++j) {
                // What goes beyond 2^130 comes back five times.
                const std::uint32_t factor = j <= k ? r_[k - j] : 5 * r_[5 + k - j];
                carry += std::uint64_t{sum_[j]} * factor;
            }
            product[k] = static_cast<std::uint32_t>(carry) & limb;
            carry >>= 26;
        }
        carry = product[0] + 5 * carry;
        product[0] = static_cast<std::uint32_t>(carry) & limb;
        product[1] += static_cast<std::uint32_t>(carry >> 26);
        sum_ = product;
    }
}

std::array<std::byte, 16> SmallCiphers::Authenticator::tag() {
    // Twice around, and every part has its 26 bits.
    for (int round = 0; round < 2; ++round) {
        std::uint32_t carry = 0;
        for (std::uint32_t& part : sum_) {
            part += carry;
            carry = part >> 26;
            part &= limb;
        }
        sum_[0] += 5 * carry;
    }
    // sum - (2^130 - 5) where that is not negative, chosen without a branch.
    std::array<std::uint32_t, 5> less;
    std::uint32_t carry = 5;
    for (std::size_t k = 0; k < 5; ++k) {
        less[k] = sum_[k] + carry;
        carry = less[k] >> 26;
        less[k] &= limb;
    }
    const std::uint32_t take = 0u - carry;
    for (std::size_t k = 0; k < 5; ++k) sum_[k] = (less[k] & take) | (sum_[k] & ~take);
    const std::uint32_t words[4] = {sum_[0] | sum_[1] << 26, sum_[1] >> 6 | sum_[2] << 20,
                                    sum_[2] >> 12 | sum_[3] << 14, sum_[3] >> 18 | sum_[4] << 8};
    std::array<std::byte, 16> made;
    std::uint64_t total = 0;
    for (std::size_t k = 0; k < 4; ++k) {
        total = (total >> 32) + words[k] + pad_[k];
        const auto word = static_cast<std::uint32_t>(total);
        std::memcpy(made.data() + 4 * k, &word, 4);
    }
    return made;
}

}  // namespace dunlin

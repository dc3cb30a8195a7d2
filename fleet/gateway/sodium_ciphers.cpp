// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/sodium_ciphers.hpp"

#include <algorithm>
#include <cstring>

#include <sodium.h>

namespace dunlin {
namespace {

template <class Bytes>
auto* raw(Bytes&& bytes) {
    if constexpr (std::is_const_v<std::remove_pointer_t<decltype(bytes.data())>>)
        return reinterpret_cast<const unsigned char*>(bytes.data());
    else
        return reinterpret_cast<unsigned char*>(bytes.data());
}

using State = crypto_onetimeauth_poly1305_state;

State* state_of(std::span<std::byte> bytes) {
    return reinterpret_cast<State*>(bytes.data());
}

struct Nonce {
    std::array<unsigned char, crypto_stream_chacha20_ietf_NONCEBYTES> bytes{};
    explicit Nonce(std::uint64_t nonce) { std::memcpy(bytes.data() + 4, &nonce, sizeof nonce); }
};

}  // namespace

void SodiumCiphers::stream(const CipherKey& key, std::uint64_t nonce, std::size_t at, std::span<std::byte> bytes) {
    const Nonce of(nonce);
    const auto apply = [&](std::span<std::byte> to, std::size_t from) {
        crypto_stream_chacha20_ietf_xor_ic(raw(to), raw(to), to.size(), of.bytes.data(),
                                           static_cast<std::uint32_t>(1 + from / 64), raw(key));
    };
    // Up to where a block begins.
    if (const std::size_t skip = at % 64; skip != 0) {
        std::array<std::byte, 64> block{};
        const std::size_t size = std::min(block.size() - skip, bytes.size());
        std::copy_n(bytes.begin(), size, block.begin() + static_cast<std::ptrdiff_t>(skip));
        apply(block, at);
        std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(skip), size, bytes.begin());
        bytes = bytes.subspan(size);
        at += size;
    }
    if (!bytes.empty()) apply(bytes, at);
}

CipherKey SodiumCiphers::one_time_key(const CipherKey& key, std::uint64_t nonce) {
    CipherKey made{};
    const Nonce of(nonce);
    crypto_stream_chacha20_ietf_xor_ic(raw(made), raw(made), made.size(), of.bytes.data(), 0, raw(key));
    return made;
}

CipherKey SodiumCiphers::derive(const CipherKey& key, std::span<const std::byte, 16> from) {
    CipherKey made;
    crypto_core_hchacha20(raw(made), raw(from), raw(key), nullptr);
    return made;
}

std::uint64_t SodiumCiphers::hash(const TagKey& key, std::span<const std::byte> bytes) {
    std::uint64_t made = 0;
    crypto_shorthash_siphash24(reinterpret_cast<unsigned char*>(&made), raw(bytes), bytes.size(), raw(key));
    return made;
}

SodiumCiphers::Authenticator::Authenticator(const CipherKey& one_time_key) {
    static_assert(sizeof(State) <= sizeof state_ && alignof(State) <= 16);
    crypto_onetimeauth_poly1305_init(state_of(state_), raw(one_time_key));
}

void SodiumCiphers::Authenticator::add(std::span<const std::byte> bytes) {
    crypto_onetimeauth_poly1305_update(state_of(state_), raw(bytes), bytes.size());
    constexpr std::array<unsigned char, 16> zeros{};
    if (bytes.size() % 16 != 0)
        crypto_onetimeauth_poly1305_update(state_of(state_), zeros.data(), 16 - bytes.size() % 16);
}

std::array<std::byte, 16> SodiumCiphers::Authenticator::tag() {
    std::array<std::byte, 16> made;
    crypto_onetimeauth_poly1305_final(state_of(state_), raw(made));
    return made;
}

bool SodiumCiphers::fresh(std::span<std::byte, 16> to) {
    if (sodium_init() < 0) return false;
    randombytes_buf(to.data(), to.size());
    return true;
}

}  // namespace dunlin

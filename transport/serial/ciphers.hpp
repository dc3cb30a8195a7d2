// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

using CipherKey = std::array<std::byte, 32>;
using TagKey = std::array<std::byte, 16>;

/// ChaCha20, Poly1305 and SipHash for processors without a library: small, without tables, and without a branch or an
/// address that depends on a secret. Multiplication of 32 by 32 bits is taken to last the same whatever the numbers; on
/// a Cortex-M3 it does not. Hosts take libsodium's (fleet/gateway/sodium_ciphers.hpp), which has the same members.
struct SmallCiphers {
    /// XORs bytes with ChaCha20's key stream from its byte `at` on, a multiple of 16: 0 is where block 1 begins, as RFC
    /// 8439, section 2.8, has it for messages. The nonce is four zeros and `nonce`, little-endian.
    static void stream(const CipherKey& key, std::uint64_t nonce, std::size_t at, std::span<std::byte> bytes);
    /// The one-time key of Poly1305 (RFC 8439, section 2.6): block 0.
    static CipherKey one_time_key(const CipherKey& key, std::uint64_t nonce);
    /// HChaCha20 (draft-irtf-cfrg-xchacha, section 2.2): a key from a key and 16 bytes.
    static CipherKey derive(const CipherKey& key, std::span<const std::byte, 16> from);
    /// SipHash-2-4 (Aumasson and Bernstein 2012).
    static std::uint64_t hash(const TagKey& key, std::span<const std::byte> bytes);

    /// Poly1305 (RFC 8439, section 2.5), fed with whole blocks of 16 bytes: what is shorter is filled up with zeros, as
    /// the AEAD does between its parts.
    class Authenticator {
    public:
        explicit Authenticator(const CipherKey& one_time_key);
        void add(std::span<const std::byte> bytes);
        std::array<std::byte, 16> tag();

    private:
        std::array<std::uint32_t, 5> r_{}, sum_{};  ///< 26 bits each
        std::array<std::uint32_t, 4> pad_{};
    };
};

}  // namespace dunlin

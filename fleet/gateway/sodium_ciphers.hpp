// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/serial/ciphers.hpp"

namespace dunlin {

/// SmallCiphers' members by libsodium, for hosts.
struct SodiumCiphers {
    static void stream(const CipherKey& key, std::uint64_t nonce, std::size_t at, std::span<std::byte> bytes);
    static CipherKey one_time_key(const CipherKey& key, std::uint64_t nonce);
    static CipherKey derive(const CipherKey& key, std::span<const std::byte, 16> from);
    static std::uint64_t hash(const TagKey& key, std::span<const std::byte> bytes);

    class Authenticator {
    public:
        explicit Authenticator(const CipherKey& one_time_key);
        void add(std::span<const std::byte> bytes);
        std::array<std::byte, 16> tag();

    private:
        alignas(16) std::array<std::byte, 256> state_;  ///< libsodium's
    };

    /// 16 bytes of the operating system's generator.
    static bool fresh(std::span<std::byte, 16> to);
};

}  // namespace dunlin

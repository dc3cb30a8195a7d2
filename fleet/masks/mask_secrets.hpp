// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace dunlin {

/// The cryptography of masked sums, by libsodium: X25519, BLAKE2b, XChaCha20-Poly1305, ChaCha20.

/// 256 bits: a secret, a public key, a commitment.
using MaskKey = std::array<std::byte, 32>;

/// Fills memory with secrets: of the operating system's generator, of another one in tests alone.
using SecretSource = std::function<void(std::span<std::byte>)>;
void system_secrets(std::span<std::byte> out);

/// Overwrites it so that no compiler leaves it out.
void wipe(std::span<std::byte> secret);

/// What a key is for: the job's nonce, the attempt, the version of the model, the group, and whose it is.
struct MaskContext {
    std::uint64_t nonce = 0, attempt = 0, version = 0;
    std::uint32_t from = 0, to = 0;
};

MaskKey public_key(const MaskKey& secret);
/// A key that both owners of two pairs find and nobody else does; nothing where the other's is no key.
std::optional<MaskKey> shared_key(const MaskKey& secret, const MaskKey& others, std::string_view purpose,
                                  const MaskContext& context);
/// A key out of a secret; also a commitment to it, for another purpose.
MaskKey derived_key(const MaskKey& secret, std::string_view purpose, const MaskContext& context);

/// Encrypts under a key that is used once in each direction between its two owners. `sealed` has 16 bytes more.
void seal(const MaskKey& key, bool upwards, std::span<const std::byte> plain, std::span<std::byte> sealed);
/// False: it was not sealed under this key and in this direction, or was changed.
bool unseal(const MaskKey& key, bool upwards, std::span<const std::byte> sealed, std::span<std::byte> plain);

/// Adds the key's ChaCha20 stream to the sum, or takes it off: a number of `ring_bits` bits, 32 or 64, to each of those
/// that lie in its memory (ring_words.hpp).
void add_mask(const MaskKey& key, bool negative, std::uint32_t ring_bits, std::span<std::uint64_t> sum);

}  // namespace dunlin

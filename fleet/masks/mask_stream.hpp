// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/masks/mask_secrets.hpp"

namespace dunlin {

/// Bytes that one step of the wide kernel makes: 16 blocks.
inline constexpr std::size_t mask_step = 1024;

/// Adds the beginning of the key's ChaCha20 stream (RFC 8439, nonce 0, from block 0) to numbers as they lie in memory
/// (ring_words.hpp), or takes it off. sum.size() is a multiple of mask_step. Only where `has_wide_stream()`: by AVX-512.
void add_stream_wide(const MaskKey& key, bool negative, std::uint32_t ring_bits, std::span<std::byte> sum);
bool has_wide_stream();

/// The same for any size, from block `first` on, by libsodium.
void add_stream(const MaskKey& key, std::uint32_t first, bool negative, std::uint32_t ring_bits,
                std::span<std::byte> sum);

}  // namespace dunlin

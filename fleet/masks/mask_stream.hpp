// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/masks/mask_secrets.hpp"

namespace dunlin {

/// Bytes that one step of the widest kernel makes: 16 blocks.
inline constexpr std::size_t mask_step = 1024;

/// Writes a part of the key's ChaCha20 stream (RFC 8439, nonce 0) to `out`, from its block `first` on. out.size() is a
/// multiple of mask_step. By AVX-512 where the processor has it, else by libsodium; the bytes are the same.
void fill_stream(const MaskKey& key, std::uint32_t first, std::span<std::byte> out);

/// The two, for tests. The first one only where `has_wide_stream()`.
void fill_stream_wide(const MaskKey& key, std::uint32_t first, std::span<std::byte> out);
void fill_stream_sodium(const MaskKey& key, std::uint32_t first, std::span<std::byte> out);
bool has_wide_stream();

}  // namespace dunlin

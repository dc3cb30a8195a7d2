// SPDX-License-Identifier: Apache-2.0
#include "fleet/masks/mask_secrets.hpp"

#include "fleet/masks/mask_stream.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include <sodium.h>

namespace dunlin {
namespace {

static_assert(std::endian::native == std::endian::little, "masks are little-endian");
static_assert(sizeof(MaskKey) == crypto_scalarmult_BYTES &&
              sizeof(MaskKey) == crypto_stream_chacha20_ietf_KEYBYTES);

void need_sodium() {
    static const bool ready = sodium_init() >= 0;
    if (!ready) std::abort();
}

const unsigned char* raw(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

MaskKey hash(const MaskKey& key, std::string_view purpose, const MaskContext& context,
             std::span<const std::byte> more = {}) {
    MaskKey out;
    crypto_generichash_state state;
    crypto_generichash_init(&state, raw(key.data()), key.size(), out.size());
    const std::uint64_t size = purpose.size();
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(purpose.data()), purpose.size());
    const std::uint64_t words[] = {context.nonce, context.attempt, context.version,
                                   std::uint64_t{context.from} << 32 | context.to};
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(words), sizeof words);
    crypto_generichash_update(&state, raw(more.data()), more.size());
    crypto_generichash_final(&state, raw(out.data()), out.size());
    return out;
}

}  // namespace

void system_secrets(std::span<std::byte> out) {
    need_sodium();
    randombytes_buf(out.data(), out.size());
}

void wipe(std::span<std::byte> secret) {
    sodium_memzero(secret.data(), secret.size());
}

MaskKey public_key(const MaskKey& secret) {
    need_sodium();
    MaskKey out;
    crypto_scalarmult_base(raw(out.data()), raw(secret.data()));
    return out;
}

std::optional<MaskKey> shared_key(const MaskKey& secret, const MaskKey& others, std::string_view purpose,
                                  const MaskContext& context) {
    need_sodium();
    MaskKey common;
    if (crypto_scalarmult(raw(common.data()), raw(secret.data()), raw(others.data())) != 0) return std::nullopt;
    const MaskKey out = hash(common, purpose, context);
    wipe(common);
    return out;
}

MaskKey derived_key(const MaskKey& secret, std::string_view purpose, const MaskContext& context) {
    need_sodium();
    return hash(secret, purpose, context);
}

void seal(const MaskKey& key, bool upwards, std::span<const std::byte> plain, std::span<std::byte> sealed) {
    const unsigned char once[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = {upwards};
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw(sealed.data()), nullptr, raw(plain.data()), plain.size(),
                                               nullptr, 0, nullptr, once, raw(key.data()));
}

bool unseal(const MaskKey& key, bool upwards, std::span<const std::byte> sealed, std::span<std::byte> plain) {
    const unsigned char once[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = {upwards};
    return crypto_aead_xchacha20poly1305_ietf_decrypt(raw(plain.data()), nullptr, nullptr, raw(sealed.data()),
                                                      sealed.size(), nullptr, 0, once, raw(key.data())) == 0;
}

void add_mask(const MaskKey& key, bool negative, std::uint32_t ring_bits, std::span<std::uint64_t> sum) {
    need_sodium();
    const std::span<std::byte> all = std::as_writable_bytes(sum);
    const std::size_t wide = has_wide_stream() ? all.size() / mask_step * mask_step : 0;
    constexpr std::size_t block = 64;
    add_stream_wide(key, negative, ring_bits, all.first(wide));
    add_stream(key, static_cast<std::uint32_t>(wide / block), negative, ring_bits, all.subspan(wide));
}

}  // namespace dunlin

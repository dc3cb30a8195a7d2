// SPDX-License-Identifier: Apache-2.0
#include "fleet/masks/mask_stream.hpp"

#include <cassert>
#include <cstring>

#include <sodium.h>

namespace dunlin {

#if defined(__x86_64__)
bool has_wide_stream() {
    static const bool has = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    }();
    return has;
}
#else
bool has_wide_stream() {
    return false;
}
void fill_stream_wide(const MaskKey& key, std::uint32_t first, std::span<std::byte> out) {
    fill_stream_sodium(key, first, out);
}
#endif

void fill_stream_sodium(const MaskKey& key, std::uint32_t first, std::span<std::byte> out) {
    constexpr unsigned char nonce[crypto_stream_chacha20_ietf_NONCEBYTES] = {};
    auto* const bytes = reinterpret_cast<unsigned char*>(out.data());
    std::memset(bytes, 0, out.size());
    crypto_stream_chacha20_ietf_xor_ic(bytes, bytes, out.size(), nonce, first,
                                       reinterpret_cast<const unsigned char*>(key.data()));
}

void fill_stream(const MaskKey& key, std::uint32_t first, std::span<std::byte> out) {
    assert(out.size() % mask_step == 0);
    has_wide_stream() ? fill_stream_wide(key, first, out) : fill_stream_sodium(key, first, out);
}

}  // namespace dunlin

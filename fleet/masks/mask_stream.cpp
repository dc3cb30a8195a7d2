// SPDX-License-Identifier: Apache-2.0
#include "fleet/masks/mask_stream.hpp"

#include "fleet/masks/ring_words.hpp"

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
void add_stream_wide(const MaskKey& key, bool negative, std::uint32_t ring_bits, std::span<std::byte> sum) {
    add_stream(key, 0, negative, ring_bits, sum);
}
#endif

void add_stream(const MaskKey& key, std::uint32_t first, bool negative, std::uint32_t ring_bits,
                std::span<std::byte> sum) {
    constexpr unsigned char nonce[crypto_stream_chacha20_ietf_NONCEBYTES] = {};
    constexpr std::size_t at_once = 16384, block = 64;
    alignas(64) std::byte stream[at_once];
    auto* const bytes = reinterpret_cast<unsigned char*>(stream);
    for (std::size_t done = 0; done < sum.size(); done += at_once) {
        const std::span<std::byte> part = sum.subspan(done, std::min(sum.size() - done, at_once));
        std::memset(bytes, 0, part.size());
        crypto_stream_chacha20_ietf_xor_ic(bytes, bytes, part.size(), nonce, first,
                                           reinterpret_cast<const unsigned char*>(key.data()));
        first += static_cast<std::uint32_t>(at_once / block);
        add_numbers(ring_bits, std::span<const std::byte>(stream).first(part.size()), negative, part);
    }
    wipe(stream);
}

}  // namespace dunlin

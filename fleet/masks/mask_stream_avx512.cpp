// SPDX-License-Identifier: Apache-2.0
// Sixteen blocks of ChaCha20 at once, one in each lane (libsodium makes eight by AVX2, in more than twice the time).
#include "fleet/masks/mask_stream.hpp"

#include <cstring>

#include <immintrin.h>

namespace dunlin {
namespace {

using Lanes = __m512i;

inline void quarter(Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
    a = _mm512_add_epi32(a, b);
    d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16);
    c = _mm512_add_epi32(c, d);
    b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12);
    a = _mm512_add_epi32(a, b);
    d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);
    c = _mm512_add_epi32(c, d);
    b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7);
}

/// From word k of all blocks in row k to block k in row k.
inline void transpose(Lanes (&r)[16]) {
    Lanes t[16];
    for (int k = 0; k < 16; k += 4) {
        const Lanes a = _mm512_unpacklo_epi32(r[k], r[k + 1]), b = _mm512_unpacklo_epi32(r[k + 2], r[k + 3]);
        const Lanes c = _mm512_unpackhi_epi32(r[k], r[k + 1]), d = _mm512_unpackhi_epi32(r[k + 2], r[k + 3]);
        t[k] = _mm512_unpacklo_epi64(a, b);
        t[k + 1] = _mm512_unpackhi_epi64(a, b);
        t[k + 2] = _mm512_unpacklo_epi64(c, d);
        t[k + 3] = _mm512_unpackhi_epi64(c, d);
    }
    // t[4 j + k] holds, in its q-th quarter, words 4 j to 4 j + 3 of block 4 q + k.
    for (int k = 0; k < 4; ++k) {
        const Lanes a = _mm512_shuffle_i32x4(t[k], t[4 + k], 0x88), b = _mm512_shuffle_i32x4(t[k], t[4 + k], 0xdd);
        const Lanes c = _mm512_shuffle_i32x4(t[8 + k], t[12 + k], 0x88);
        const Lanes d = _mm512_shuffle_i32x4(t[8 + k], t[12 + k], 0xdd);
        r[k] = _mm512_shuffle_i32x4(a, c, 0x88);
        r[4 + k] = _mm512_shuffle_i32x4(b, d, 0x88);
        r[8 + k] = _mm512_shuffle_i32x4(a, c, 0xdd);
        r[12 + k] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

/// Adds to numbers of 32 bits, or else 64, or takes off.
template <bool narrow, bool negative>
inline Lanes added(Lanes sum, Lanes more) {
    if constexpr (narrow) return negative ? _mm512_sub_epi32(sum, more) : _mm512_add_epi32(sum, more);
    return negative ? _mm512_sub_epi64(sum, more) : _mm512_add_epi64(sum, more);
}

template <bool narrow, bool negative>
void add(const MaskKey& key, std::span<std::byte> sum) {
    std::uint32_t state[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    std::memcpy(state + 4, key.data(), key.size());  // little-endian, as the processor is
    const Lanes places = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    int first = 0;
    for (std::size_t done = 0; done < sum.size(); done += mask_step, first += 16) {
        const Lanes counter = _mm512_add_epi32(_mm512_set1_epi32(first), places);
        Lanes x[16];
        for (int k = 0; k < 16; ++k) x[k] = _mm512_set1_epi32(static_cast<int>(state[k]));
        x[12] = counter;
        for (int round = 0; round < 10; ++round) {
            quarter(x[0], x[4], x[8], x[12]);
            quarter(x[1], x[5], x[9], x[13]);
            quarter(x[2], x[6], x[10], x[14]);
            quarter(x[3], x[7], x[11], x[15]);
            quarter(x[0], x[5], x[10], x[15]);
            quarter(x[1], x[6], x[11], x[12]);
            quarter(x[2], x[7], x[8], x[13]);
            quarter(x[3], x[4], x[9], x[14]);
        }
        for (int k = 0; k < 16; ++k)
            x[k] = _mm512_add_epi32(x[k], k == 12 ? counter : _mm512_set1_epi32(static_cast<int>(state[k])));
        transpose(x);
        for (int k = 0; k < 16; ++k) {
            std::byte* const at = sum.data() + done + 64 * k;
            _mm512_storeu_si512(at, added<narrow, negative>(_mm512_loadu_si512(at), x[k]));
        }
    }
    wipe(std::as_writable_bytes(std::span(state)));
}

}  // namespace

void add_stream_wide(const MaskKey& key, bool negative, std::uint32_t ring_bits, std::span<std::byte> sum) {
    if (ring_bits == 32)
        negative ? add<true, true>(key, sum) : add<true, false>(key, sum);
    else
        negative ? add<false, true>(key, sum) : add<false, false>(key, sum);
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// Kernels for AVX2 with FMA: 8 lanes, 16 registers.
#include "core/kernels/sets.hpp"

#include <immintrin.h>

namespace dunlin {
namespace {

using Float = __m256;
constexpr int lanes = 8;
constexpr int tile_rows = 6;
constexpr int tile_vectors = 2;
constexpr int dot_tile = 8;

inline Float load(const float* p) {
    return _mm256_loadu_ps(p);
}
inline void store(float* p, Float x) {
    _mm256_storeu_ps(p, x);
}
inline __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/// The first `count` of a vector's lanes, 0 to `lanes`; the others load as zero.
inline Float load_first(const float* p, int count) {
    return _mm256_maskload_ps(p, first_lanes(count));
}
inline void store_first(float* p, Float x, int count) {
    _mm256_maskstore_ps(p, first_lanes(count), x);
}
inline Float broadcast(float x) {
    return _mm256_set1_ps(x);
}
inline Float fma(Float a, Float b, Float c) {
    return _mm256_fmadd_ps(a, b, c);
}
/// Of these two the second operand comes out when either is NaN.
inline Float min(Float a, Float b) {
    return _mm256_min_ps(a, b);
}
inline Float max(Float a, Float b) {
    return _mm256_max_ps(a, b);
}
inline Float where_positive(Float h, Float e) {
    return _mm256_and_ps(_mm256_cmp_ps(h, _mm256_setzero_ps(), _CMP_GT_OQ), e);
}

inline void transpose(Float (&r)[lanes]) {
    Float t[lanes];
    for (int k = 0; k < 8; k += 4) {
        const Float a = _mm256_unpacklo_ps(r[k], r[k + 1]);
        const Float b = _mm256_unpacklo_ps(r[k + 2], r[k + 3]);
        const Float c = _mm256_unpackhi_ps(r[k], r[k + 1]);
        const Float d = _mm256_unpackhi_ps(r[k + 2], r[k + 3]);
        t[k] = _mm256_shuffle_ps(a, b, 0x44);
        t[k + 1] = _mm256_shuffle_ps(a, b, 0xee);
        t[k + 2] = _mm256_shuffle_ps(c, d, 0x44);
        t[k + 3] = _mm256_shuffle_ps(c, d, 0xee);
    }
    for (int k = 0; k < 4; ++k) {
        r[k] = _mm256_permute2f128_ps(t[k], t[4 + k], 0x20);
        r[4 + k] = _mm256_permute2f128_ps(t[k], t[4 + k], 0x31);
    }
}

/// Lane k of the result is the sum of the lanes of r[k].
inline Float sums(const Float (&r)[lanes]) {
    Float quad[2];  // of rows 4 k to 4 k + 3, each summed within the two halves
    for (int k = 0; k < 2; ++k) {
        const Float* p = r + 4 * k;
        const Float a = _mm256_unpacklo_ps(p[0], p[1]) + _mm256_unpackhi_ps(p[0], p[1]);
        const Float b = _mm256_unpacklo_ps(p[2], p[3]) + _mm256_unpackhi_ps(p[2], p[3]);
        quad[k] = _mm256_shuffle_ps(a, b, 0x44) + _mm256_shuffle_ps(a, b, 0xee);
    }
    return _mm256_permute2f128_ps(quad[0], quad[1], 0x20) + _mm256_permute2f128_ps(quad[0], quad[1], 0x31);
}

/// x[0] to x[3], again and again; and then a vector full of one of them.
inline Float load_four(const float* x) {
    return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(x));
}
template <int k>
inline Float spread(Float four) {
    return _mm256_permute_ps(four, k * 0x55);
}

/// Lane l of the result is lane index[l] of x.
constexpr bool has_permute = true;
inline Float permute(Float x, const int (&index)[lanes]) {
    return _mm256_permutevar8x32_ps(x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
}

#include "core/kernels/blocked.inc"
#include "core/kernels/flat.inc"
#include "core/kernels/layers.inc"

}  // namespace

constexpr Kernels<float> avx2_kernels = blocked_kernels("avx2");
constexpr LayerKernels<float> avx2_layer_kernels = blocked_layer_kernels;
constexpr FlatKernels avx2_flat_kernels = {any_beyond, add_scaled, descend, add_masses};

}  // namespace dunlin

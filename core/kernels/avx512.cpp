// SPDX-License-Identifier: Apache-2.0
// Kernels for AVX-512 (F, BW, DQ and VL): 16 lanes, 32 registers.
#include "core/kernels/sets.hpp"

#include <immintrin.h>

namespace dunlin {
namespace {

using Float = __m512;
constexpr int lanes = 16;
constexpr int tile_rows = 6;
constexpr int tile_vectors = 4;
constexpr int dot_tile = 16;

inline Float load(const float* p) {
    return _mm512_loadu_ps(p);
}
inline void store(float* p, Float x) {
    _mm512_storeu_ps(p, x);
}
/// The first `count` of a vector's lanes, 0 to `lanes`; the others load as zero.
inline Float load_first(const float* p, int count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p);
}
inline void store_first(float* p, Float x, int count) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), x);
}
inline Float broadcast(float x) {
    return _mm512_set1_ps(x);
}
inline Float fma(Float a, Float b, Float c) {
    return _mm512_fmadd_ps(a, b, c);
}
/// Of these two the second operand comes out when either is NaN.
inline Float min(Float a, Float b) {
    return _mm512_min_ps(a, b);
}
inline Float max(Float a, Float b) {
    return _mm512_max_ps(a, b);
}
inline Float where_positive(Float h, Float e) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(h, _mm512_setzero_ps(), _CMP_GT_OQ), e);
}

inline void transpose(Float (&r)[lanes]) {
    Float t[lanes];
    for (int k = 0; k < 16; k += 4) {
        const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[k], r[k + 1]));
        const __m512d b = _mm512_castps_pd(_mm512_unpacklo_ps(r[k + 2], r[k + 3]));
        const __m512d c = _mm512_castps_pd(_mm512_unpackhi_ps(r[k], r[k + 1]));
        const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(r[k + 2], r[k + 3]));
        t[k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        t[k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        t[k + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
        t[k + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    }
    // t[4 j + k] holds, in its q-th quarter, rows 4 j to 4 j + 3 of column 4 q + k.
    for (int k = 0; k < 4; ++k) {
        const Float a = _mm512_shuffle_f32x4(t[k], t[4 + k], 0x88);
        const Float b = _mm512_shuffle_f32x4(t[k], t[4 + k], 0xdd);
        const Float c = _mm512_shuffle_f32x4(t[8 + k], t[12 + k], 0x88);
        const Float d = _mm512_shuffle_f32x4(t[8 + k], t[12 + k], 0xdd);
        r[k] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[4 + k] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[8 + k] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[12 + k] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

/// Lane k of the result is the sum of the lanes of r[k].
inline Float sums(const Float (&r)[lanes]) {
    Float quad[4];  // of rows 4 k to 4 k + 3, each summed within the four quarters
    for (int k = 0; k < 4; ++k) {
        const Float* p = r + 4 * k;
        const Float a = _mm512_unpacklo_ps(p[0], p[1]) + _mm512_unpackhi_ps(p[0], p[1]);
        const Float b = _mm512_unpacklo_ps(p[2], p[3]) + _mm512_unpackhi_ps(p[2], p[3]);
        quad[k] = _mm512_shuffle_ps(a, b, 0x44) + _mm512_shuffle_ps(a, b, 0xee);
    }
    const Float a = _mm512_shuffle_f32x4(quad[0], quad[1], 0x88) + _mm512_shuffle_f32x4(quad[0], quad[1], 0xdd);
    const Float b = _mm512_shuffle_f32x4(quad[2], quad[3], 0x88) + _mm512_shuffle_f32x4(quad[2], quad[3], 0xdd);
    return _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xdd);
}

/// x[0] to x[3], again and again; and then a vector full of one of them.
inline Float load_four(const float* x) {
    return _mm512_broadcast_f32x4(_mm_loadu_ps(x));
}
template <int k>
inline Float spread(Float four) {
    return _mm512_permute_ps(four, k * 0x55);
}

/// Lane l of the result is lane index[l] of x.
constexpr bool has_permute = true;
inline Float permute(Float x, const int (&index)[lanes]) {
    return _mm512_permutexvar_ps(_mm512_loadu_si512(index), x);
}

#include "core/kernels/blocked.inc"
#include "core/kernels/flat.inc"
#include "core/kernels/layers.inc"

}  // namespace

constexpr Kernels<float> avx512_kernels = blocked_kernels("avx512");
constexpr LayerKernels<float> avx512_layer_kernels = blocked_layer_kernels;
constexpr FlatKernels avx512_flat_kernels = {any_beyond, add_scaled, descend, add_masses};

}  // namespace dunlin

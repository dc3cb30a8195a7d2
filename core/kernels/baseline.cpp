// SPDX-License-Identifier: Apache-2.0
// Kernels for every x86-64 processor (SSE2): 4 lanes, 16 registers, products that are not fused.
#include "core/kernels/sets.hpp"

#include <emmintrin.h>

namespace dunlin {
namespace {

using Float = __m128;
constexpr int lanes = 4;
constexpr int tile_rows = 6;
constexpr int tile_vectors = 2;
constexpr int dot_tile = 8;

inline Float load(const float* p) {
    return _mm_loadu_ps(p);
}
inline void store(float* p, Float x) {
    _mm_storeu_ps(p, x);
}
/// The first `count` of a vector's lanes, 0 to `lanes`; the others load as zero.
inline Float load_first(const float* p, int count) {
    alignas(16) float buffer[lanes] = {};
    for (int k = 0; k < count; ++k) buffer[k] = p[k];
    return _mm_load_ps(buffer);
}
inline void store_first(float* p, Float x, int count) {
    alignas(16) float buffer[lanes];
    _mm_store_ps(buffer, x);
    for (int k = 0; k < count; ++k) p[k] = buffer[k];
}
inline Float broadcast(float x) {
    return _mm_set1_ps(x);
}
inline Float fma(Float a, Float b, Float c) {
    return a * b + c;
}
/// Of these two the second operand comes out when either is NaN.
inline Float min(Float a, Float b) {
    return _mm_min_ps(a, b);
}
inline Float max(Float a, Float b) {
    return _mm_max_ps(a, b);
}
inline Float where_positive(Float h, Float e) {
    return _mm_and_ps(_mm_cmpgt_ps(h, _mm_setzero_ps()), e);
}

inline void transpose(Float (&r)[lanes]) {
    const Float a = _mm_unpacklo_ps(r[0], r[1]);
    const Float b = _mm_unpacklo_ps(r[2], r[3]);
    const Float c = _mm_unpackhi_ps(r[0], r[1]);
    const Float d = _mm_unpackhi_ps(r[2], r[3]);
    r[0] = _mm_movelh_ps(a, b);
    r[1] = _mm_movehl_ps(b, a);
    r[2] = _mm_movelh_ps(c, d);
    r[3] = _mm_movehl_ps(d, c);
}

/// Lane k of the result is the sum of the lanes of r[k].
inline Float sums(const Float (&r)[lanes]) {
    const Float a = _mm_unpacklo_ps(r[0], r[1]) + _mm_unpackhi_ps(r[0], r[1]);
    const Float b = _mm_unpacklo_ps(r[2], r[3]) + _mm_unpackhi_ps(r[2], r[3]);
    return _mm_movelh_ps(a, b) + _mm_movehl_ps(b, a);
}

/// x[0] to x[3], and then a vector full of one of them.
inline Float load_four(const float* x) {
    return _mm_loadu_ps(x);
}
template <int k>
inline Float spread(Float four) {
    return _mm_shuffle_ps(four, four, k * 0x55);
}

constexpr bool has_permute = false;

#include "core/kernels/blocked.inc"
#include "core/kernels/layers.inc"

}  // namespace

constexpr Kernels<float> baseline_kernels = blocked_kernels("baseline");
constexpr LayerKernels<float> baseline_layer_kernels = blocked_layer_kernels;

}  // namespace dunlin

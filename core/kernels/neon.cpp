// SPDX-License-Identifier: Apache-2.0
// Kernels for ARM's Advanced SIMD: 4 lanes; 32 registers on 64-bit processors, which all have it, 16 on 32-bit
// ones, of which those with VFPv4 (from the Cortex-A7 on) do.
#include "core/kernels/sets.hpp"

#include <arm_neon.h>

namespace dunlin {
namespace {

using Float = float32x4_t;
constexpr int lanes = 4;
constexpr int tile_rows = 6;
#ifdef __aarch64__
constexpr int tile_vectors = 4;
constexpr int dot_tile = 16;
#else
constexpr int tile_vectors = 2;
constexpr int dot_tile = 8;
#endif

inline Float load(const float* p) {
    return vld1q_f32(p);
}
inline void store(float* p, Float x) {
    vst1q_f32(p, x);
}
/// The first `count` of a vector's lanes, 0 to `lanes`; the others load as zero.
inline Float load_first(const float* p, int count) {
    float buffer[lanes] = {};
    for (int k = 0; k < count; ++k) buffer[k] = p[k];
    return vld1q_f32(buffer);
}
inline void store_first(float* p, Float x, int count) {
    float buffer[lanes];
    vst1q_f32(buffer, x);
    for (int k = 0; k < count; ++k) p[k] = buffer[k];
}
inline Float broadcast(float x) {
    return vdupq_n_f32(x);
}
inline Float fma(Float a, Float b, Float c) {
    return vfmaq_f32(c, a, b);
}
/// NaN comes out of these when either operand is NaN.
inline Float min(Float a, Float b) {
    return vminq_f32(a, b);
}
inline Float max(Float a, Float b) {
    return vmaxq_f32(a, b);
}
inline Float where_positive(Float h, Float e) {
    return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(h, vdupq_n_f32(0.0f)), vreinterpretq_u32_f32(e)));
}

inline void transpose(Float (&r)[lanes]) {
    const float32x4x2_t a = vtrnq_f32(r[0], r[1]);
    const float32x4x2_t b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/// Lane k of the result is the sum of the lanes of r[k].
inline Float sums(const Float (&r)[lanes]) {
#ifdef __aarch64__
    return vpaddq_f32(vpaddq_f32(r[0], r[1]), vpaddq_f32(r[2], r[3]));
#else
    const auto pair = [](Float x) { return vpadd_f32(vget_low_f32(x), vget_high_f32(x)); };
    return vcombine_f32(vpadd_f32(pair(r[0]), pair(r[1])), vpadd_f32(pair(r[2]), pair(r[3])));
#endif
}

/// x[0] to x[3], and then a vector full of one of them.
inline Float load_four(const float* x) {
    return vld1q_f32(x);
}
template <int k>
inline Float spread(Float four) {
    return vdupq_n_f32(vgetq_lane_f32(four, k));
}

constexpr bool has_permute = false;

#include "core/kernels/blocked.inc"
#include "core/kernels/layers.inc"

}  // namespace

constexpr Kernels<float> neon_kernels = blocked_kernels("neon");
constexpr LayerKernels<float> neon_layer_kernels = blocked_layer_kernels;

}  // namespace dunlin

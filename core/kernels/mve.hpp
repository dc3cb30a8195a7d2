// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

/// Products of one sample for a Cortex-M55, whose vector extension works on four numbers at a time: 16 outputs in four
/// registers, and each sum in the reference's order. By intrinsics, because the compiler takes sums around assembly through
/// core registers. The extension flushes numbers below 1.2e-38 to zero; all others have the reference's bits.
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2) && !defined(DUNLIN_SMALL)
#define DUNLIN_MVE

#include <arm_mve.h>

namespace dunlin::mve {

/// y = start + W' x for a block of 16 or 4 outputs; row i of W begins at w + i stride
template <int N>
inline void accumulate(const float* w, std::ptrdiff_t stride, const float* x, const float* start, float* y,
                       int count) {
    static_assert(N == 16 || N == 4);
    float32x4_t a = vld1q_f32(start);
    if constexpr (N == 16) {
        float32x4_t b = vld1q_f32(start + 4), c = vld1q_f32(start + 8), d = vld1q_f32(start + 12);
        for (; count > 0; --count, w += stride) {
            const float value = *x++;
            a = vfmaq_n_f32(a, vld1q_f32(w), value);
            b = vfmaq_n_f32(b, vld1q_f32(w + 4), value);
            c = vfmaq_n_f32(c, vld1q_f32(w + 8), value);
            d = vfmaq_n_f32(d, vld1q_f32(w + 12), value);
        }
        vst1q_f32(y + 4, b);
        vst1q_f32(y + 8, c);
        vst1q_f32(y + 12, d);
    } else {
        for (; count > 0; --count, w += stride) a = vfmaq_n_f32(a, vld1q_f32(w), *x++);
    }
    vst1q_f32(y, a);
}

/// dW += x d'
template <int N>
inline void outer(const float* x, const float* d, float* w, std::ptrdiff_t stride, int count) {
    static_assert(N == 16 || N == 4);
    const float32x4_t a = vld1q_f32(d);
    if constexpr (N == 16) {
        const float32x4_t b = vld1q_f32(d + 4), c = vld1q_f32(d + 8), e = vld1q_f32(d + 12);
        for (; count > 0; --count, w += stride) {
            const float value = *x++;
            vst1q_f32(w, vfmaq_n_f32(vld1q_f32(w), a, value));
            vst1q_f32(w + 4, vfmaq_n_f32(vld1q_f32(w + 4), b, value));
            vst1q_f32(w + 8, vfmaq_n_f32(vld1q_f32(w + 8), c, value));
            vst1q_f32(w + 12, vfmaq_n_f32(vld1q_f32(w + 12), e, value));
        }
    } else {
        for (; count > 0; --count, w += stride) vst1q_f32(w, vfmaq_n_f32(vld1q_f32(w), a, *x++));
    }
}

}  // namespace dunlin::mve
#endif

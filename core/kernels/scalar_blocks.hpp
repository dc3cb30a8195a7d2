// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"

/// A Cortex-M with an FPU loads and stores eight registers in one instruction, which the compiler does not do by
/// itself.
#if defined(__ARM_ARCH_PROFILE) && defined(__ARM_FEATURE_FMA)
#if __ARM_ARCH_PROFILE == 'M' && (__ARM_FP & 4)
#define DUNLIN_VFP
#endif
#endif

/// Short runs of fused products whose operands stay in registers: what scalar_products.hpp is made of. Each moves
/// its pointer behind what it has read.
namespace dunlin::scalar {

#if defined(__linux__) && defined(__arm__) && !defined(__FP_FAST_FMA)
inline float fma(float a, float b, float c) {
    return portable::fma(a, b, c);
}
/// In double, which only tests use, rounded twice: the C library's function takes a hundred times as long.
inline double fma(double a, double b, double c) {
    return a * b + c;
}
#else
using portable::fma;
#endif

/// sum[k] += w[k] x for k < N
template <int N, class S>
[[gnu::always_inline]] inline void add_scaled(S* sum, const S*& w, S x) {
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) sum[k] = fma(w[k], x, sum[k]);
    w += N;
}

/// sum + w[0] d[0] + ... + w[N - 1] d[N - 1], added in this order
template <int N, class S>
[[gnu::always_inline]] inline S add_dot(S sum, const S*& w, const S* d) {
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) sum = fma(w[k], d[k], sum);
    w += N;
    return sum;
}

/// out[k] += x d[k] for k < N, in memory
template <int N, class S>
[[gnu::always_inline]] inline void add_to(S*& out, S x, const S* d) {
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) out[k] = fma(x, d[k], out[k]);
    out += N;
}

#ifdef DUNLIN_VFP
template <>
[[gnu::always_inline]] inline void add_scaled<8, float>(float* sum, const float*& w, float x) {
    asm("vldmia %[w]!, {s24-s31}\n\t"
        "vfma.f32 %[a], s24, %[x]\n\t"
        "vfma.f32 %[b], s25, %[x]\n\t"
        "vfma.f32 %[c], s26, %[x]\n\t"
        "vfma.f32 %[d], s27, %[x]\n\t"
        "vfma.f32 %[e], s28, %[x]\n\t"
        "vfma.f32 %[f], s29, %[x]\n\t"
        "vfma.f32 %[g], s30, %[x]\n\t"
        "vfma.f32 %[h], s31, %[x]"
        : [w] "+r"(w), [a] "+t"(sum[0]), [b] "+t"(sum[1]), [c] "+t"(sum[2]), [d] "+t"(sum[3]), [e] "+t"(sum[4]),
          [f] "+t"(sum[5]), [g] "+t"(sum[6]), [h] "+t"(sum[7])
        : [x] "t"(x)
        : "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "memory");
}
template <>
[[gnu::always_inline]] inline void add_scaled<16, float>(float* sum, const float*& w, float x) {
    add_scaled<8>(sum, w, x);
    add_scaled<8>(sum + 8, w, x);
}

template <>
[[gnu::always_inline]] inline float add_dot<8, float>(float sum, const float*& w, const float* d) {
    asm("vldmia %[w]!, {s24-s31}\n\t"
        "vfma.f32 %[sum], s24, %[a]\n\t"
        "vfma.f32 %[sum], s25, %[b]\n\t"
        "vfma.f32 %[sum], s26, %[c]\n\t"
        "vfma.f32 %[sum], s27, %[d]\n\t"
        "vfma.f32 %[sum], s28, %[e]\n\t"
        "vfma.f32 %[sum], s29, %[f]\n\t"
        "vfma.f32 %[sum], s30, %[g]\n\t"
        "vfma.f32 %[sum], s31, %[h]"
        : [w] "+r"(w), [sum] "+t"(sum)
        : [a] "t"(d[0]), [b] "t"(d[1]), [c] "t"(d[2]), [d] "t"(d[3]), [e] "t"(d[4]), [f] "t"(d[5]), [g] "t"(d[6]),
          [h] "t"(d[7])
        : "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "memory");
    return sum;
}

template <>
[[gnu::always_inline]] inline float add_dot<16, float>(float sum, const float*& w, const float* d) {
    return add_dot<8>(add_dot<8>(sum, w, d), w, d + 8);
}

template <>
[[gnu::always_inline]] inline void add_to<8, float>(float*& out, float x, const float* d) {
    asm volatile(
        "vldmia %[out], {s24-s31}\n\t"
        "vfma.f32 s24, %[x], %[a]\n\t"
        "vfma.f32 s25, %[x], %[b]\n\t"
        "vfma.f32 s26, %[x], %[c]\n\t"
        "vfma.f32 s27, %[x], %[d]\n\t"
        "vfma.f32 s28, %[x], %[e]\n\t"
        "vfma.f32 s29, %[x], %[f]\n\t"
        "vfma.f32 s30, %[x], %[g]\n\t"
        "vfma.f32 s31, %[x], %[h]\n\t"
        "vstmia %[out]!, {s24-s31}"
        : [out] "+r"(out)
        : [x] "t"(x), [a] "t"(d[0]), [b] "t"(d[1]), [c] "t"(d[2]), [d] "t"(d[3]), [e] "t"(d[4]), [f] "t"(d[5]),
          [g] "t"(d[6]), [h] "t"(d[7])
        : "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "memory");
}
template <>
[[gnu::always_inline]] inline void add_to<16, float>(float*& out, float x, const float* d) {
    add_to<8>(out, x, d);
    add_to<8>(out, x, d + 8);
}
#endif

}  // namespace dunlin::scalar

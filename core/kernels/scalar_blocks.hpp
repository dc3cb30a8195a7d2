// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/vfp_elements.hpp"
#include "core/math.hpp"

// A Cortex-M with an FPU has loops of its own for one sample.
#ifdef DUNLIN_VFP
#include "core/kernels/vfp.hpp"
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
#pragma GCC unroll 32
    for (int k = 0; k < N; ++k) sum[k] = fma(w[k], x, sum[k]);
    w += N;
}

/// sum + w[0] d[0] + ... + w[N - 1] d[N - 1], added in this order
template <int N, class S>
[[gnu::always_inline]] inline S add_dot(S sum, const S*& w, const S* d) {
#pragma GCC unroll 32
    for (int k = 0; k < N; ++k) sum = fma(w[k], d[k], sum);
    w += N;
    return sum;
}

/// out[k] += x d[k] for k < N, in memory
template <int N, class S>
[[gnu::always_inline]] inline void add_to(S*& out, S x, const S* d) {
#pragma GCC unroll 32
    for (int k = 0; k < N; ++k) out[k] = fma(x, d[k], out[k]);
    out += N;
}

}  // namespace dunlin::scalar

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "core/kernels/mve.hpp"
#include "core/kernels/scalar_blocks.hpp"

/// The products of a perceptron for processors whose registers hold single numbers: microcontrollers, and one
/// sample anywhere. Each element of a result is summed in the order that the reference kernels promise (its start
/// value, then the terms by index, fused), so these give the same bits as plain loops; they only keep more of the
/// result in registers while a sum runs. Tests compare them with plain loops, bit by bit
/// (tests/core/scalar_products.cpp).
namespace dunlin::scalar {

using Index = std::ptrdiff_t;

#if defined(__SSE2__) || defined(__ARM_NEON)
inline constexpr bool has_vectors = true;
#else
inline constexpr bool has_vectors = false;
#endif

/// Blocks beside those of 16, 4 and 1 outputs: of five, as many as grid navigation has actions, and where the compiler makes
/// the loops of eight, and of 24 where there are registers for it.
template <class S>
inline constexpr bool assembled =
#ifdef DUNLIN_VFP
    sizeof(S) == sizeof(float);
#else
    false;
#endif
template <class S>
inline constexpr bool eight = !assembled<S>;
template <class S>
inline constexpr bool five =
#if (defined(DUNLIN_VFP) || defined(__riscv_flen)) && !defined(DUNLIN_SMALL)
    sizeof(S) == sizeof(float);
#else
    false;
#endif
template <class S>
inline constexpr int widest =
#if defined(__riscv_flen) && !defined(DUNLIN_SMALL)
    sizeof(S) == sizeof(float) ? 24 : 16;
#else
    16;
#endif
#ifdef __riscv_flen
#define DUNLIN_UNROLL_ROWS _Pragma("GCC unroll 4")
#else
#define DUNLIN_UNROLL_ROWS
#endif

/// y = start + W' x for one sample, a block of outputs that stays in registers. Row i of W begins at W + i stride; start
/// may be y.
template <int N, class S>
[[gnu::always_inline]] inline void accumulate_block(const S* w, Index stride, const S* x, const S* start, S* y,
                                                    int inputs) {
#ifdef DUNLIN_MVE
    if constexpr (assembled<S> && N % 4 == 0) return mve::accumulate<N>(w, stride, x, start, y, inputs);
#endif
#ifdef DUNLIN_VFP
    if constexpr (assembled<S>) return vfp::accumulate<N>(w, 4 * (stride - N), x, start, y, inputs);
#endif
    S sum[N];
#pragma GCC unroll 32
    for (int k = 0; k < N; ++k) sum[k] = start[k];
    DUNLIN_UNROLL_ROWS
    for (const S* const end = x + inputs; x != end; ++x) {
        add_scaled<N>(sum, w, *x);
        w += stride - N;
    }
#pragma GCC unroll 32
    for (int k = 0; k < N; ++k) y[k] = sum[k];
}

template <class S>
inline void accumulate_one(const S* W, Index stride, const S* x, const S* start, S* y, int inputs, int outputs) {
    int o = 0;
    if constexpr (widest < S >> 16) {
        for (; o + widest<S> <= outputs; o += widest<S>)
            accumulate_block<widest<S>>(W + o, stride, x, start + o, y + o, inputs);
    }
    for (; o + 16 <= outputs; o += 16) accumulate_block<16>(W + o, stride, x, start + o, y + o, inputs);
    if constexpr (eight<S>) {
        if (o + 8 <= outputs) accumulate_block<8>(W + o, stride, x, start + o, y + o, inputs), o += 8;
    }
    if constexpr (five<S>) {
        if (o + 5 == outputs) return accumulate_block<5>(W + o, stride, x, start + o, y + o, inputs);
    }
    for (; o + 4 <= outputs; o += 4) accumulate_block<4>(W + o, stride, x, start + o, y + o, inputs);
    for (; o < outputs; ++o) accumulate_block<1>(W + o, stride, x, start + o, y + o, inputs);
}

/// e += W d for one sample: a block of outputs' d stays in registers, and meets row after row of weights.
template <int N, class S>
[[gnu::always_inline]] inline void backpropagate_block(const S* w, Index stride, const S* d, S* e, int inputs) {
#ifdef DUNLIN_VFP
    if constexpr (assembled<S>) return vfp::backpropagate<N>(w, 4 * (stride - N), d, e, inputs);
#endif
    S block[N];
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) block[k] = d[k];
    for (S* const end = e + inputs; e != end; ++e) {
        *e = add_dot<N>(*e, w, block);
        w += stride - N;
    }
}

template <class S>
inline void backpropagate_one(const S* W, Index stride, const S* d, S* e, int inputs, int outputs) {
    int o = 0;
    for (; o + 16 <= outputs; o += 16) backpropagate_block<16>(W + o, stride, d + o, e, inputs);
    if constexpr (eight<S>) {
        if (o + 8 <= outputs) backpropagate_block<8>(W + o, stride, d + o, e, inputs), o += 8;
    }
    if constexpr (five<S>) {
        if (o + 5 == outputs) return backpropagate_block<5>(W + o, stride, d + o, e, inputs);
    }
    for (; o + 4 <= outputs; o += 4) backpropagate_block<4>(W + o, stride, d + o, e, inputs);
    for (; o < outputs; ++o) backpropagate_block<1>(W + o, stride, d + o, e, inputs);
}

/// dW += x d' for one sample, d a block of outputs in registers.
template <int N, class S>
[[gnu::always_inline]] inline void outer_block(const S* x, const S* d, S* dw, int inputs, int outputs) {
#ifdef DUNLIN_MVE
    if constexpr (assembled<S> && N % 4 == 0) return mve::outer<N>(x, d, dw, outputs, inputs);
#endif
#ifdef DUNLIN_VFP
    if constexpr (assembled<S>) return vfp::outer<N>(x, d, dw, 4 * (Index{outputs} - N), inputs);
#endif
    S block[N];
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) block[k] = d[k];
    for (const S* const end = x + inputs; x != end; ++x) {
        add_to<N>(dw, *x, block);
        dw += outputs - N;
    }
}

template <class S>
inline void outer_one(const S* x, const S* d, S* dW, int inputs, int outputs) {
    int o = 0;
    for (; o + 16 <= outputs; o += 16) outer_block<16>(x, d + o, dW + o, inputs, outputs);
    if constexpr (eight<S>) {
        if (o + 8 <= outputs) outer_block<8>(x, d + o, dW + o, inputs, outputs), o += 8;
    }
    if constexpr (five<S>) {
        if (o + 5 == outputs) return outer_block<5>(x, d + o, dW + o, inputs, outputs);
    }
    for (; o + 4 <= outputs; o += 4) outer_block<4>(x, d + o, dW + o, inputs, outputs);
    for (; o < outputs; ++o) outer_block<1>(x, d + o, dW + o, inputs, outputs);
}

/// C += sum over k < count of a_k b_k' for an M x N corner of C, whose row r starts at C + r c_stride. Element r of
/// a_k is a[k a_step + r a_stride], and of b_k alike.
template <int M, int N, class S>
[[gnu::always_inline]] inline void tile(const S* a, Index a_step, Index a_stride, const S* b, Index b_step,
                                        Index b_stride, S* C, Index c_stride, int count) {
    S sum[M][N];
#pragma GCC unroll 4
    for (int r = 0; r < M; ++r) {
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) sum[r][k] = C[r * c_stride + k];
    }
    for (; count > 0; --count, a += a_step, b += b_step) {
        S right[N];
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) right[k] = b[k * b_stride];
#pragma GCC unroll 4
        for (int r = 0; r < M; ++r) {
            const S left = a[r * a_stride];
#pragma GCC unroll 4
            for (int k = 0; k < N; ++k) sum[r][k] = fma(left, right[k], sum[r][k]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < M; ++r) {
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) C[r * c_stride + k] = sum[r][k];
    }
}

/// C += sum over k < count of a_k b_k', C of rows x columns, in tiles of 4 x 4 as far as they fit. One copy of it
/// serves all products: flash is scarce where it runs.
template <class S>
[[gnu::noinline]] void add_products(const S* a, Index a_step, Index a_stride, const S* b, Index b_step,
                                    Index b_stride, S* C, Index c_stride, int rows, int columns, int count) {
    for (int r = 0; r < rows;) {
        const bool four = r + 4 <= rows;
        const S* left = a + r * a_stride;
        S* out = C + r * c_stride;
        int c = 0;
        if (four) {
            for (; c + 4 <= columns; c += 4) {
                tile<4, 4>(left, a_step, a_stride, b + c * b_stride, b_step, b_stride, out + c, c_stride, count);
            }
        }
        for (int k = 0; k < (four ? 4 : 1); ++k) {
            for (int rest = c; rest < columns; ++rest) {
                tile<1, 1>(left + k * a_stride, a_step, a_stride, b + rest * b_stride, b_step, b_stride,
                           out + k * c_stride + rest, c_stride, count);
            }
        }
        r += four ? 4 : 1;
    }
}

/// Y += W' X
template <class S>
inline void accumulate(const S* W, Columns<const S> X, Columns<S> Y, int inputs, int outputs, int columns) {
    if (columns == 1 && X.stride == 1 && Y.stride == 1)
        return accumulate_one<S>(W, outputs, X.data, Y.data, Y.data, inputs, outputs);
    add_products<S>(W, outputs, 1, X.data, X.stride, 1, Y.data, Y.stride, outputs, columns, inputs);
}

/// E += W D
template <class S>
inline void backpropagate(const S* W, Columns<const S> D, Columns<S> E, int inputs, int outputs, int columns) {
    if (columns == 1 && D.stride == 1 && E.stride == 1) {
        return backpropagate_one(W, Index{outputs}, D.data, E.data, inputs, outputs);
    }
    add_products<S>(W, 1, outputs, D.data, D.stride, 1, E.data, E.stride, inputs, columns, outputs);
}

/// dW += X D'
template <class S>
inline void weight_gradient(Columns<const S> X, Columns<const S> D, S* dW, int inputs, int outputs, int columns) {
    if (columns == 1 && X.stride == 1 && D.stride == 1) return outer_one(X.data, D.data, dW, inputs, outputs);
    add_products<S>(X.data, 1, X.stride, D.data, 1, D.stride, dW, outputs, inputs, outputs, columns);
}

}  // namespace dunlin::scalar

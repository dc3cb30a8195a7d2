// SPDX-License-Identifier: Apache-2.0
// The reference kernels. Every sum runs in index order and every product is fused, so the result is the same bits
// on every processor; loops over columns come innermost where that lets a compiler use vectors without reordering.
// Where there are no vectors scalar_products.hpp takes their place: the same order, the same bits.
#include "core/kernels/first_order.hpp"
#include "core/kernels/scalar_products.hpp"
#include "core/kernels/sets.hpp"
#include "core/kernels/vfp_activation.hpp"
#include "core/math.hpp"
#include "core/vector.hpp"

// Where the C library can choose when the program starts, loops exist twice:
// with the instruction for fma, and with the library's function, which is some
// forty times slower. Both round once, so the bits are the same.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define DUNLIN_FUSED [[gnu::target_clones("arch=x86-64-v3", "default")]]
#else
#define DUNLIN_FUSED
#endif

namespace dunlin {
namespace {

using scalar::fma;

using scalar::has_vectors;

template <class S>
S activate(S x, Activation activation) {
    switch (activation) {
        case Activation::relu:
            return x < S(0) ? S(0) : x;  // a NaN passes, so that it is found
        case Activation::tanh:
            return portable::tanh(x);
        case Activation::sigmoid:
            return portable::sigmoid(x);
        default:
            return x;
    }
}

template <class S>
DUNLIN_FUSED void activate_row(S* y, int columns, Activation activation) {
    if (activation == Activation::identity) return;
    if (activation == Activation::relu) {
#ifdef DUNLIN_VFP_ELEMENTS
        if constexpr (sizeof(S) == sizeof(float)) return vfp::relu(y, static_cast<std::size_t>(columns));
#endif
        if constexpr (!has_vectors && sizeof(S) == sizeof(float)) {
            // Below zero is a range of the bits, without the NaNs behind it.
#pragma GCC unroll 4
            for (int c = 0; c < columns; ++c) {
                if (std::bit_cast<std::uint32_t>(y[c]) - 0x80000001u < 0x7f800000u) y[c] = S(0);
            }
        } else {
            for (int c = 0; c < columns; ++c) y[c] = activate(y[c], Activation::relu);
        }
        return;
    }
#ifdef DUNLIN_VFP
    if constexpr (sizeof(S) == sizeof(float)) {
        const auto count = static_cast<std::size_t>(columns);
        return activation == Activation::tanh ? vfp::tanh(y, count) : vfp::sigmoid(y, count);
    }
#endif
    for (int c = 0; c < columns; ++c) y[c] = activate(y[c], activation);
}

/// A matrix without gaps between its rows is one long row to what works element by element.
struct Rows {
    int count, length;
};

template <class S>
DUNLIN_FUSED void accumulate(const S* W, Columns<const S> X, Columns<S> Y, int inputs, int outputs, int columns) {
    if constexpr (!has_vectors) return scalar::accumulate(W, X, Y, inputs, outputs, columns);
    for (int o = 0; o < outputs; ++o) {
        S* y = Y.row(o);
        for (int i = 0; i < inputs; ++i) {
            const S w = W[static_cast<std::ptrdiff_t>(i) * outputs + o];
            const S* x = X.row(i);
            for (int c = 0; c < columns; ++c) y[c] = fma(w, x[c], y[c]);
        }
    }
}

template <class S>
DUNLIN_FUSED void affine_one(const S* W, const S* b, const S* x, S* y, int inputs, int outputs,
                             Activation activation) {
    if constexpr (!has_vectors) {
        if (b == nullptr) set_zero({y, static_cast<std::size_t>(outputs)});
        scalar::accumulate_one<S>(W, outputs, x, b != nullptr ? b : y, y, inputs, outputs);
    } else {
        for (int o = 0; o < outputs; ++o) y[o] = b ? b[o] : S(0);
        for (int i = 0; i < inputs; ++i) {
            const S* w = W + static_cast<std::ptrdiff_t>(i) * outputs;
            for (int o = 0; o < outputs; ++o) y[o] = fma(w[o], x[i], y[o]);
        }
    }
    activate_row(y, outputs, activation);
}

template <class S>
void affine(const S* W, const S* b, Columns<const S> X, Columns<S> Y, int inputs, int outputs, int columns,
            Activation activation) {
    if (columns == 1 && X.stride == 1 && Y.stride == 1) {
        return affine_one(W, b, X.data, Y.data, inputs, outputs, activation);
    }
    for (int o = 0; o < outputs; ++o) {
        const S bias = b ? b[o] : S(0);
        for (int c = 0; c < columns; ++c) Y.row(o)[c] = bias;
    }
    accumulate(W, X, Y, inputs, outputs, columns);
    const Rows all = Y.stride == columns ? Rows{1, outputs * columns} : Rows{outputs, columns};
    for (int r = 0; r < all.count; ++r) activate_row(Y.row(r), all.length, activation);
}

/// e times act'(.) by the layer's output h.
template <class S>
[[gnu::always_inline]] inline S times_derivative(S e, S h, Activation activation) {
    switch (activation) {
        case Activation::relu:
            return h > S(0) ? e : S(0);
        case Activation::tanh:
            return e * fma(-h, h, S(1));
        case Activation::sigmoid:
            return e * fma(-h, h, h);
        default:
            return e;
    }
}

/// y plus e act''(.) by the layer's output h, where e has the tangent of h as a
/// factor already.
template <class S>
[[gnu::always_inline]] inline S plus_curvature(S y, S e, S h, Activation activation) {
    switch (activation) {
        case Activation::tanh:
            return fma(S(-2) * h, e, y);
        case Activation::sigmoid:
            return fma(fma(S(-2), h, S(1)), e, y);
        default:
            return y;
    }
}

template <class S>
DUNLIN_FUSED void scale_tangents(Columns<const S> H, Columns<S> Y, int rows, int columns, Activation activation) {
    if (activation == Activation::identity) return;
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) Y.row(r)[c] = times_derivative(Y.row(r)[c], H.row(r)[c], activation);
    }
}

template <class S>
void tangent(const S* V, const S* b, Columns<const S> X, const S* W, Columns<const S> RX, Columns<const S> H,
             Columns<S> RY, int inputs, int outputs, int columns, Activation activation) {
    affine(V, b, X, RY, inputs, outputs, columns, Activation::identity);
    if (RX.data != nullptr) accumulate(W, RX, RY, inputs, outputs, columns);
    scale_tangents(H, RY, outputs, columns, activation);
}

template <class S>
DUNLIN_FUSED void backpropagate(const S* W, Columns<const S> D, Columns<const S> H, Columns<S> E, int inputs,
                                int outputs, int columns, Activation activation) {
#ifdef DUNLIN_VFP_ELEMENTS
    if constexpr (sizeof(S) == sizeof(float)) {
        if (activation == Activation::relu && columns == 1 && outputs % 8 == 0 && D.stride == 1 && H.stride == 1 &&
            E.stride == 1)
            return vfp::backpropagate_awake(W, D.data, H.data, E.data, inputs, outputs);
    }
#endif
    const bool whole = E.stride == columns && (H.stride == columns || activation == Activation::identity);
    const Rows all = whole ? Rows{1, inputs * columns} : Rows{inputs, columns};
    for (int r = 0; r < all.count; ++r) set_zero({E.row(r), static_cast<std::size_t>(all.length)});
    if constexpr (!has_vectors) {
        scalar::backpropagate(W, D, E, inputs, outputs, columns);
    } else {
        for (int i = 0; i < inputs; ++i) {
            S* e = E.row(i);
            for (int o = 0; o < outputs; ++o) {
                const S w = W[static_cast<std::ptrdiff_t>(i) * outputs + o];
                const S* d = D.row(o);
                for (int c = 0; c < columns; ++c) e[c] = fma(w, d[c], e[c]);
            }
        }
    }
    if (activation == Activation::identity) return;
    for (int r = 0; r < all.count; ++r) {
        S* e = E.row(r);
        const S* h = H.row(r);
        switch (activation) {
            case Activation::relu:
                for (int c = 0; c < all.length; ++c) e[c] = h[c] > S(0) ? e[c] : S(0);
                break;
            case Activation::tanh:
                for (int c = 0; c < all.length; ++c) e[c] *= fma(-h[c], h[c], S(1));
                break;
            default:
                for (int c = 0; c < all.length; ++c) e[c] *= fma(-h[c], h[c], h[c]);
        }
    }
}

template <class S>
DUNLIN_FUSED void tangent_backpropagate(const S* W, const S* V, Columns<const S> D, Columns<const S> RD,
                                        Columns<const S> H, Columns<const S> RH, Columns<S> E, Columns<S> RE,
                                        int inputs, int outputs, int columns, Activation activation) {
    backpropagate(W, D, {}, E, inputs, outputs, columns, Activation::identity);
    backpropagate(V, D, {}, RE, inputs, outputs, columns, Activation::identity);
    for (int i = 0; i < inputs; ++i) {
        S* re = RE.row(i);
        for (int o = 0; o < outputs; ++o) {
            const S w = W[static_cast<std::ptrdiff_t>(i) * outputs + o];
            const S* rd = RD.row(o);
            for (int c = 0; c < columns; ++c) re[c] = fma(w, rd[c], re[c]);
        }
        if (activation == Activation::identity) continue;
        S* e = E.row(i);
        const S *h = H.row(i), *rh = RH.row(i);
        for (int c = 0; c < columns; ++c) {
            re[c] = plus_curvature(times_derivative(re[c], h[c], activation), e[c] * rh[c], h[c], activation);
            e[c] = times_derivative(e[c], h[c], activation);
        }
    }
}

/// Row i of dW, outputs o to o + N: sums that do not wait for each other.
template <int N, class S>
[[gnu::always_inline]] inline void add_products(const S* x, Columns<const S> D, S* dW, int o, int columns) {
    S sum[N];
    for (int k = 0; k < N; ++k) sum[k] = dW[o + k];
    for (int c = 0; c < columns; ++c) {
        for (int k = 0; k < N; ++k) sum[k] = fma(x[c], D.row(o + k)[c], sum[k]);
    }
    for (int k = 0; k < N; ++k) dW[o + k] = sum[k];
}

template <class S>
DUNLIN_FUSED void weight_gradient(Columns<const S> X, Columns<const S> D, S* dW, S* db, int inputs, int outputs,
                                  int columns) {
    if constexpr (!has_vectors) {
        scalar::weight_gradient(X, D, dW, inputs, outputs, columns);
    } else {
        for (int i = 0; i < inputs; ++i) {
            const S* x = X.row(i);
            S* row = dW + static_cast<std::ptrdiff_t>(i) * outputs;
            int o = 0;
            for (; o + 4 <= outputs; o += 4) add_products<4>(x, D, row, o, columns);
            for (; o < outputs; ++o) add_products<1>(x, D, row, o, columns);
        }
    }
    if (db == nullptr) return;
    if (columns == 1 && D.stride == 1) {
#ifdef DUNLIN_VFP_ELEMENTS
        if constexpr (sizeof(S) == sizeof(float)) return vfp::add(D.data, db, static_cast<std::size_t>(outputs));
#endif
        for (int o = 0; o < outputs; ++o) db[o] += D.data[o];
        return;
    }
    for (int o = 0; o < outputs; ++o) {
        for (int c = 0; c < columns; ++c) db[o] += D.row(o)[c];
    }
}

template <class S>
void select_rows(const S* W, const S* b, const std::int32_t* index, Columns<S> Y, int outputs, int columns,
                 Activation activation) {
    for (int o = 0; o < outputs; ++o) {
        const S bias = b ? b[o] : S(0);
        S* y = Y.row(o);
        for (int c = 0; c < columns; ++c) y[c] = bias + W[static_cast<std::ptrdiff_t>(index[c]) * outputs + o];
        activate_row(y, columns, activation);
    }
}

template <class S>
void scatter_rows(const std::int32_t* index, Columns<const S> D, S* dW, S* db, int outputs, int columns) {
    for (int o = 0; o < outputs; ++o) {
        const S* d = D.row(o);
        for (int c = 0; c < columns; ++c) dW[static_cast<std::ptrdiff_t>(index[c]) * outputs + o] += d[c];
        if (db == nullptr) continue;
        for (int c = 0; c < columns; ++c) db[o] += d[c];
    }
}

template <class S>
DUNLIN_FUSED void softmax(Columns<const S> Z, Columns<S> P, int classes, int columns) {
    for (int c = 0; c < columns; ++c) {
        S top = Z.row(0)[c];
        for (int k = 1; k < classes; ++k) top = Z.row(k)[c] > top ? Z.row(k)[c] : top;
        S sum = 0;
        for (int k = 0; k < classes; ++k) {
            const S e = portable::exp(Z.row(k)[c] - top);
            P.row(k)[c] = e;
            sum += e;
        }
        const S scale = S(1) / sum;
        for (int k = 0; k < classes; ++k) P.row(k)[c] *= scale;
    }
}

template <class S>
constexpr Kernels<S> table{"reference",        affine<S>,      accumulate<S>,           backpropagate<S>,
                           weight_gradient<S>, select_rows<S>, scatter_rows<S>,         affine_one<S>,
                           softmax<S>,         tangent<S>,     tangent_backpropagate<S>};

}  // namespace

constexpr Kernels<float> reference_kernels = table<float>;
constexpr Kernels<float> first_order_kernels = [] {
    Kernels<float> kernels = table<float>;
    kernels.tangent = nullptr;
    kernels.tangent_backpropagate = nullptr;
    return kernels;
}();

template <>
const Kernels<float>& generic_kernels<float>() {
    return reference_kernels;
}
template <>
const Kernels<double>& generic_kernels<double>() {
    return table<double>;
}

}  // namespace dunlin

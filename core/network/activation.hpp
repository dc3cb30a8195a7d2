// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/layer_kernels.hpp"
#include "core/math.hpp"
#include "core/network/layer.hpp"

namespace dunlin {

template <class S>
S activated(S z, Activation activation) {
    switch (activation) {
        case Activation::relu:
            return z < S(0) ? S(0) : z;  // a NaN passes, so that it is found
        case Activation::leaky_relu:
            return z < S(0) ? S(leaky_slope) * z : z;
        case Activation::tanh:
            return portable::tanh(z);
        case Activation::sigmoid:
            return portable::sigmoid(z);
        default:
            return z;
    }
}

/// act'(z), from a = act(z).
template <class S>
constexpr S slope(S a, Activation activation) {
    switch (activation) {
        case Activation::relu:
            return a > S(0) ? S(1) : S(0);
        case Activation::leaky_relu:
            return a > S(0) ? S(1) : S(leaky_slope);
        case Activation::tanh:
            return S(1) - a * a;
        case Activation::sigmoid:
            return a - a * a;
        default:
            return S(1);
    }
}

/// The derivative of `slope` by a.
template <class S>
constexpr S bend(S a, Activation activation) {
    switch (activation) {
        case Activation::tanh:
            return S(-2) * a;
        case Activation::sigmoid:
            return S(1) - S(2) * a;
        default:
            return S(0);
    }
}

/// y = act(y)
template <class S>
void activate(Columns<S> y, int rows, int columns, Activation activation) {
    if (activation == Activation::identity) return;
    each_row(y.stride, rows, columns, [&](std::ptrdiff_t at, int n) {
        S* const row = y.data + at;
        for (int c = 0; c < n; ++c) row[c] = activated(row[c], activation);
    });
}

/// t *= act', taken from the output h: tangents on their way up, derivatives on their way down.
template <class S>
void times_slope(Columns<const S> h, Columns<S> t, int rows, int columns, Activation activation) {
    if (activation == Activation::identity) return;
    for (int r = 0; r < rows; ++r) {
        const S* const a = h.row(r);
        S* const row = t.row(r);
        for (int c = 0; c < columns; ++c) row[c] *= slope(a[c], activation);
    }
}

/// (e, re) = (act' e, act' re + act'' rh e), h the output and rh its tangent.
template <class S>
void times_slopes(Columns<const S> h, Columns<const S> rh, Columns<S> e, Columns<S> re, int rows, int columns,
                  Activation activation) {
    if (activation == Activation::identity) return;
    for (int r = 0; r < rows; ++r) {
        const S *const a = h.row(r), *const ra = rh.row(r);
        S *const d = e.row(r), *const rd = re.row(r);
        for (int c = 0; c < columns; ++c) {
            const S steep = slope(a[c], activation);
            rd[c] = rd[c] * steep + bend(a[c], activation) * ra[c] * d[c];
            d[c] *= steep;
        }
    }
}

}  // namespace dunlin

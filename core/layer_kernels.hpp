// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"

namespace dunlin {

/// One of several products that are summed: W' x. Row i of W begins at W + i stride, so that W may be some columns of a
/// wider matrix.
template <class S>
struct ProductPart {
    const S* W = nullptr;
    std::ptrdiff_t stride = 0;
    Columns<const S> X{};
    int inputs = 0;
};

/// One of several outer products that are summed: X D'.
template <class S>
struct GradientPart {
    Columns<const S> X{}, D{};
};
/// Whether there are kernels that sum several at once (LayerKernels::weight_gradients): a microcontroller's image has no
/// room for them.
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
inline constexpr bool sums_gradients = false;
#else
inline constexpr bool sums_gradients = true;
#endif

/// What a recurrent layer does at a step when the products are done (core/network/recurrent.hpp): rows of the step, and of the
/// step before it, which is null at the first.
template <class S>
struct CellKernels {
    void (*forward)(Columns<S> y, Columns<const S> before, int units, int columns);
    void (*backward)(Columns<const S> y, Columns<const S> before, Columns<S> d, Columns<S> handed, int units,
                     int columns);
    void (*tangent_forward)(Columns<const S> y, Columns<const S> before, Columns<S> t, Columns<const S> moved,
                            int units, int columns);
    void (*tangent_backward)(Columns<const S> y, Columns<const S> before, Columns<const S> t,
                             Columns<const S> moved, Columns<S> d, Columns<S> handed, Columns<S> e,
                             Columns<S> handed_too, int units, int columns);
};

/// The inner loops that layers beyond dense ones need, as Kernels has those of dense ones: a table apart, so that a
/// firmware whose network is a perceptron links none of it. The reference fixes the order of every sum and every fused
/// multiply-add; the fast ones agree to rounding.
template <class S>
struct LayerKernels {
    /// Y = act(b + sum over the parts of W' X), outputs x columns; b may be null
    void (*affine_parts)(const ProductPart<S>* parts, int count, const S* b, Columns<S> Y, int outputs, int columns,
                         Activation);
    /// Y += sum over the parts of W' X
    void (*accumulate_parts)(const ProductPart<S>* parts, int count, Columns<S> Y, int outputs, int columns);
    /// Y = act(Y), rows x columns
    void (*activate)(Columns<S> Y, int rows, int columns, Activation);
    /// Y times act'(.) taken from the output H
    void (*times_slope)(Columns<const S> H, Columns<S> Y, int rows, int columns, Activation);
    /// (E, RE) = (act' E, act' RE + act'' RH E), the derivatives taken from the output H, whose tangent is RH
    void (*times_slopes)(Columns<const S> H, Columns<const S> RH, Columns<S> E, Columns<S> RE, int rows,
                         int columns, Activation);
    /// Row by row Y += w X, the weight of row r being w[r w_step]
    void (*add_scaled_rows)(const S* w, std::ptrdiff_t w_step, Columns<const S> X, Columns<S> Y, int rows,
                            int columns);
    /// sums[r step] += <row r of X, row r of D>
    void (*add_row_products)(Columns<const S> X, Columns<const S> D, S* sums, std::ptrdiff_t step, int rows,
                             int columns);

    // Column by column the largest of some rows; of several the first counts. NaN is not looked for.
    /// y = the largest
    void (*largest)(const S* const* rows, int count, S* y, int columns);
    /// y = what `others` have where the largest is
    void (*at_largest)(const S* const* rows, const S* const* others, int count, S* y, int columns);
    /// The row of `into` where the largest is += d
    void (*give_largest)(const S* const* rows, S* const* into, int count, const S* d, int columns);

    CellKernels<S> gru, lstm;

#if !(defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M')
    /// dW += sum over the parts of X D', inputs x outputs; db, which may be null, += sum over the parts of D 1. Null in
    /// the reference, whose order is Kernels::weight_gradient part by part.
    void (*weight_gradients)(const GradientPart<S>* parts, int count, S* dW, S* db, int inputs, int outputs,
                             int columns) = nullptr;
#endif
};

/// Those that go with a set of kernels; the reference's with one that has none of its own.
const LayerKernels<float>& layer_kernels(const Kernels<float>& kernels);
const LayerKernels<double>& layer_kernels(const Kernels<double>& kernels);

inline constexpr float leaky_slope = 0.01f;  ///< of leaky_relu below zero

}  // namespace dunlin

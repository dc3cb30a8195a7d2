// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dunlin {

enum class Activation : std::uint8_t { identity, relu, tanh, sigmoid, leaky_relu };

/// How kernels see data: a matrix of features by columns (a column is a
/// sample), feature-major, so that the lanes of a vector register are columns.
/// Element (feature f, column c) is data[f * stride + c].
template <class S>
struct Columns {
    S* data = nullptr;
    std::ptrdiff_t stride = 0;

    S* row(std::ptrdiff_t feature) const { return data + feature * stride; }
    operator Columns<const S>() const { return {data, stride}; }
};

/// Column counts and strides handed to kernels are multiples of this, except to
/// generic ones, which take any. Columns past the last sample are padding:
/// finite on input, and with a zero gradient. Data is aligned to 64 bytes.
inline constexpr int column_multiple = 16;
constexpr int pad_columns(int columns) {
    return (columns + column_multiple - 1) / column_multiple * column_multiple;
}

template <class S>
struct SampleKernels;  // core/few_samples.hpp

/// The inner loops of every perceptron, as a table of functions, so that one
/// program carries several instruction sets and picks one when it starts. A
/// layer's weights W are inputs x outputs, row-major (the weights that leave
/// one input are contiguous); b is the bias, or null. In the equations X is
/// inputs x columns, Y and D are outputs x columns.
///
/// No function allocates, and none keeps state. `generic` kernels fix the order
/// of every sum and every fused multiply-add: they are the reference, the same
/// bits everywhere (docs/numbers.md). Fast ones agree to rounding.
template <class S>
struct Kernels {
    const char* name;

    /// Y = act(b + W' X)
    void (*affine)(const S* W, const S* b, Columns<const S> X, Columns<S> Y, int inputs, int outputs, int columns,
                   Activation);
    /// Y += W' X
    void (*accumulate)(const S* W, Columns<const S> X, Columns<S> Y, int inputs, int outputs, int columns);
    /// E = W D, then times act'(.) taken from the layer's output H, where E and H
    /// are inputs x columns; H may be {null, 0} with Activation::identity.
    void (*backpropagate)(const S* W, Columns<const S> D, Columns<const S> H, Columns<S> E, int inputs, int outputs,
                          int columns, Activation);
    /// dW += X D', db += D 1 (db may be null)
    void (*weight_gradient)(Columns<const S> X, Columns<const S> D, S* dW, S* db, int inputs, int outputs,
                            int columns);
    /// One-hot inputs: Y's column c = act(b + row index[c] of W)
    void (*select_rows)(const S* W, const S* b, const std::int32_t* index, Columns<S> Y, int outputs, int columns,
                        Activation);
    /// One-hot inputs: row index[c] of dW += column c of D; db += D 1 (db may be
    /// null)
    void (*scatter_rows)(const std::int32_t* index, Columns<const S> D, S* dW, S* db, int outputs, int columns);
    /// One sample: y = act(b + W' x), x and y contiguous
    void (*affine_one)(const S* W, const S* b, const S* x, S* y, int inputs, int outputs, Activation);
    /// Over classes, column by column: P = softmax(Z); P may be Z
    void (*softmax)(Columns<const S> Z, Columns<S> P, int classes, int columns);

    // Derivatives of affine and backpropagate when weights and bias move along V
    // and b, X along RX, D along RD, and the layer's output H along RH.

    /// RY = act'(.) (b + V' X + W' RX), act' taken from H, the layer's own
    /// output; RX may be {null, 0} for none, and H with Activation::identity
    void (*tangent)(const S* V, const S* b, Columns<const S> X, const S* W, Columns<const S> RX, Columns<const S> H,
                    Columns<S> RY, int inputs, int outputs, int columns, Activation);
    /// E = act'(.) W D, RE = act'(.) (V D + W RD) + act''(.) RH W D; both
    /// derivatives taken from H, as in backpropagate
    void (*tangent_backpropagate)(const S* W, const S* V, Columns<const S> D, Columns<const S> RD,
                                  Columns<const S> H, Columns<const S> RH, Columns<S> E, Columns<S> RE, int inputs,
                                  int outputs, int columns, Activation);

    /// For batches of few samples; null: none that are faster
    const SampleKernels<S>* few = nullptr;
};

/// The reference kernels: plain loops, any column count, float or double.
template <class S>
const Kernels<S>& generic_kernels();
template <>
const Kernels<float>& generic_kernels<float>();
template <>
const Kernels<double>& generic_kernels<double>();
/// What generic_kernels<float>() gives, as an object: for lists of sets, and for policies that are constants.
extern const Kernels<float> reference_kernels;

/// The kernels called `name`: "fast" (the best that this processor runs),
/// "reference", or one set by its own name
/// ("baseline", "avx2", "avx512", "neon"). Errors: unknown_kernels,
/// unsupported_kernels; it never falls back.
Result<const Kernels<float>*> find_kernels(std::string_view name);

/// The sets compiled into this program that this processor runs, best first,
/// ended by null.
const Kernels<float>* const* available_kernels();

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"

namespace dunlin {

/// A few samples one after the other: feature f of sample c is data[c * stride + f]. No padding, any alignment.
template <class S>
struct Samples {
    S* data = nullptr;
    std::ptrdiff_t stride = 0;

    operator Samples<const S>() const { return {data, stride}; }
};

/// Kernels for batches that fill no vector of columns: the lanes of a vector are outputs, a sample is a row as data
/// sets have it, and nothing is computed for padding. Every sum has the terms and the order that it has in Kernels of
/// the same set, so the bits are the same: for layers of more than 8 outputs and at least 16 inputs.
template <class S>
struct SampleKernels {
    static constexpr int sample_limit = 32;

    /// Is it faster, with the same bits, for layers of such sizes?
    static constexpr bool fit(int inputs, int outputs, int samples) {
        return samples <= sample_limit && outputs > 8 && inputs >= 16;
    }

    /// Y = act(b + W' X)
    void (*affine)(const S* W, const S* b, Samples<const S> X, Samples<S> Y, int inputs, int outputs, int samples,
                   Activation);
    /// E = W D, times act'(.) taken from the layer's output H
    void (*backpropagate)(const S* W, Samples<const S> D, Samples<const S> H, Samples<S> E, int inputs, int outputs,
                          int samples, Activation);
    /// dW := X D', db := D 1 (db may be null): what was there is not read
    void (*weight_gradient)(Samples<const S> X, Samples<const S> D, S* dW, S* db, int inputs, int outputs,
                            int samples);
};

}  // namespace dunlin

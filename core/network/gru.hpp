// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/recurrent.hpp"

namespace dunlin {

/// A gated recurrent unit, with the reset gate behind the product (as PyTorch, and ONNX with linear_before_reset):
///
///     z = sigma(Wz' x + bz + Uz' h),   r = sigma(Wr' x + br + Ur' h),   q = Uq' h + a
///     n = tanh(Wn' x + bn + r q),      h := n + z (h - n)
///
/// Rows of a step: n, z, r, q, h. Source: Cho et al. 2014.
struct GruCell {
    static constexpr int rows = 5, inputs = 3, states_at = 1, states = 3, own_bias = 1, kept_at = 4;
    static constexpr std::array blocks{
        GateBlock{.row = 0, .count = 1, .input = 0},
        GateBlock{.row = 1, .count = 2, .input = 1, .state = 0, .activation = Activation::sigmoid},
        GateBlock{.row = 3, .count = 1, .state = 2, .own_bias = true}};

    template <class S>
    static const CellKernels<S>& kernels(const LayerKernels<S>& all) {
        return all.gru;
    }
};
using GruLayer = RecurrentLayer<GruCell>;

}  // namespace dunlin

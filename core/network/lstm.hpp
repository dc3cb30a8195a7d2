// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/recurrent.hpp"

namespace dunlin {

/// Long short-term memory without peepholes:
///
///     (i, f, o) = sigma(W' x + b + U' h),   g = tanh(Wg' x + bg + Ug' h)
///     c := f c + i g,   h := o tanh(c)
///
/// Rows of a step: i, f, o, g, tanh(c), c, h. In matrices of derivatives c's row holds what later steps give it.
/// Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000.
struct LstmCell {
    static constexpr int rows = 7, inputs = 4, states_at = 0, states = 4, own_bias = 0, kept_at = 5;
    static constexpr int forget = 1;  ///< the gate whose bias begins at one
    static constexpr std::array blocks{
        GateBlock{.row = 0, .count = 3, .input = 0, .state = 0, .activation = Activation::sigmoid},
        GateBlock{.row = 3, .count = 1, .input = 3, .state = 3, .activation = Activation::tanh}};

    template <class S>
    static const CellKernels<S>& kernels(const LayerKernels<S>& all) {
        return all.lstm;
    }
};
using LstmLayer = RecurrentLayer<LstmCell>;

}  // namespace dunlin

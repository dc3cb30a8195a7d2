// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/kernels.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// The shape of a multilayer perceptron. Sizes are run-time values that may be constants: everything here is
/// constexpr, so firmware declares its buffers from the same formulas that a host evaluates.
///
/// Parameters lie flat, layer by layer: weights (inputs x outputs, row-major), then the bias. A shape without
/// hidden layers and bias whose input is one-hot is a table: one row of outputs per state.
struct MlpShape {
    static constexpr int layer_limit = 8;      ///< hidden layers and the output together
    static constexpr int width_limit = 65536;  ///< of inputs and of every layer

    int inputs = 0;
    int layers = 0;                         ///< affine layers
    std::array<int, layer_limit> widths{};  ///< outputs of each
    Activation hidden = Activation::tanh;   ///< of every layer but the last, which is linear
    bool one_hot = false;                   ///< the input is the index of its only 1
    bool bias = true;
    bool linear_input = false;  ///< layer 0 is linear too: an affine transform of the inputs in front of the rest

    /// A shape from hidden widths; errors: too_many_layers, bad_width.
    static constexpr Result<MlpShape> make(int inputs, std::span<const int> hidden_widths, int outputs,
                                           Activation hidden = Activation::tanh, bool one_hot = false,
                                           bool bias = true) {
        if (hidden_widths.size() + 1 > layer_limit) {
            return fail(Code::too_many_layers, static_cast<std::int64_t>(hidden_widths.size()) + 1, layer_limit);
        }
        MlpShape shape;
        shape.inputs = inputs;
        for (int width : hidden_widths) shape.widths[static_cast<std::size_t>(shape.layers++)] = width;
        shape.widths[static_cast<std::size_t>(shape.layers++)] = outputs;
        shape.hidden = hidden;
        shape.one_hot = one_hot;
        shape.bias = bias;
        if (inputs < 1 || inputs > width_limit) return fail(Code::bad_width, inputs, 0);
        for (int l = 0; l < shape.layers; ++l) {
            if (shape.width(l) < 1 || shape.width(l) > width_limit)
                return fail(Code::bad_width, shape.width(l), l + 1);
        }
        return shape;
    }

    constexpr int width(int layer) const { return widths[static_cast<std::size_t>(layer)]; }
    constexpr int fan_in(int layer) const { return layer == 0 ? inputs : width(layer - 1); }
    constexpr Activation activation(int layer) const {
        return layer + 1 == layers || (layer == 0 && linear_input) ? Activation::identity : hidden;
    }
    constexpr int outputs() const { return width(layers - 1); }

    constexpr std::size_t weights_at(int layer) const {
        std::size_t at = 0;
        for (int l = 0; l < layer; ++l) {
            at += static_cast<std::size_t>(fan_in(l) + (bias ? 1 : 0)) * static_cast<std::size_t>(width(l));
        }
        return at;
    }
    constexpr std::size_t bias_at(int layer) const {
        return weights_at(layer) + static_cast<std::size_t>(fan_in(layer)) * static_cast<std::size_t>(width(layer));
    }
    constexpr std::size_t parameters() const { return weights_at(layers); }

    /// Rows of an activation matrix: the outputs of all layers, in order.
    constexpr int units() const { return row_at(layers); }
    constexpr int row_at(int layer) const {
        int row = 0;
        for (int l = 0; l < layer; ++l) row += width(l);
        return row;
    }

    friend constexpr bool operator==(const MlpShape&, const MlpShape&) = default;
};

/// A batch of inputs: a matrix, or for a one-hot shape the index of each column's 1.
template <class S>
struct Inputs {
    Columns<const S> matrix{};
    const std::int32_t* index = nullptr;
};

/// The perceptron as a function of flat parameters. It owns nothing: activations, deltas and gradients are matrices
/// of `shape.units()` rows and at least `columns` columns that belong to the caller (see Columns for padding). The
/// last `shape.outputs()` rows are the network's output.
template <class S>
struct Mlp {
    MlpShape shape;
    const Kernels<S>* kernels = &generic_kernels<S>();

    Columns<S> layer(Columns<S> matrix, int l) const { return {matrix.row(shape.row_at(l)), matrix.stride}; }
    Columns<S> output(Columns<S> matrix) const { return layer(matrix, shape.layers - 1); }

    /// Fills `activations`.
    void forward(const S* parameters, Inputs<S> inputs, Columns<S> activations, int columns) const;

    /// One sample, contiguous: `activations` holds units() scalars. For a one-hot shape use forward.
    void forward_one(const S* parameters, const S* input, S* activations) const;

    /// Adds to `gradient` the gradient of sum over columns of <delta, output>, where the caller has put delta into
    /// the output rows of `deltas`; the other rows are filled with each layer's delta.
    void backward(const S* parameters, Inputs<S> inputs, Columns<const S> activations, Columns<S> deltas,
                  int columns, S* gradient) const;

    /// Forward-over-reverse (Pearlmutter 1994), first half: fills `tangents` with the derivative of the activations
    /// when the parameters move along `direction`.
    void tangent_forward(const S* parameters, const S* direction, Inputs<S> inputs, Columns<const S> activations,
                         Columns<S> tangents, int columns) const;

    /// Second half: adds to `product` the derivative of backward's gradient along `direction`. The caller has put
    /// the deltas and their derivatives into the output rows of `deltas` and `tangent_deltas`; the other rows are
    /// filled.
    void tangent_backward(const S* parameters, const S* direction, Inputs<S> inputs, Columns<const S> activations,
                          Columns<const S> tangents, Columns<S> deltas, Columns<S> tangent_deltas, int columns,
                          S* product) const;

private:
    const S* bias(const S* parameters, int l) const { return shape.bias ? parameters + shape.bias_at(l) : nullptr; }
    S* bias(S* parameters, int l) const { return shape.bias ? parameters + shape.bias_at(l) : nullptr; }
    void weight_gradient(int l, Inputs<S> inputs, Columns<const S> activations, Columns<const S> delta, int columns,
                         S* gradient) const;
};

extern template struct Mlp<float>;
extern template struct Mlp<double>;

/// First parameters: weights normal with variance gain/fan_in (a one-hot input has fan-in 1), the
/// last layer scaled by `output_gain`, so that a policy starts near uniform; biases zero. A linear input layer as
/// wide as the input starts as the identity. Source: He et al. 2015 (relu, gain 2), LeCun et al. 1998 (tanh, gain
/// 1).
void initialise(const MlpShape& shape, Stream& random, std::span<float> parameters, float output_gain = 1.0f);

}  // namespace dunlin

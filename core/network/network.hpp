// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"
#include "core/random.hpp"

namespace dunlin {

/// A batch of inputs: a matrix, or of a sequence of tokens those of step t in all columns from tokens + t token_stride on.
template <class S>
struct NetworkInputs {
    Columns<const S> matrix{};
    const std::int32_t* tokens = nullptr;
    std::ptrdiff_t token_stride = 0;
};

/// A network as a function of flat parameters. It owns nothing: activations, derivatives and tangents are matrices of
/// `shape.units()` rows and at least `columns` columns that belong to the caller (see Columns for padding), and so
/// does the scratch space.
template <class S>
struct Network {
    const NetworkShape& shape;
    const Kernels<S>& kernels;
    S* scratch;  ///< shape.scratch_scalars()

    /// The rows of a layer, its output first.
    template <class T>
    Columns<T> rows(Columns<T> matrix, int l) const {
        return below(matrix, shape.layer(l).row);
    }
    template <class T>
    Columns<T> output(Columns<T> matrix) const {
        return rows(matrix, shape.layers - 1);
    }

    /// Fills `activations`. `dropout` draws what dropout layers leave out; null: they leave out nothing.
    void forward(const S* parameters, NetworkInputs<S> inputs, Columns<S> activations, int columns,
                 Stream* dropout = nullptr) const;

    /// Adds to `gradient` the gradient of sum over columns of <delta, output>, where the caller has put delta into the
    /// output rows of `deltas`; the other rows are used up.
    void backward(const S* parameters, NetworkInputs<S> inputs, Columns<const S> activations, Columns<S> deltas,
                  int columns, S* gradient) const;

    /// Forward-over-reverse (Pearlmutter 1994), first half: fills `tangents` with the derivative of the activations
    /// when the parameters move along `direction`.
    void tangent_forward(const S* parameters, const S* direction, NetworkInputs<S> inputs,
                         Columns<const S> activations, Columns<S> tangents, int columns) const;

    /// Second half: adds to `product` the derivative of backward's gradient along `direction`. The caller has put the
    /// deltas and their derivatives into the output rows of `deltas` and `tangent_deltas`; the others are used up.
    void tangent_backward(const S* parameters, const S* direction, NetworkInputs<S> inputs,
                          Columns<const S> activations, Columns<const S> tangents, Columns<S> deltas,
                          Columns<S> tangent_deltas, int columns, S* product) const;

private:
    LayerRun<S> run(int l, NetworkInputs<S> inputs, int columns) const {
        const NetworkShape::Layer& layer = shape.layer(l);
        return {kernels, layer_kernels(kernels), layer.spec,         layer.in, layer.out, columns,
                scratch, inputs.tokens,          inputs.token_stride};
    }
    /// A dense layer on one token a column.
    bool selects(int l) const { return l == 0 && shape.tokens && shape.layer(l).spec.kind == LayerKind::dense; }
    /// May the kernels of a dense layer take the slope of layer l's activation with them?
    bool fuses(int l) const;
    Columns<const S> input_of(int l, NetworkInputs<S> inputs, Columns<const S> activations) const {
        return l == 0 ? inputs.matrix : rows(activations, l - 1);
    }
};

extern template struct Network<float>;
extern template struct Network<double>;

/// First parameters: weights normal with variance gain/fan_in, a dense last layer's scaled by `output_gain`; biases zero, but
/// one where an LSTM forgets (Gers et al. 2000), and scales of a normalisation one. Source: He et al. 2015 (relu,
/// gain 2), LeCun et al. 1998 (gain 1).
void initialise(const NetworkShape& shape, Stream& random, std::span<float> parameters, float output_gain = 1.0f);

}  // namespace dunlin

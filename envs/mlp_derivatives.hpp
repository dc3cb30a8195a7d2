// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/few_samples.hpp"
#include "core/mlp.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// Memory for a perceptron's derivatives on up to `columns` columns at a time, and the order of calls: `forward`,
/// fill the output deltas, `gradient`; or `forward`, `tangent`, fill the output deltas and their tangents,
/// `product`. What is between is a task's loss as a function of the outputs. Column counts are multiples of
/// column_multiple; padding has zero deltas. Where a batch has `few` samples, `forward_few` and `gradient_few` give the
/// same bits from samples that stand one after the other, and are faster.
template <class S>
struct MlpDerivatives {
    using Shape = MlpShape;
    static constexpr bool drops_out = false;
    static constexpr bool knows_few = true;

    Mlp<S> mlp;
    Columns<S> activations, deltas, tangents, tangent_deltas;

    /// Numbers of a sample.
    static constexpr int inputs(const MlpShape& shape) { return shape.inputs; }
    static constexpr std::size_t bytes(const MlpShape& shape, int columns) {
        const auto rows = static_cast<std::size_t>(4 * shape.units());
        return Arena::bytes<S>(rows * static_cast<std::size_t>(pad_columns(columns)));
    }

    MlpDerivatives(const MlpShape& shape, const Kernels<S>& kernels, int columns, Arena& arena)
        : mlp{shape, &kernels} {
        S* at = arena.take<S>(bytes(shape, columns) / sizeof(S)).data();
        for (Columns<S>* matrix : {&activations, &deltas, &tangents, &tangent_deltas}) {
            *matrix = {at, pad_columns(columns)};
            at += static_cast<std::ptrdiff_t>(shape.units()) * pad_columns(columns);
        }
    }

    Columns<S> outputs() const { return mlp.output(activations); }
    Columns<S> output_deltas() const { return mlp.output(deltas); }
    Columns<S> output_tangents() const { return mlp.output(tangents); }
    Columns<S> output_tangent_deltas() const { return mlp.output(tangent_deltas); }

    void forward(const S* w, Columns<const S> inputs, int columns) const {
        mlp.forward(w, {inputs}, activations, columns);
    }
    void gradient(const S* w, Columns<const S> inputs, int columns, Vector<S> out) const {
        std::fill(out.begin(), out.end(), S(0));
        mlp.backward(w, {inputs}, activations, deltas, columns, out.data());
    }
    /// Is a batch of so many samples one of few, for each of the layers?
    bool few(int samples) const {
        const MlpShape& shape = mlp.shape;
        bool fits = mlp.kernels->few != nullptr && !shape.one_hot;
        for (int l = 0; l < shape.layers; ++l)
            fits = fits && SampleKernels<S>::fit(shape.fan_in(l), shape.width(l), samples);
        return fits;
    }
    void forward_few(const S* w, Samples<const S> inputs, int samples) const {
        const MlpShape& shape = mlp.shape;
        for (int l = 0; l < shape.layers; ++l)
            mlp.kernels->few->affine(w + shape.weights_at(l), shape.bias ? w + shape.bias_at(l) : nullptr,
                                     input_of(l, inputs),
                                     l + 1 == shape.layers ? few_outputs() : few_layer(activations, l),
                                     shape.fan_in(l), shape.width(l), samples, shape.activation(l));
        for (int o = 0; o < shape.outputs(); ++o) {
            S* row = outputs().row(o);
            for (int c = 0; c < samples; ++c) row[c] = few_outputs().data[c * few_outputs().stride + o];
            std::fill(row + samples, row + pad_columns(samples), S(0));
        }
    }
    void gradient_few(const S* w, Samples<const S> inputs, int samples, Vector<S> out) const {
        const MlpShape& shape = mlp.shape;
        Samples<S> delta{tangent_deltas.data, shape.outputs()};
        for (int o = 0; o < shape.outputs(); ++o) {
            for (int c = 0; c < samples; ++c) delta.data[c * delta.stride + o] = output_deltas().row(o)[c];
        }
        for (int l = shape.layers - 1; l >= 0; --l) {
            mlp.kernels->few->weight_gradient(input_of(l, inputs), delta, out.data() + shape.weights_at(l),
                                              shape.bias ? out.data() + shape.bias_at(l) : nullptr, shape.fan_in(l),
                                              shape.width(l), samples);
            if (l == 0) break;
            const Samples<S> below = few_layer(deltas, l - 1);
            mlp.kernels->few->backpropagate(w + shape.weights_at(l), delta, few_layer(activations, l - 1), below,
                                            shape.fan_in(l), shape.width(l), samples, shape.activation(l - 1));
            delta = below;
        }
    }
    void tangent(const S* w, const S* v, Columns<const S> inputs, int columns) const {
        mlp.tangent_forward(w, v, {inputs}, activations, tangents, columns);
    }
    void product(const S* w, const S* v, Columns<const S> inputs, int columns, Vector<S> out) const {
        std::fill(out.begin(), out.end(), S(0));
        mlp.tangent_backward(w, v, {inputs}, activations, tangents, deltas, tangent_deltas, columns, out.data());
    }

private:
    // Of few samples hidden layers stand where columns would, and what belongs to the outputs where tangents would.
    Samples<S> few_layer(Columns<S> matrix, int l) const {
        return {matrix.data + mlp.shape.row_at(l), mlp.shape.row_at(mlp.shape.layers - 1)};
    }
    Samples<S> few_outputs() const { return {tangents.data, mlp.shape.outputs()}; }
    Samples<const S> input_of(int l, Samples<const S> inputs) const {
        return l == 0 ? inputs : Samples<const S>(few_layer(activations, l - 1));
    }
};

}  // namespace dunlin

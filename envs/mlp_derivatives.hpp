// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/mlp.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// Memory for a perceptron's derivatives on up to `columns` columns at a time, and the order of calls: `forward`,
/// fill the output deltas, `gradient`; or `forward`, `tangent`, fill the output deltas and their tangents,
/// `product`. What is between is a task's loss as a function of the outputs. Column counts are multiples of
/// column_multiple; padding has zero deltas.
template <class S>
struct MlpDerivatives {
    Mlp<S> mlp;
    Columns<S> activations, deltas, tangents, tangent_deltas;

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
    void tangent(const S* w, const S* v, Columns<const S> inputs, int columns) const {
        mlp.tangent_forward(w, v, {inputs}, activations, tangents, columns);
    }
    void product(const S* w, const S* v, Columns<const S> inputs, int columns, Vector<S> out) const {
        std::fill(out.begin(), out.end(), S(0));
        mlp.tangent_backward(w, v, {inputs}, activations, tangents, deltas, tangent_deltas, columns, out.data());
    }
};

}  // namespace dunlin

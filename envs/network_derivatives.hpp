// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/network/network.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// MlpDerivatives for a network of any layers: memory for its derivatives on up to `columns` columns at a time, with the
/// same order of calls. Where tokens come in, a sample is the token of each step as a number; `forward` makes indices of
/// them, which `gradient`, `tangent` and `product` use. What dropout leaves out is drawn by `forward` from a copy of the
/// stream that it is given, so that one stream leaves out the same numbers at every call; null: nothing.
template <class S>
struct NetworkDerivatives {
    using Shape = NetworkShape;
    static constexpr bool drops_out = true;
    static constexpr bool knows_few = false;

    NetworkShape shape;
    const Kernels<S>* kernels;
    S* scratch;
    std::int32_t* tokens;
    Columns<S> activations, deltas, tangents, tangent_deltas;

    /// Numbers of a sample.
    static constexpr int inputs(const NetworkShape& shape) {
        return shape.tokens ? shape.input.places() : shape.input.size();
    }
    static constexpr std::size_t bytes(const NetworkShape& shape, int columns) {
        const auto stride = static_cast<std::size_t>(pad_columns(columns));
        return Arena::bytes<S>(4 * static_cast<std::size_t>(shape.units()) * stride) +
               Arena::bytes<S>(shape.scratch_scalars()) + Arena::bytes<std::int32_t>(token_rows(shape) * stride);
    }

    NetworkDerivatives(const NetworkShape& of, const Kernels<S>& with, int columns, Arena& arena)
        : shape(of), kernels(&with) {
        const std::ptrdiff_t stride = pad_columns(columns);
        const auto size = static_cast<std::size_t>(shape.units()) * static_cast<std::size_t>(stride);
        S* at = arena.take<S>(4 * size).data();
        for (Columns<S>* matrix : {&activations, &deltas, &tangents, &tangent_deltas}) {
            *matrix = {at, stride};
            at += size;
        }
        scratch = arena.take<S>(shape.scratch_scalars()).data();
        tokens = arena.take<std::int32_t>(token_rows(shape) * static_cast<std::size_t>(stride)).data();
    }

    Columns<S> outputs() const { return network().output(activations); }
    Columns<S> output_deltas() const { return network().output(deltas); }
    Columns<S> output_tangents() const { return network().output(tangents); }
    Columns<S> output_tangent_deltas() const { return network().output(tangent_deltas); }

    void forward(const S* w, Columns<const S> matrix, int columns, const Stream* dropout = nullptr) const {
        for (std::size_t step = 0; step < token_rows(shape); ++step) {
            const S* const row = matrix.row(static_cast<std::ptrdiff_t>(step));
            std::int32_t* const to = tokens + static_cast<std::ptrdiff_t>(step) * activations.stride;
            for (int c = 0; c < columns; ++c)
                to[c] = std::clamp(static_cast<std::int32_t>(row[c]), 0, shape.input.channels - 1);
        }
        Stream random;
        if (dropout != nullptr) random = *dropout;
        network().forward(w, from(matrix), activations, columns, dropout != nullptr ? &random : nullptr);
    }
    void gradient(const S* w, Columns<const S> matrix, int columns, Vector<S> out) const {
        std::fill(out.begin(), out.end(), S(0));
        network().backward(w, from(matrix), activations, deltas, columns, out.data());
    }
    void tangent(const S* w, const S* v, Columns<const S> matrix, int columns) const {
        network().tangent_forward(w, v, from(matrix), activations, tangents, columns);
    }
    void product(const S* w, const S* v, Columns<const S> matrix, int columns, Vector<S> out) const {
        std::fill(out.begin(), out.end(), S(0));
        network().tangent_backward(w, v, from(matrix), activations, tangents, deltas, tangent_deltas, columns,
                                   out.data());
    }

private:
    static constexpr std::size_t token_rows(const NetworkShape& shape) {
        return shape.tokens ? static_cast<std::size_t>(shape.input.places()) : 0;
    }
    Network<S> network() const { return {shape, *kernels, scratch}; }
    NetworkInputs<S> from(Columns<const S> matrix) const {
        if (!shape.tokens) return {.matrix = matrix};
        return {.tokens = tokens, .token_stride = activations.stride};
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <array>

namespace dunlin {

/// A policy with a memory, and what it expects to earn:
///
///     e = tanh(We' x + be),   h := cell(e, h),   logits = Wp' h + bp,   V = v' h + c
///
/// where the cell is a GRU or an LSTM. The policy is a network of Dunlin's layers ("dense E tanh", "gru H", "dense A"), whose
/// parameters come first; v and c, which only training needs, follow.
///
/// A step of many trials at once has a matrix of `rows()` rows, its tape, that holds all that the way back needs; steps
/// are joined by the caller, who may also begin some columns anew between two of them (`forget`). Nothing allocates.
template <class S>
struct RecurrentPolicy {
    NetworkShape shape;
    const Kernels<S>* kernels = nullptr;

    /// Errors: NetworkShape's.
    static Result<RecurrentPolicy> make(int inputs, int encoder, LayerKind cell, int units, int actions,
                                        const Kernels<S>* kernels) {
        const std::array layers{LayerSpec{.activation = Activation::tanh, .outputs = encoder},
                                LayerSpec{.kind = cell, .outputs = units}, LayerSpec{.outputs = actions}};
        const Result<NetworkShape> made = NetworkShape::make({1, 1, inputs}, false, layers);
        if (!made) return tl::unexpected(made.error());
        return RecurrentPolicy{*made, kernels};
    }

    int inputs() const { return shape.input.channels; }
    int encoder() const { return shape.layer(0).spec.outputs; }
    int units() const { return shape.layer(1).spec.outputs; }
    int actions() const { return shape.outputs(); }
    std::size_t policy_parameters() const { return shape.parameters(); }
    std::size_t parameters() const { return policy_parameters() + static_cast<std::size_t>(units()) + 1; }

    // Rows of a step: the encoder's output, the cell's, a copy of its state, logits and V. The copy stays where the state
    // itself is forgotten.
    int rows() const { return copy_row() + units() + actions() + 1; }
    int copy_row() const { return encoder() + cell_rows() * units(); }
    template <class T>
    Columns<T> logits(Columns<T> tape) const {
        return below(tape, copy_row() + units());
    }
    template <class T>
    Columns<T> value(Columns<T> tape) const {
        return below(tape, copy_row() + units() + actions());
    }

    /// Scalars of work space for `turn`.
    std::size_t scratch() const {
        const auto h = static_cast<std::size_t>(units());
        return with_cell([&](auto cell) { return h * h * static_cast<std::size_t>(decltype(cell)::states); });
    }

    /// First parameters, as `initialise` of networks; V begins as zero.
    void initialise(Stream& random, Vector<float> w, float output_gain) const {
        dunlin::initialise(shape, random, w.first(policy_parameters()), output_gain);
        std::ranges::fill(w.subspan(policy_parameters()), 0.0f);
    }

    /// Fills the tape of a step, x being inputs() rows; `before` is the tape of the step before, or null at the first.
    void forward(const S* w, Columns<const S> x, Columns<const S> before, Columns<S> tape, int columns) const {
        const Places at(*this, w);
        kernels->affine(at.encoder, at.encoder_bias, x, tape, inputs(), encoder(), columns, Activation::tanh);
        const LayerKernels<S>& more = layer_kernels(*kernels);
        const Columns<S> cell = below(tape, encoder());
        with_cell([&](auto kind) {
            using Cell = decltype(kind);
            const int h = units();
            for (const GateBlock& block : Cell::blocks) {
                ProductPart<S> parts[2];
                int count = 0;
                const S* bias = nullptr;
                if (block.input >= 0) {
                    parts[count++] = {at.input + block.input * h, Cell::inputs * h, tape, encoder()};
                    bias = at.input_bias + block.input * h;
                }
                if (block.state >= 0 && before.data != nullptr)
                    parts[count++] = {at.state + block.state * h, Cell::states * h, state(before), h};
                if (block.own_bias) bias = at.own_bias;
                more.affine_parts(parts, count, bias, below(cell, block.row * h), block.count * h, columns,
                                  block.activation);
            }
            Cell::kernels(more).forward(cell, below(before, encoder()), h, columns);
        });
        const Columns<S> copy = below(tape, copy_row());
        copy_rows(Seen<S>(state(tape)), copy, units(), columns);
        kernels->affine(at.logits, at.logits_bias, copy, logits(tape), units(), actions(), columns,
                        Activation::identity);
        kernels->affine(at.value, at.value + units(), copy, value(tape), units(), 1, columns, Activation::identity);
    }

    /// Column c begins anew after this step: its state is zero.
    void forget(Columns<S> tape, int c) const {
        const int first = encoder() + kept_at() * units();
        for (int row = first; row < copy_row(); ++row) tape.row(row)[c] = S(0);
    }

    /// For `backward`, once for the same parameters: the weights from state to state, turned.
    void turn(const S* w, S* scratch) const {
        const Places at(*this, w);
        const std::ptrdiff_t h = units(), states = static_cast<std::ptrdiff_t>(this->scratch()) / h;
        for (std::ptrdiff_t i = 0; i < h; ++i) {
            for (std::ptrdiff_t o = 0; o < states; ++o) scratch[o * h + i] = at.state[i * states + o];
        }
    }
    /// Before the first `backward` into them: nothing has come from later steps.
    void begin_backward(Columns<S> deltas, int columns) const {
        clear_rows(below(deltas, encoder() + kept_at() * units()), (cell_rows() - kept_at()) * units(), columns);
    }

    /// The way back through a step. In `deltas` the caller has put the derivatives by logits and V; what later steps said of
    /// the state is there. Adds to `gradient`, and to the rows of the state in `deltas_before` (null at the first step).
    void backward(const S* w, const S* turned, Columns<const S> x, Columns<const S> before, Columns<const S> tape,
                  Columns<S> deltas, Columns<S> deltas_before, int columns, S* gradient) const {
        const Places at(*this, w);
        S* const to = gradient;
        const auto place = [&](const S* of) { return to + (of - w); };
        const int h = units();
        const Columns<const S> none{}, copy = below(tape, copy_row());
        const Columns<S> d_logits = logits(deltas), d_value = value(deltas), d_copy = below(deltas, copy_row());
        kernels->weight_gradient(copy, d_logits, place(at.logits), place(at.logits_bias), h, actions(), columns);
        kernels->weight_gradient(copy, d_value, place(at.value), place(at.value + h), h, 1, columns);
        kernels->backpropagate(at.logits, d_logits, none, d_copy, h, actions(), columns, Activation::identity);
        add_rows(Seen<S>(d_copy), state(deltas), h, columns);
        kernels->backpropagate(at.value, d_value, none, d_copy, h, 1, columns, Activation::identity);
        add_rows(Seen<S>(d_copy), state(deltas), h, columns);
        const LayerKernels<S>& more = layer_kernels(*kernels);
        with_cell([&](auto kind) {
            using Cell = decltype(kind);
            const Columns<S> d = below(deltas, encoder());
            Cell::kernels(more).backward(below(tape, encoder()), below(before, encoder()), d,
                                         below(deltas_before, encoder()), h, columns);
            kernels->weight_gradient(tape, d, place(at.input), place(at.input_bias), encoder(), Cell::inputs * h,
                                     columns);
            const Columns<const S> states = below(d, Cell::states_at * h);
            if constexpr (Cell::own_bias > 0) {
                const int own = Cell::states_at + Cell::states - Cell::own_bias;
                const Columns<const S> of = below(d, own * h);
                kernels->weight_gradient(of, of, nullptr, place(at.own_bias), 0, h * Cell::own_bias, columns);
            }
            if (before.data != nullptr) {
                kernels->weight_gradient(state(before), states, place(at.state), nullptr, h, Cell::states * h,
                                         columns);
                kernels->accumulate(turned, states, state(deltas_before), Cell::states * h, h, columns);
            }
            kernels->backpropagate(at.input, d, tape, deltas, encoder(), Cell::inputs * h, columns,
                                   Activation::tanh);
        });
        kernels->weight_gradient(x, deltas, place(at.encoder), place(at.encoder_bias), inputs(), encoder(),
                                 columns);
    }

    /// Nothing that comes before this step's end in column c had a part in what came after.
    void forget_deltas(Columns<S> deltas, int c) const { forget(deltas, c); }

private:
    template <class F>
    auto with_cell(const F& f) const {
        return shape.layer(1).spec.kind == LayerKind::lstm ? f(LstmCell{}) : f(GruCell{});
    }
    int cell_rows() const {
        return with_cell([](auto cell) { return decltype(cell)::rows; });
    }
    int kept_at() const {
        return with_cell([](auto cell) { return decltype(cell)::kept_at; });
    }
    template <class T>
    Columns<T> state(Columns<T> tape) const {
        return below(tape, encoder() + (cell_rows() - 1) * units());
    }

    /// Where parameters lie: each layer's as core/network/ says.
    struct Places {
        const S *encoder, *encoder_bias, *input, *input_bias, *state, *own_bias, *logits, *logits_bias, *value;

        Places(const RecurrentPolicy& p, const S* w) {
            const std::ptrdiff_t h = p.units();
            encoder = w;
            encoder_bias = w + std::ptrdiff_t{p.inputs()} * p.encoder();
            input = w + p.shape.weights_at(1);
            p.with_cell([&](auto cell) {
                using Cell = decltype(cell);
                input_bias = input + p.encoder() * Cell::inputs * h;
                state = input_bias + Cell::inputs * h;
                own_bias = state + h * Cell::states * h;
            });
            logits = w + p.shape.weights_at(2);
            logits_bias = logits + h * p.actions();
            value = w + p.policy_parameters();
        }
    };
};

}  // namespace dunlin

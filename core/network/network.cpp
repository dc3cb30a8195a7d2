// SPDX-License-Identifier: Apache-2.0
#include "core/network/network.hpp"

#include "core/network/activation.hpp"

#include <algorithm>

namespace dunlin {
namespace {

/// Activations that the kernels of dense layers know.
bool in_kernels(Activation activation) {
    return activation != Activation::leaky_relu;
}

}  // namespace

template <class S>
bool Network<S>::fuses(int l) const {
    return !shape.layer(l).shared && in_kernels(shape.layer(l).spec.activation);
}

template <class S>
void Network<S>::forward(const S* parameters, NetworkInputs<S> inputs, Columns<S> activations, int columns,
                         Stream* dropout) const {
    for (int l = 0; l < shape.layers; ++l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const LayerRun<S> at = run(l, inputs, columns);
        const S* const w = parameters + layer.at;
        const Columns<S> y = rows(activations, l);
        const Columns<const S> x = input_of(l, inputs, activations);
        const Activation activation = layer.spec.activation;
        const bool fused = in_kernels(activation) && layer.spec.kind == LayerKind::dense;
        if (layer.spec.kind == LayerKind::add) {
            copy_rows(x, y, layer.out.size(), columns);
            add_rows(Columns<const S>(rows(activations, shape.source(l))), y, layer.out.size(), columns);
        } else if (selects(l)) {
            kernels.select_rows(w, DenseLayer::bias(at, w), inputs.tokens, y, layer.out.size(), columns,
                                fused ? activation : Activation::identity);
        } else if (fused) {
            kernels.affine(w, DenseLayer::bias(at, w), x, y, layer.in.size(), layer.out.size(), columns,
                           activation);
        } else {
            if (layer.spec.kind == LayerKind::dropout) DropoutLayer::draw(at, dropout, y);
            with_layer(layer.spec.kind, [&](auto kind) { kind.forward(at, w, x, y); });
        }
        const bool taken = layer.spec.kind != LayerKind::add && !selects(l) &&
                           with_layer(layer.spec.kind, [](auto kind) { return kind.activates; });
        if (!fused && !taken && activation != Activation::identity)
            at.more.activate(y, layer.out.size(), columns, activation);
    }
}

template <class S>
void Network<S>::backward(const S* parameters, NetworkInputs<S> inputs, Columns<const S> activations,
                          Columns<S> deltas, int columns, S* gradient) const {
    std::array<bool, NetworkShape::layer_limit> begun{};  // something has been added to a layer's deltas
    bool through = false;                                 // the activation's slope is in them
    const auto receive = [&](int l) {
        if (!std::exchange(begun[static_cast<std::size_t>(l)], true))
            clear_rows(rows(deltas, l), shape.layer(l).out.size(), columns);
    };
    for (int l = shape.layers - 1; l >= 0; --l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const LayerRun<S> at = run(l, inputs, columns);
        const Columns<S> d = rows(deltas, l);
        const Columns<const S> x = input_of(l, inputs, activations);
        S* const sums = gradient + layer.at;
        if (!std::exchange(through, false) && layer.spec.activation != Activation::identity)
            at.more.times_slope(rows(activations, l), d, layer.out.size(), columns, layer.spec.activation);
        if (layer.spec.kind == LayerKind::add) {
            for (const int to : {l - 1, shape.source(l)}) {
                receive(to);
                add_rows(Columns<const S>(d), rows(deltas, to), layer.out.size(), columns);
            }
        } else if (selects(l)) {
            kernels.scatter_rows(inputs.tokens, d, sums,
                                 sums + (DenseLayer::bias(at, parameters + layer.at) - (parameters + layer.at)),
                                 layer.out.size(), columns);
        } else if (layer.spec.kind == LayerKind::dense && l > 0 && fuses(l - 1)) {
            DenseLayer::weights(at, x, Columns<const S>(d), sums);
            kernels.backpropagate(parameters + layer.at, d, x, rows(deltas, l - 1), layer.in.size(),
                                  layer.out.size(), columns, shape.layer(l - 1).spec.activation);
            through = true;
        } else {
            if (l > 0) receive(l - 1);
            const Columns<S> e = l > 0 ? rows(deltas, l - 1) : Columns<S>{};
            with_layer(layer.spec.kind, [&](auto kind) {
                kind.backward(at, parameters + layer.at, x, rows(activations, l), d, e, sums);
            });
        }
    }
}

template <class S>
void Network<S>::tangent_forward(const S* parameters, const S* direction, NetworkInputs<S> inputs,
                                 Columns<const S> activations, Columns<S> tangents, int columns) const {
    for (int l = 0; l < shape.layers; ++l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const LayerRun<S> at = run(l, inputs, columns);
        const S *const w = parameters + layer.at, *const v = direction + layer.at;
        const Columns<const S> x = input_of(l, inputs, activations), y = rows(activations, l);
        const Columns<const S> rx = l > 0 ? Columns<const S>(rows(tangents, l - 1)) : Columns<const S>{};
        const Columns<S> ry = rows(tangents, l);
        const Activation activation = layer.spec.activation;
        if (layer.spec.kind == LayerKind::dense && !selects(l) && in_kernels(activation)) {
            kernels.tangent(v, DenseLayer::bias(at, v), x, w, rx, y, ry, layer.in.size(), layer.out.size(), columns,
                            activation);
            continue;
        }
        if (layer.spec.kind == LayerKind::add) {
            copy_rows(rx, ry, layer.out.size(), columns);
            add_rows(Columns<const S>(rows(tangents, shape.source(l))), ry, layer.out.size(), columns);
        } else if (selects(l)) {
            kernels.select_rows(v, DenseLayer::bias(at, v), inputs.tokens, ry, layer.out.size(), columns,
                                Activation::identity);
            times_slope(y, ry, layer.out.size(), columns, activation);  // to the perceptron's bits
            continue;
        } else {
            with_layer(layer.spec.kind, [&](auto kind) { kind.tangent_forward(at, w, v, x, rx, y, ry); });
        }
        if (activation != Activation::identity) at.more.times_slope(y, ry, layer.out.size(), columns, activation);
    }
}

template <class S>
void Network<S>::tangent_backward(const S* parameters, const S* direction, NetworkInputs<S> inputs,
                                  Columns<const S> activations, Columns<const S> tangents, Columns<S> deltas,
                                  Columns<S> tangent_deltas, int columns, S* product) const {
    std::array<bool, NetworkShape::layer_limit> begun{};
    bool through = false;
    const auto receive = [&](int l) {
        if (std::exchange(begun[static_cast<std::size_t>(l)], true)) return;
        clear_rows(rows(deltas, l), shape.layer(l).out.size(), columns);
        clear_rows(rows(tangent_deltas, l), shape.layer(l).out.size(), columns);
    };
    for (int l = shape.layers - 1; l >= 0; --l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const LayerRun<S> at = run(l, inputs, columns);
        const S *const w = parameters + layer.at, *const v = direction + layer.at;
        const Columns<S> d = rows(deltas, l), rd = rows(tangent_deltas, l);
        const Columns<const S> x = input_of(l, inputs, activations);
        const Columns<const S> rx = l > 0 ? rows(tangents, l - 1) : Columns<const S>{};
        S* const sums = product + layer.at;
        if (!std::exchange(through, false) && layer.spec.activation != Activation::identity)
            at.more.times_slopes(rows(activations, l), rows(tangents, l), d, rd, layer.out.size(), columns,
                                 layer.spec.activation);
        if (layer.spec.kind == LayerKind::add) {
            for (const int to : {l - 1, shape.source(l)}) {
                receive(to);
                add_rows(Columns<const S>(d), rows(deltas, to), layer.out.size(), columns);
                add_rows(Columns<const S>(rd), rows(tangent_deltas, to), layer.out.size(), columns);
            }
        } else if (selects(l)) {
            kernels.scatter_rows(inputs.tokens, rd, sums, sums + (DenseLayer::bias(at, v) - v), layer.out.size(),
                                 columns);
        } else if (layer.spec.kind == LayerKind::dense && l > 0 && fuses(l - 1)) {
            DenseLayer::weights(at, x, Columns<const S>(rd), sums);
            // The tangent of the layer's input also moves dW = X D'.
            kernels.weight_gradient(rx, d, sums, nullptr, layer.in.size(), layer.out.size(), columns);
            kernels.tangent_backpropagate(w, v, d, rd, x, rx, rows(deltas, l - 1), rows(tangent_deltas, l - 1),
                                          layer.in.size(), layer.out.size(), columns,
                                          shape.layer(l - 1).spec.activation);
            through = true;
        } else {
            if (l > 0) receive(l - 1);
            const Columns<S> none;
            with_layer(layer.spec.kind, [&](auto kind) {
                kind.tangent_backward(at, w, v, x, rx, rows(activations, l), rows(tangents, l), d, rd,
                                      l > 0 ? rows(deltas, l - 1) : none,
                                      l > 0 ? rows(tangent_deltas, l - 1) : none, sums);
            });
        }
    }
}

template struct Network<float>;
template struct Network<double>;

namespace {

void draw(Stream& random, std::span<float> weights, std::size_t fan_in, float gain) {
    const float scale = portable::sqrt(gain / static_cast<float>(fan_in));
    for (float& weight : weights) weight = scale * random.normal();
}

/// One direction of a recurrent layer.
template <class Cell>
void initialise_walk(const NetworkShape::Layer& layer, Stream& random, std::span<float> own) {
    const auto units = static_cast<std::size_t>(layer.spec.outputs),
               inputs = static_cast<std::size_t>(layer.in.channels);
    const std::size_t gates = Cell::inputs * units, weights = inputs * gates, states = units * Cell::states * units;
    draw(random, own.first(weights), inputs, 1.0f);
    draw(random, own.subspan(weights + gates, states), units, 1.0f);
    if constexpr (requires { Cell::forget; })
        std::ranges::fill(own.subspan(weights + Cell::forget * units, units), 1.0f);
}

}  // namespace

void initialise(const NetworkShape& shape, Stream& random, std::span<float> parameters, float output_gain) {
    random.next_epoch();
    std::ranges::fill(parameters, 0.0f);
    for (int l = 0; l < shape.layers; ++l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const std::span<float> own = parameters.subspan(layer.at, shape.parameters(l));
        const Activation activation = layer.spec.activation;
        const float gain = activation == Activation::relu || activation == Activation::leaky_relu ? 2.0f : 1.0f;
        const auto in = static_cast<std::size_t>(layer.in.size()), out = static_cast<std::size_t>(layer.out.size());
        switch (layer.spec.kind) {
            case LayerKind::dense: {
                const float last = l + 1 == shape.layers ? output_gain : 1.0f;
                draw(random, own.first(in * out), l == 0 && shape.tokens ? 1 : in, gain * last * last);
                break;
            }
            case LayerKind::convolution: {
                const std::size_t weights = ConvolutionLayer::weights(layer.spec, layer.in);
                draw(random, own.first(weights), weights / static_cast<std::size_t>(layer.spec.outputs), gain);
                break;
            }
            case LayerKind::gru:
            case LayerKind::lstm:
                for (int way = 0; way < (layer.spec.both_ways ? 2 : 1); ++way) {
                    const std::size_t size = own.size() / (layer.spec.both_ways ? 2 : 1);
                    const auto walk = own.subspan(static_cast<std::size_t>(way) * size, size);
                    layer.spec.kind == LayerKind::gru ? initialise_walk<GruCell>(layer, random, walk)
                                                      : initialise_walk<LstmCell>(layer, random, walk);
                }
                break;
            case LayerKind::embedding:
                draw(random, own, 1, 1.0f);
                break;
            case LayerKind::normalise:
                std::ranges::fill(own.first(static_cast<std::size_t>(layer.in.channels)), 1.0f);
                break;
            default:
                break;
        }
    }
}

}  // namespace dunlin

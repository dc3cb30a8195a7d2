// SPDX-License-Identifier: Apache-2.0
#include "core/mlp.hpp"

#include "core/math.hpp"
#include "core/network/activation.hpp"

#include <algorithm>

namespace dunlin {

template <class S>
void Mlp<S>::forward(const S* parameters, Inputs<S> inputs, Columns<S> activations, int columns) const {
    Columns<const S> x = inputs.matrix;
    int from = shape.inputs;
    for (int l = 0; l < shape.layers; ++l) {
        const int to = shape.width(l);
        const S* const after = parameters + static_cast<std::ptrdiff_t>(from) * to;
        const S* const bias = shape.bias ? after : nullptr;
        if (l == 0 && shape.one_hot) {
            kernels->select_rows(parameters, bias, inputs.index, activations, to, columns, shape.activation(l));
        } else {
            kernels->affine(parameters, bias, x, activations, from, to, columns, shape.activation(l));
        }
        parameters = shape.bias ? after + to : after;
        x = activations;
        activations.data = activations.row(to);
        from = to;
    }
}

template <class S>
void Mlp<S>::forward_one(const S* parameters, const S* input, S* activations) const {
    int inputs = shape.inputs;
    for (int l = 0; l < shape.layers; ++l) {
        const int outputs = shape.width(l);
        const S* bias = parameters + static_cast<std::ptrdiff_t>(inputs) * outputs;
        kernels->affine_one(parameters, shape.bias ? bias : nullptr, input, activations, inputs, outputs,
                            shape.activation(l));
        parameters = shape.bias ? bias + outputs : bias;
        input = activations;
        activations += outputs;
        inputs = outputs;
    }
}

template <class S>
void Mlp<S>::weight_gradient(int l, Inputs<S> inputs, Columns<const S> activations, Columns<const S> delta,
                             int columns, S* gradient) const {
    S* weights = gradient + shape.weights_at(l);
    if (l == 0 && shape.one_hot) {
        kernels->scatter_rows(inputs.index, delta, weights, bias(gradient, l), shape.width(l), columns);
        return;
    }
    const Columns<const S> x =
        l == 0 ? inputs.matrix : Columns<const S>{activations.row(shape.row_at(l - 1)), activations.stride};
    kernels->weight_gradient(x, delta, weights, bias(gradient, l), shape.fan_in(l), shape.width(l), columns);
}

template <class S>
void Mlp<S>::backward(const S* parameters, Inputs<S> inputs, Columns<const S> activations, Columns<S> deltas,
                      int columns, S* gradient) const {
    std::size_t at = shape.parameters();
    int row = shape.units();  // of the layer
    for (int l = shape.layers - 1; l >= 0; --l) {
        const int from = shape.fan_in(l), to = shape.width(l);
        const std::size_t weights = static_cast<std::size_t>(from) * static_cast<std::size_t>(to);
        row -= to;
        at -= weights + static_cast<std::size_t>(shape.bias ? to : 0);
        const Columns<S> d{deltas.row(row), deltas.stride};
        S* const sums = gradient + at;
        S* const bias = shape.bias ? sums + weights : nullptr;
        if (l == 0 && shape.one_hot) {
            kernels->scatter_rows(inputs.index, d, sums, bias, to, columns);
            break;
        }
        const Columns<const S> x =
            l == 0 ? inputs.matrix : Columns<const S>{activations.row(row - from), activations.stride};
        kernels->weight_gradient(x, d, sums, bias, from, to, columns);
        if (l == 0) break;
        kernels->backpropagate(parameters + at, d, x, {deltas.row(row - from), deltas.stride}, from, to, columns,
                               shape.activation(l - 1));
    }
}

template <class S>
void Mlp<S>::tangent_forward(const S* parameters, const S* direction, Inputs<S> inputs,
                             Columns<const S> activations, Columns<S> tangents, int columns) const {
    for (int l = 0; l < shape.layers; ++l) {
        const S* moved = direction + shape.weights_at(l);
        const Columns<S> out = layer(tangents, l);
        if (l == 0 && shape.one_hot) {
            kernels->select_rows(moved, bias(direction, l), inputs.index, out, shape.width(l), columns,
                                 Activation::identity);
            for (int u = 0; u < shape.width(l); ++u) {
                const S* a = activations.row(shape.row_at(l) + u);
                S* t = out.row(u);
                for (int c = 0; c < columns; ++c) t[c] *= slope(a[c], shape.activation(l));
            }
        } else {
            const Columns<const S> x =
                l == 0 ? inputs.matrix : Columns<const S>{activations.row(shape.row_at(l - 1)), activations.stride};
            const Columns<const S> below = l == 0 ? Columns<const S>{} : Columns<const S>(layer(tangents, l - 1));
            kernels->tangent(moved, bias(direction, l), x, parameters + shape.weights_at(l), below,
                             {activations.row(shape.row_at(l)), activations.stride}, out, shape.fan_in(l),
                             shape.width(l), columns, shape.activation(l));
        }
    }
}

template <class S>
void Mlp<S>::tangent_backward(const S* parameters, const S* direction, Inputs<S> inputs,
                              Columns<const S> activations, Columns<const S> tangents, Columns<S> deltas,
                              Columns<S> tangent_deltas, int columns, S* product) const {
    for (int l = shape.layers - 1; l >= 0; --l) {
        weight_gradient(l, inputs, activations, layer(tangent_deltas, l), columns, product);
        if (l == 0) break;
        // The tangent of the layer's input also moves dW = X D'.
        const int below = l - 1;
        kernels->weight_gradient({tangents.row(shape.row_at(below)), tangents.stride}, layer(deltas, l),
                                 product + shape.weights_at(l), nullptr, shape.fan_in(l), shape.width(l), columns);

        kernels->tangent_backpropagate(
            parameters + shape.weights_at(l), direction + shape.weights_at(l), layer(deltas, l),
            layer(tangent_deltas, l), {activations.row(shape.row_at(below)), activations.stride},
            {tangents.row(shape.row_at(below)), tangents.stride}, layer(deltas, below),
            layer(tangent_deltas, below), shape.fan_in(l), shape.width(l), columns, shape.activation(below));
    }
}

template struct Mlp<float>;
template struct Mlp<double>;

void initialise(const MlpShape& shape, Stream& random, std::span<float> parameters, float output_gain) {
    random.next_epoch();
    for (int l = 0; l < shape.layers; ++l) {
        const bool last = l + 1 == shape.layers;
        if (l == 0 && !last && shape.linear_input && shape.width(0) == shape.inputs) {
            std::fill_n(parameters.begin(), shape.weights_at(1), 0.0f);
            for (std::size_t k = 0; k < static_cast<std::size_t>(shape.inputs); ++k)
                parameters[k * static_cast<std::size_t>(shape.inputs) + k] = 1.0f;
            continue;
        }
        const float gain = shape.activation(l) == Activation::relu ? 2.0f : 1.0f;
        const float fan_in = l == 0 && shape.one_hot ? 1.0f : static_cast<float>(shape.fan_in(l));
        const float scale = portable::sqrt(gain / fan_in) * (last ? output_gain : 1.0f);
        const std::size_t count =
            static_cast<std::size_t>(shape.fan_in(l)) * static_cast<std::size_t>(shape.width(l));
        for (std::size_t k = 0; k < count; ++k) parameters[shape.weights_at(l) + k] = scale * random.normal();
        if (!shape.bias) continue;
        for (int o = 0; o < shape.width(l); ++o) parameters[shape.bias_at(l) + static_cast<std::size_t>(o)] = 0.0f;
    }
}

}  // namespace dunlin

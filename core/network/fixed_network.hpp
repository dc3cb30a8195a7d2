// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/first_order.hpp"
#include "core/kernels/reference_layers.hpp"
#include "core/kernels/vfp_convolution.hpp"
#include "core/network/activation.hpp"
#include "core/network/network.hpp"

#include <array>
#include <utility>

namespace dunlin {

/// The struct that does this kind of layer, as with_layer has it.
template <LayerKind kind>
constexpr auto layer_of() {
    if constexpr (kind == LayerKind::convolution) return ConvolutionLayer{};
    if constexpr (kind == LayerKind::maximum_pool) return MaximumPoolLayer{};
    if constexpr (kind == LayerKind::average_pool) return AveragePoolLayer{};
    if constexpr (kind == LayerKind::global_pool) return GlobalPoolLayer{};
    if constexpr (kind == LayerKind::gru) return GruLayer{};
    if constexpr (kind == LayerKind::lstm) return LstmLayer{};
    if constexpr (kind == LayerKind::embedding) return EmbeddingLayer{};
    if constexpr (kind == LayerKind::normalise) return NormaliseLayer{};
    if constexpr (kind == LayerKind::dropout) return DropoutLayer{};
    if constexpr (kind == LayerKind::dense) return DenseLayer{};
}

/// A Network whose shape is a constant, for firmware: only the layer kinds that it names are linked, of the reference
/// kernels, whose bits it has. Matrices as Network's; memory belongs to the caller: `shape.units()` rows for the
/// activations, delta_rows() for the deltas, and shape.scratch_scalars() for the scratch space of `backward`. `compact`
/// deltas are those of two layers at a time, at the two ends of their matrix: for networks without `add`.
template <const NetworkShape& shape, bool compact = false>
struct FixedNetwork {
    static void forward(const float* parameters, NetworkInputs<float> inputs, Columns<float> activations,
                        int columns) {
        LayerKernels<float> more{};
        if constexpr (has(LayerKind::convolution) || has(LayerKind::gru) || has(LayerKind::lstm))
            more.affine_parts = reference::affine_parts<float>;
        if constexpr (has(LayerKind::convolution)) more.add_scaled_rows = reference::add_scaled_rows<float>;
        if constexpr (has(LayerKind::maximum_pool)) more.largest = reference::largest<float>;
        if constexpr (has(LayerKind::gru)) more.gru.forward = reference::gru_forward_step;
        if constexpr (has(LayerKind::lstm)) more.lstm.forward = reference::lstm_forward_step;
        if constexpr (has(LayerKind::convolution)) more.activate = activate<float>;
        [&]<int... l>(std::integer_sequence<int, l...>) {
            (forward_layer<l>(more, parameters, inputs, activations, columns), ...);
        }
        (std::make_integer_sequence<int, shape.layers>());
    }

    /// Adds to `gradient`, as Network::backward.
    static void backward(const float* parameters, NetworkInputs<float> inputs, Columns<const float> activations,
                         Columns<float> deltas, int columns, float* gradient, float* scratch) {
        static_assert(!compact || !has(LayerKind::add), "an add has deltas of more than two layers");
        LayerKernels<float> more{};
        if constexpr (has(LayerKind::convolution)) more.accumulate_parts = reference::accumulate_parts<float>;
        if constexpr (has(LayerKind::convolution)) {
            more.add_scaled_rows = reference::add_scaled_rows<float>;
            more.add_row_products = reference::add_row_products<float>;
        }
        if constexpr (has(LayerKind::maximum_pool)) more.give_largest = reference::give_largest<float>;
        if constexpr (has(LayerKind::gru)) more.gru.backward = reference::gru_backward_step;
        if constexpr (has(LayerKind::lstm)) more.lstm.backward = reference::lstm_backward_step;
        std::array<bool, shape.layers> begun{};
        [&]<int... k>(std::integer_sequence<int, k...>) {
            (backward_layer<shape.layers - 1 - k>(more, parameters, inputs, activations, deltas, columns, gradient,
                                                  scratch, begun),
             ...);
        }
        (std::make_integer_sequence<int, shape.layers>());
    }

    static Columns<float> output(Columns<float> matrix) { return below(matrix, shape.last().row); }
    static Columns<float> delta_output(Columns<float> deltas) { return below(deltas, delta_row(shape.layers - 1)); }

    static constexpr int delta_rows() {
        if (!compact) return shape.units();
        int most = own_rows(0);
        for (int l = 1; l < shape.layers; ++l) most = std::max(most, own_rows(l - 1) + own_rows(l));
        return most;
    }

private:
    /// A constant each, so that the whole shape is nowhere in memory.
    template <int l>
    static constexpr NetworkShape::Layer layer = shape.layer(l);

    static constexpr int own_rows(int l) {
        return (l + 1 < shape.layers ? shape.layer(l + 1).row : shape.units()) - shape.layer(l).row;
    }
    static constexpr int delta_row(int l) {
        if (!compact) return shape.layer(l).row;
        return l % 2 == 0 ? 0 : delta_rows() - own_rows(l);
    }
    static constexpr bool has(LayerKind kind) {
        for (int l = 0; l < shape.layers; ++l) {
            if (shape.layer(l).spec.kind == kind) return true;
        }
        return false;
    }
    template <int l>
    static LayerRun<float> run(const LayerKernels<float>& more, NetworkInputs<float> inputs, int columns,
                               float* scratch) {
        return {first_order_kernels, more,    layer<l>.spec, layer<l>.in,
                layer<l>.out,        columns, scratch,       inputs.tokens,
                inputs.token_stride};
    }
    template <int l>
    static Columns<float> delta(Columns<float> deltas) {
        return below(deltas, delta_row(l));
    }
    template <int l, class T>
    static Columns<T> rows(Columns<T> matrix) {
        return below(matrix, layer<l>.row);
    }
    template <int l>
    static Seen<float> input(NetworkInputs<float> inputs, Seen<float> activations) {
        if constexpr (l == 0) return inputs.matrix;
        if constexpr (l > 0) return rows<l - 1>(activations);
    }
    template <int l>
    static constexpr bool selects = l == 0 && shape.tokens&& shape.layer(0).spec.kind == LayerKind::dense;

    template <int l>
    static void forward_layer(const LayerKernels<float>& more, const float* parameters, NetworkInputs<float> inputs,
                              Columns<float> activations, int columns) {
        constexpr LayerSpec spec = shape.layer(l).spec;
        const LayerRun<float> at = run<l>(more, inputs, columns, nullptr);
        const float* const w = parameters + layer<l>.at;
        const Columns<float> y = rows<l>(activations);
        const Seen<float> x = input<l>(inputs, activations);
        if constexpr (one_sample<l>) {
            if (columns == 1 && x.stride == 1 && y.stride == 1) return OneSample<l>::forward(w, x.data, y.data);
        }
        if constexpr (spec.kind == LayerKind::add) {
            copy_rows(x, y, at.out.size(), columns);
            add_rows(Seen<float>(rows<shape.source(l)>(activations)), y, at.out.size(), columns);
        } else if constexpr (selects<l>) {
            first_order_kernels.select_rows(w, DenseLayer::bias(at, w), inputs.tokens, y, at.out.size(), columns,
                                            Activation::identity);
        } else {
            if constexpr (spec.kind == LayerKind::dropout) DropoutLayer::draw(at, nullptr, y);
            layer_of<spec.kind>().forward(at, w, x, y);
        }
        if constexpr (spec.activation != Activation::identity && !activates<l>())
            each_row(y.stride, at.out.size(), columns, [&](std::ptrdiff_t from, int n) {
                for (int c = 0; c < n; ++c) y.data[from + c] = active<spec.activation>(y.data[from + c]);
            });
    }
    /// `activated`, so that no other activation is linked.
    template <Activation activation>
    static float active(float z) {
        if constexpr (activation == Activation::tanh) return portable::tanh(z);
        if constexpr (activation == Activation::sigmoid) return portable::sigmoid(z);
        if constexpr (activation == Activation::relu) return z < 0.0f ? 0.0f : z;
        if constexpr (activation == Activation::leaky_relu) return z < 0.0f ? leaky_slope * z : z;
    }
    template <int l>
    static constexpr bool activates() {
        constexpr LayerKind kind = shape.layer(l).spec.kind;
        if constexpr (kind == LayerKind::add) return false;
        if constexpr (kind != LayerKind::add) return !selects<l> && decltype(layer_of<kind>())::activates;
    }

    // Layers of one sample with loops of their own: core/kernels/vfp_convolution.hpp.
#ifdef DUNLIN_VFP
    template <int l>
    struct At {
        static constexpr LayerSpec spec = shape.layer(l).spec;
        static constexpr Extent in = shape.layer(l).in, out = shape.layer(l).out;
    };
    template <int l>
    struct OneSample {
        static constexpr bool mean = At<l>::spec.kind == LayerKind::global_pool;
        static void forward(const float* w, const float* x, float* y) {
            if constexpr (mean) vfp::GlobalMean<At<l>>::forward(x, y);
            if constexpr (!mean) vfp::Convolution<At<l>>::forward(w, x, y);
        }
        static void slope(const float* h, float* d) {
            vfp::times_step(h, d, static_cast<std::size_t>(At<l>::out.size()));
        }
        static void backward(const float* w, const float* x, const float* d, float* e, float* sums,
                             float* scratch) {
            if constexpr (mean) {
                if constexpr (l > 0) vfp::GlobalMean<At<l>>::back(d, e);
            } else {
                vfp::Convolution<At<l>>::weights(x, d, sums);
                if constexpr (l > 0) vfp::Convolution<At<l>>::back(w, d, e, scratch);
            }
        }
    };
    template <int l>
    static constexpr bool one_sample = [] {
        if constexpr (At<l>::spec.kind == LayerKind::convolution) return vfp::Convolution<At<l>>::fits();
        return At<l>::spec.kind == LayerKind::global_pool && vfp::GlobalMean<At<l>>::fits() &&
               At<l>::spec.activation == Activation::identity;
    }();
    template <int l>
    static constexpr bool one_sample_back = [] {
        if constexpr (!one_sample<l>) return false;
        if constexpr (l > 0) {
            if (shape.layer(l - 1).shared) return false;
            if constexpr (At<l>::spec.kind == LayerKind::convolution) return vfp::Convolution<At<l>>::fits_back();
        }
        return true;
    }();
#else
    template <int>
    struct OneSample;
    template <int>
    static constexpr bool one_sample = false;
    template <int>
    static constexpr bool one_sample_back = false;
#endif

    /// Does the dense layer above take this one's slope along, as in Network::backward?
    template <int l>
    static constexpr bool fused = [] {
        if (l < 0 || l + 1 >= shape.layers || shape.layer(l + 1).spec.kind != LayerKind::dense) return false;
        return !shape.layer(l).shared && shape.layer(l).spec.activation != Activation::leaky_relu;
    }();
    template <int l>
    static void receive(Columns<float> deltas, int columns, std::array<bool, shape.layers>& begun) {
        if (!std::exchange(begun[static_cast<std::size_t>(l)], true))
            clear_rows(delta<l>(deltas), layer<l>.out.size(), columns);
    }
    template <int l>
    static void backward_layer(const LayerKernels<float>& more, const float* parameters,
                               NetworkInputs<float> inputs, Columns<const float> activations, Columns<float> deltas,
                               int columns, float* gradient, float* scratch,
                               std::array<bool, shape.layers>& begun) {
        constexpr LayerSpec spec = shape.layer(l).spec;
        const LayerRun<float> at = run<l>(more, inputs, columns, scratch);
        const Columns<float> d = delta<l>(deltas);
        const Seen<float> x = input<l>(inputs, activations);
        const float* const w = parameters + layer<l>.at;
        float* const sums = gradient + layer<l>.at;
        if constexpr (one_sample_back<l>) {
            if (columns == 1 && x.stride == 1 && d.stride == 1 && activations.stride == 1) {
                if constexpr (!fused<l> && spec.activation == Activation::relu)
                    OneSample<l>::slope(rows<l>(activations).data, d.data);
                OneSample<l>::backward(w, x.data, d.data, l > 0 ? delta<std::max(l - 1, 0)>(deltas).data : nullptr,
                                       sums, scratch);
                if constexpr (l > 0) begun[static_cast<std::size_t>(l - 1)] = true;
                return;
            }
        }
        if constexpr (!fused<l> && spec.activation != Activation::identity)
            times_slope(rows<l>(activations), d, at.out.size(), columns, spec.activation);
        if constexpr (spec.kind == LayerKind::add) {
            receive<l - 1>(deltas, columns, begun);
            receive<shape.source(l)>(deltas, columns, begun);
            add_rows(Seen<float>(d), delta<l - 1>(deltas), at.out.size(), columns);
            add_rows(Seen<float>(d), delta<shape.source(l)>(deltas), at.out.size(), columns);
        } else if constexpr (selects<l>) {
            first_order_kernels.scatter_rows(inputs.tokens, d, sums, sums + (DenseLayer::bias(at, w) - w),
                                             at.out.size(), columns);
        } else if constexpr (fused<l - 1>) {
            DenseLayer::weights(at, x, Seen<float>(d), sums);
            first_order_kernels.backpropagate(w, d, x, delta<l - 1>(deltas), at.in.size(), at.out.size(), columns,
                                              layer<l - 1>.spec.activation);
        } else {
            Columns<float> e{};
            if constexpr (l > 0) {
                receive<l - 1>(deltas, columns, begun);
                e = delta<l - 1>(deltas);
            }
            layer_of<spec.kind>().backward(at, w, x, rows<l>(activations), d, e, sums);
        }
    }
};

}  // namespace dunlin

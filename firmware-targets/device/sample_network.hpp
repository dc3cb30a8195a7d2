// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/first_order.hpp"
#include "core/mlp.hpp"
#include "core/network/fixed_network.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>

namespace dunlin::device {

/// The network of an exported model with memory for one sample: a perceptron, or layers of any kind (`Exported` is the
/// struct in the file that `dunlin export RUN --format header` wrote). Reference kernels. Allocates nothing.
template <class Exported>
class SampleNetwork {
public:
    static constexpr const auto& shape = Exported::shape;
    static constexpr bool layered = std::same_as<std::remove_cvref_t<decltype(Exported::shape)>, NetworkShape>;
    static constexpr int inputs = [] {
        if constexpr (layered) return shape.input.size();
        if constexpr (!layered) return shape.inputs;
    }();
    static constexpr int outputs = shape.outputs();
    static constexpr std::size_t dimension = shape.parameters();
    static_assert(dimension == Exported::parameters.size());

    /// The outputs of one sample, until the next call.
    float* forward(const float* parameters, const float* sample) {
        if constexpr (layered) {
            Layers::forward(parameters, {{sample, 1}}, {activations_.data(), 1}, 1);
            return Layers::output(Columns<float>{activations_.data(), 1}).data;
        } else {
            perceptron.forward(parameters, {{sample, 1}}, {activations_.data(), 1}, 1);
            return perceptron.output(Columns<float>{activations_.data(), 1}).data;
        }
    }
    /// Where `backward` finds the derivative by each output.
    float* output_deltas() {
        if constexpr (layered) return Layers::delta_output({deltas_.data(), 1}).data;
        if constexpr (!layered) return perceptron.output(Columns<float>{deltas_.data(), 1}).data;
    }
    /// Adds the derivative by the parameters to `gradient`, of the sample that `forward` saw last.
    void backward(const float* parameters, const float* sample, float* gradient) {
        const Columns<const float> activations{activations_.data(), 1};
        if constexpr (layered) {
            Layers::backward(parameters, {{sample, 1}}, activations, {deltas_.data(), 1}, 1, gradient,
                             scratch_.data());
        } else {
            perceptron.backward(parameters, {{sample, 1}}, activations, {deltas_.data(), 1}, 1, gradient);
        }
    }

private:
    /// Deltas of two layers at a time take less memory, where no layer adds one that is further back.
    template <bool>
    struct Kinds {
        static constexpr bool adds = [] {
            for (int l = 0; l < shape.layers; ++l) {
                if (shape.layer(l).spec.kind == LayerKind::add) return true;
            }
            return false;
        }();
        using Network = FixedNetwork<shape, !adds>;
        static constexpr int delta_rows = Network::delta_rows();
        static constexpr std::size_t scratch = shape.scratch_scalars();
        static_assert(!shape.tokens, "samples are numbers, not tokens");
    };
    struct Perceptron {
        using Network = void;
        static constexpr int delta_rows = shape.units();
        static constexpr std::size_t scratch = 0;
    };
    using Kind = std::conditional_t<layered, Kinds<layered>, Perceptron>;
    using Layers = typename Kind::Network;
    static constexpr Mlp<float> perceptron = [] {
        if constexpr (layered) return Mlp<float>{{}, &first_order_kernels};
        if constexpr (!layered) return Mlp<float>{shape, &first_order_kernels};
    }();

    std::array<float, static_cast<std::size_t>(shape.units())> activations_{};
    std::array<float, static_cast<std::size_t>(Kind::delta_rows)> deltas_{};
    std::array<float, Kind::scratch> scratch_{};
};

}  // namespace dunlin::device

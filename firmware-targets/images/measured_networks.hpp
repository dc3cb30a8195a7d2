// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"
#include "core/kernels.hpp"
#include "core/kernels/quantised.hpp"
#include "core/network/fixed_network.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"

#include <array>
#include <bit>
#include <span>

/// The networks of layers that `bench` counts, and what goes in: a host computes the same (tests/firmware), to the bit.
namespace dunlin::measured_networks {

/// 20 x 20 pictures of sound: 474 parameters, 15,792 products a picture.
constexpr NetworkShape keywords = *NetworkShape::make(
    {20, 20, 1}, false,
    std::array{
        LayerSpec{.kind = LayerKind::convolution,
                  .activation = Activation::relu,
                  .outputs = 8,
                  .kernel_height = 3,
                  .kernel_width = 3,
                  .stride_height = 2,
                  .stride_width = 2},
        LayerSpec{.kind = LayerKind::convolution, .outputs = 8, .kernel_height = 3, .kernel_width = 3, .groups = 8},
        LayerSpec{.kind = LayerKind::convolution, .activation = Activation::relu, .outputs = 16},
        LayerSpec{.kind = LayerKind::global_pool}, LayerSpec{.outputs = 10}});

/// 20 steps of 8 numbers.
constexpr NetworkShape gru =
    *NetworkShape::make({1, 20, 8}, false, std::array{LayerSpec{.kind = LayerKind::gru, .outputs = 32}});

/// Numbers like those of a trained network.
inline void fill(std::uint64_t seed, float scale, std::span<float> numbers) {
    Stream random(seed, 0, Purpose::initialise);
    for (float& number : numbers) number = scale * random.normal();
}

/// Of an activation's results for 16,384 numbers, from one end of what a float can be to the other, without NaNs.
inline std::uint32_t activations_checksum(const Kernels<float>& kernels, Activation activation) {
    std::uint32_t sum = 0, bits = 0;
    for (int row = 0; row < 1024; ++row) {
        std::array<float, 16> numbers{};
        for (float& number : numbers) {
            number = std::bit_cast<float>((bits & 0x7fffffffu) <= 0x7f800000u ? bits : 0u);
            bits += 262'139;
        }
        kernels.affine_one(nullptr, numbers.data(), nullptr, numbers.data(), 0, 16, activation);
        sum = crc32(std::span<const float>(numbers), sum);
    }
    return sum;
}

/// A layer of 64 to 64 in whole numbers, its weights in flash; and what goes in.
alignas(4) inline constexpr auto quantised_weights = [] {
    std::array<std::uint8_t, 64 * 64> weights{};
    std::uint32_t state = 1;
    for (std::uint8_t& weight : weights) {
        state = state * 1664525u + 1013904223u;
        weight = static_cast<std::uint8_t>(1 + (state >> 16) % 255);
    }
    return weights;
}();
inline void fill_quantised(std::span<std::int32_t> bias, std::span<std::int32_t> scales, std::span<std::int8_t> x) {
    Stream random(4, 0, Purpose::initialise);
    for (std::int32_t& value : bias) value = static_cast<std::int32_t>(random.below(20001)) - 10000;
    for (std::int32_t& scale : scales)
        scale = quantised_scale(0.001f + 0.00001f * static_cast<float>(random.below(100)));
    for (std::int8_t& value : x) value = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
}

/// A network with what one sample needs.
template <const NetworkShape& shape>
struct OneSample {
    using Network = FixedNetwork<shape, true>;

    std::array<float, shape.parameters()> parameters{}, gradient{};
    std::array<float, static_cast<std::size_t>(shape.input.size())> input{};
    std::array<float, static_cast<std::size_t>(shape.units())> activations{};
    std::array<float, static_cast<std::size_t>(Network::delta_rows())> deltas{};
    std::array<float, shape.scratch_scalars()> scratch{};

    void start() {
        fill(1, 0.3f, parameters);
        fill(2, 1.0f, input);
    }
    void forward() { Network::forward(parameters.data(), {{input.data(), 1}}, {activations.data(), 1}, 1); }
    /// The derivative by output k is (k + 1) / 8.
    void backward() {
        for (int k = 0; k < shape.outputs(); ++k)
            Network::delta_output({deltas.data(), 1}).row(k)[0] = 0.125f * static_cast<float>(k + 1);
        set_zero(gradient);
        Network::backward(parameters.data(), {{input.data(), 1}}, {activations.data(), 1}, {deltas.data(), 1}, 1,
                          gradient.data(), scratch.data());
    }
};

}  // namespace dunlin::measured_networks

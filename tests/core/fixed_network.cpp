// SPDX-License-Identifier: Apache-2.0
#include "core/network/fixed_network.hpp"

#include <array>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

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
constexpr NetworkShape mixed = *NetworkShape::make(
    {6, 5, 2}, false,
    std::array{LayerSpec{.kind = LayerKind::convolution, .outputs = 4},
               LayerSpec{.kind = LayerKind::convolution,
                         .activation = Activation::leaky_relu,
                         .outputs = 4,
                         .kernel_height = 3,
                         .kernel_width = 3,
                         .pad_height = 1,
                         .pad_width = 1},
               LayerSpec{.kind = LayerKind::add, .activation = Activation::tanh, .back = 1},
               LayerSpec{.kind = LayerKind::maximum_pool,
                         .kernel_height = 2,
                         .kernel_width = 2,
                         .stride_height = 2,
                         .stride_width = 2},
               LayerSpec{.kind = LayerKind::normalise, .groups = 2},
               LayerSpec{.kind = LayerKind::average_pool, .kernel_height = 2, .kernel_width = 2},
               LayerSpec{.kind = LayerKind::dropout}, LayerSpec{.activation = Activation::tanh, .outputs = 5},
               LayerSpec{.activation = Activation::sigmoid, .outputs = 4}, LayerSpec{.outputs = 2}});
constexpr NetworkShape walks = *NetworkShape::make(
    {1, 5, 7}, true,
    std::array{LayerSpec{.kind = LayerKind::embedding, .outputs = 3},
               LayerSpec{.kind = LayerKind::lstm, .outputs = 4, .every_step = true, .both_ways = true},
               LayerSpec{.kind = LayerKind::gru, .activation = Activation::relu, .outputs = 4},
               LayerSpec{.outputs = 2}});
constexpr NetworkShape states = *NetworkShape::make(
    {1, 1, 9}, true, std::array{LayerSpec{.activation = Activation::tanh, .outputs = 6}, LayerSpec{.outputs = 4}});

template <const NetworkShape& shape, bool compact = true>
void compare() {
    constexpr int columns = 3;
    const auto rows = static_cast<std::size_t>(shape.units() * columns);
    std::vector<float> w(shape.parameters()), scratch(shape.scratch_scalars()),
        x(static_cast<std::size_t>(shape.input.size() * columns));
    Stream random(4, 0, Purpose::evaluate);
    initialise(shape, random, w);
    for (float& value : w) value += 0.1f * random.normal();
    for (float& value : x) value = random.normal();
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(shape.input.width * columns));
    for (std::int32_t& token : tokens)
        token = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(shape.input.channels)));
    const NetworkInputs<float> inputs =
        shape.tokens ? NetworkInputs<float>{{}, tokens.data(), columns} : NetworkInputs<float>{{x.data(), columns}};

    struct Pass {
        std::vector<float> activations, deltas, gradient;
    };
    Pass is{std::vector<float>(rows), std::vector<float>(rows), std::vector<float>(w.size())}, was = is;
    const Network<float> network{shape, generic_kernels<float>(), scratch.data()};
    network.forward(w.data(), inputs, {was.activations.data(), columns}, columns);
    FixedNetwork<shape>::forward(w.data(), inputs, {is.activations.data(), columns}, columns);
    CHECK(is.activations == was.activations);
    for (Pass* pass : {&is, &was}) {
        const Columns<float> out = FixedNetwork<shape>::output({pass->deltas.data(), columns});
        for (int k = 0; k < shape.outputs(); ++k) {
            for (int c = 0; c < columns; ++c) out.row(k)[c] = 0.25f * static_cast<float>(k - c);
        }
    }
    network.backward(w.data(), inputs, {was.activations.data(), columns}, {was.deltas.data(), columns}, columns,
                     was.gradient.data());
    FixedNetwork<shape>::backward(w.data(), inputs, {is.activations.data(), columns}, {is.deltas.data(), columns},
                                  columns, is.gradient.data(), scratch.data());
    CHECK(is.gradient == was.gradient);
    CHECK(is.gradient != std::vector<float>(w.size()));
    if constexpr (compact) {
        using Compact = FixedNetwork<shape, true>;
        std::vector<float> deltas(static_cast<std::size_t>(Compact::delta_rows() * columns)), gradient(w.size());
        CHECK(Compact::delta_rows() <= shape.units());
        const Columns<float> out = Compact::delta_output({deltas.data(), columns});
        for (int k = 0; k < shape.outputs(); ++k) {
            for (int c = 0; c < columns; ++c) out.row(k)[c] = 0.25f * static_cast<float>(k - c);
        }
        Compact::backward(w.data(), inputs, {is.activations.data(), columns}, {deltas.data(), columns}, columns,
                          gradient.data(), scratch.data());
        CHECK(gradient == was.gradient);
    }
}

}  // namespace

TEST_CASE("a network whose shape is a constant has the bits of one whose shape is not, forward and backward") {
    compare<keywords>();
    compare<mixed, false>();
    compare<walks>();
    compare<states>();
}

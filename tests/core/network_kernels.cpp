// SPDX-License-Identifier: Apache-2.0
// Networks by every set of kernels, and beside the perceptron.
#include "core/mlp.hpp"
#include "network_layers.hpp"

#include <algorithm>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Activations, gradient and product of one network in float, with these kernels.
std::vector<float> all_of(const NetworkShape& shape, const Kernels<float>& kernels) {
    constexpr int columns = 48;
    Stream random(9, 0, Purpose::user);
    const auto drawn = [&](std::size_t count, float scale) {
        std::vector<float> v(count);
        for (float& x : v) x = scale * random.normal();
        return v;
    };
    std::vector<float> scratch(shape.scratch_scalars()), all;
    const std::vector<float> w = drawn(shape.parameters(), 0.4f), v = drawn(shape.parameters(), 0.4f),
                             x = drawn(static_cast<std::size_t>(shape.input.size()) * columns, 1.0f),
                             delta = drawn(static_cast<std::size_t>(shape.outputs()) * columns, 1.0f);
    std::vector<std::int32_t> tokens;
    for (int k = 0; k < shape.input.width * columns; ++k)
        tokens.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(shape.input.channels))));
    const NetworkInputs<float> input{{x.data(), columns}, tokens.data(), columns};
    const std::size_t size = static_cast<std::size_t>(shape.units()) * columns;
    std::vector<float> matrices(4 * size), sums(2 * w.size());
    const auto at = [&](std::size_t k) { return Columns<float>{matrices.data() + k * size, columns}; };
    const Network<float> net{shape, kernels, scratch.data()};
    net.forward(w.data(), input, at(0), columns);
    all.assign(matrices.begin(), matrices.begin() + static_cast<std::ptrdiff_t>(size));
    std::ranges::copy(delta, net.output(at(1)).data);
    net.backward(w.data(), input, at(0), at(1), columns, sums.data());
    net.tangent_forward(w.data(), v.data(), input, at(0), at(2), columns);
    std::ranges::copy(delta, net.output(at(1)).data);
    std::ranges::copy(delta, net.output(at(3)).data);
    net.tangent_backward(w.data(), v.data(), input, at(0), at(2), at(1), at(3), columns, sums.data() + w.size());
    all.insert(all.end(), sums.begin(), sums.end());
    return all;
}

}  // namespace

TEST_CASE("every set of kernels computes what the reference computes, to rounding, through all kinds of layers") {
    using K = LayerKind;
    const Extent image{9, 8, 3}, sequence{1, 6, 5};
    for (const NetworkShape& shape :
         {shape_of(image, {convolution(3, 3, 7, Activation::relu, 1, 1), pool(K::maximum_pool, 2, 2),
                           convolution(3, 2, 19, Activation::leaky_relu, 2, 1),
                           normalise(1, Activation::leaky_relu), dense(3)}),
          shape_of(image, {convolution(2, 2, 18, Activation::sigmoid),
                           convolution(3, 3, 18, Activation::tanh, 1, 1, 18),
                           convolution(1, 1, 18, Activation::relu),
                           {.kind = K::add, .activation = Activation::relu, .back = 1},
                           pool(K::average_pool, 2, 1),
                           {.kind = K::global_pool, .activation = Activation::sigmoid},
                           dense(4)}),
          shape_of(sequence, {recurrent(K::gru, 17, true, true), recurrent(K::lstm, 6, false, true),
                              dense(4, Activation::tanh)}),
          shape_of({1, 6, 9},
                   {{.kind = K::embedding, .outputs = 5},
                    recurrent(K::lstm, 18, true, false),
                    convolution(1, 2, 5, Activation::tanh),
                    dense(3)},
                   true)}) {
        const std::vector<float> reference = all_of(shape, generic_kernels<float>());
        for (const Kernels<float>* const* set = available_kernels(); *set != nullptr; ++set) {
            INFO((*set)->name);
            const std::vector<float> fast = all_of(shape, **set);
            const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
            CHECK(relative_error(wide(fast), wide(reference)) < 2e-5);
        }
    }
}

TEST_CASE("a network of dense layers computes the perceptron's bits") {
    const std::vector<int> hidden{33, 20};
    for (const Activation activation : {Activation::tanh, Activation::relu, Activation::sigmoid}) {
        for (const bool one_hot : {false, true}) {
            const MlpShape perceptron = *MlpShape::make(19, hidden, 5, activation, one_hot);
            const NetworkShape shape =
                shape_of({1, 1, 19}, {dense(33, activation), dense(20, activation), dense(5)}, one_hot);
            REQUIRE(shape.parameters() == perceptron.parameters());
            REQUIRE(shape.units() == perceptron.units());
            constexpr int columns = 32;
            Stream random(4, 0, Purpose::user);
            const auto drawn = [&](std::size_t count) {
                std::vector<float> v(count);
                for (float& x : v) x = random.normal();
                return v;
            };
            const std::vector<float> w = drawn(shape.parameters()), v = drawn(shape.parameters()),
                                     x = drawn(19 * columns);
            std::vector<std::int32_t> index;
            for (int k = 0; k < columns; ++k) index.push_back(static_cast<std::int32_t>(random.below(19)));
            const Inputs<float> input{{x.data(), columns}, index.data()};
            const NetworkInputs<float> same{input.matrix, input.index, columns};
            const std::size_t size = static_cast<std::size_t>(shape.units()) * columns;
            const std::vector<float> delta = drawn(5 * columns);
            for (const Kernels<float>* const* set = available_kernels(); *set != nullptr; ++set) {
                std::vector<float> scratch(shape.scratch_scalars());
                const auto all_of = [&](const auto& net, const auto& given) {
                    std::vector<float> all(4 * size), g(2 * w.size());
                    const auto at = [&](std::size_t k) { return Columns<float>{all.data() + k * size, columns}; };
                    net.forward(w.data(), given, at(0), columns);
                    std::ranges::copy(delta, net.output(at(1)).data);
                    net.backward(w.data(), given, at(0), at(1), columns, g.data());
                    net.tangent_forward(w.data(), v.data(), given, at(0), at(2), columns);
                    std::ranges::copy(delta, net.output(at(1)).data);
                    std::ranges::copy(delta, net.output(at(3)).data);
                    net.tangent_backward(w.data(), v.data(), given, at(0), at(2), at(1), at(3), columns,
                                         g.data() + w.size());
                    return std::pair(all, g);
                };
                INFO((*set)->name);
                CHECK(all_of(Network<float>{shape, **set, scratch.data()}, same) ==
                      all_of(Mlp<float>{perceptron, *set}, input));
            }
        }
    }
}

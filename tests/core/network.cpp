// SPDX-License-Identifier: Apache-2.0
// Networks of all kinds of layers: derivatives against finite differences, through random stacks.
#include "network_layers.hpp"

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// A network on a random batch, as a function of its parameters in double: the sum of sin of its weighted outputs.
struct Function {
    NetworkShape shape;
    int columns = 3;
    std::vector<double> scratch, inputs, weights, parameters, direction;
    std::vector<std::int32_t> tokens;

    explicit Function(const NetworkShape& s, std::uint64_t seed = 7) : shape(s), scratch(s.scratch_scalars()) {
        Stream random(seed, 0, Purpose::user);
        const auto fill = [&](std::vector<double>& v, std::size_t count, double scale) {
            v.resize(count);
            for (double& x : v) x = scale * random.normal();
        };
        const auto n = static_cast<std::size_t>(columns);
        fill(inputs, static_cast<std::size_t>(s.input.size()) * n, 1.0);
        fill(weights, static_cast<std::size_t>(s.outputs()) * n, 1.0);
        fill(parameters, s.parameters(), 0.6);
        fill(direction, s.parameters(), 1.0);
        for (int k = 0; k < s.input.width * columns; ++k)
            tokens.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(s.input.channels))));
    }

    Network<double> network() const {
        return {shape, generic_kernels<double>(), const_cast<double*>(scratch.data())};
    }
    NetworkInputs<double> input() const { return {{inputs.data(), columns}, tokens.data(), columns}; }
    std::vector<double> matrix() const {
        // What nobody has written is seen.
        return std::vector<double>(static_cast<std::size_t>(shape.units()) * static_cast<std::size_t>(columns),
                                   NAN);
    }
    Columns<double> view(std::vector<double>& m) const { return {m.data(), columns}; }
    template <class F>
    void each_output(const F& f) const {
        for (int r = 0; r < shape.outputs(); ++r) {
            for (int c = 0; c < columns; ++c) f(r, c, weights[static_cast<std::size_t>(r * columns + c)]);
        }
    }

    double value(const std::vector<double>& w) const {
        std::vector<double> acts = matrix();
        Stream dropout(3, 0, Purpose::user);
        network().forward(w.data(), input(), view(acts), columns, &dropout);
        double sum = 0;
        each_output(
            [&](int r, int c, double weight) { sum += std::sin(weight * network().output(view(acts)).row(r)[c]); });
        return sum;
    }
    std::vector<double> gradient(const std::vector<double>& w, std::vector<double>* product = nullptr) const {
        std::vector<double> acts = matrix(), deltas = matrix(), tangents = matrix(), tangent_deltas = matrix(),
                            g(w.size());
        Stream dropout(3, 0, Purpose::user);
        const Network<double> net = network();
        net.forward(w.data(), input(), view(acts), columns, &dropout);
        const auto out = net.output(view(acts)), d = net.output(view(deltas));
        const auto seed = [&] {
            each_output(
                [&](int r, int c, double weight) { d.row(r)[c] = weight * std::cos(weight * out.row(r)[c]); });
        };
        seed();
        net.backward(w.data(), input(), view(acts), view(deltas), columns, g.data());
        if (product == nullptr) return g;
        net.tangent_forward(w.data(), direction.data(), input(), view(acts), view(tangents), columns);
        seed();
        const auto moved = net.output(view(tangents)), rd = net.output(view(tangent_deltas));
        each_output([&](int r, int c, double weight) {
            rd.row(r)[c] = -weight * weight * std::sin(weight * out.row(r)[c]) * moved.row(r)[c];
        });
        product->assign(w.size(), 0.0);
        net.tangent_backward(w.data(), direction.data(), input(), view(acts), view(tangents), view(deltas),
                             view(tangent_deltas), columns, product->data());
        return g;
    }
};

/// Both derivatives against central differences.
void check_derivatives(const Function& f) {
    const double h = 1e-5;
    std::vector<double> product, numeric(f.parameters.size());
    const std::vector<double> g = f.gradient(f.parameters, &product);
    for (std::size_t k = 0; k < g.size(); ++k) {
        std::vector<double> w = f.parameters;
        w[k] += h;
        const double up = f.value(w);
        w[k] -= 2 * h;
        numeric[k] = (up - f.value(w)) / (2 * h);
    }
    CHECK(relative_error(g, numeric) < 1e-6);
    std::vector<double> up = f.parameters, down = up;
    for (std::size_t k = 0; k < up.size(); ++k) {
        up[k] += h * f.direction[k];
        down[k] -= h * f.direction[k];
    }
    const std::vector<double> above = f.gradient(up), under = f.gradient(down);
    for (std::size_t k = 0; k < numeric.size(); ++k) numeric[k] = (above[k] - under[k]) / (2 * h);
    CHECK(relative_error(product, numeric) < 1e-6);
}

/// A layer that may stand here, drawn.
LayerSpec any_layer(Stream& random, Extent in, int layers) {
    const Activation activation = std::array{Activation::identity, Activation::tanh, Activation::sigmoid,
                                             Activation::leaky_relu}[random.below(4)];
    const auto up_to = [&](int most) {
        return 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(most)));
    };
    switch (random.below(11)) {
        case 0:
            return dense(up_to(5), activation);
        case 1: {
            const int height = std::min(in.height, up_to(3)), width = std::min(in.width, up_to(3));
            LayerSpec spec = convolution(height, width, up_to(4), activation);
            spec.stride_height = up_to(2);
            spec.stride_width = up_to(2);
            spec.pad_height = static_cast<int>(random.below(static_cast<std::uint32_t>(height)));
            spec.pad_width = static_cast<int>(random.below(static_cast<std::uint32_t>(width)));
            return spec;
        }
        case 2:  // depthwise
            return convolution(1, std::min(in.width, 2), in.channels, activation, 1, 0, in.channels);
        case 3: {
            LayerSpec spec =
                pool(random.below(2) == 0 ? LayerKind::maximum_pool : LayerKind::average_pool, 1, up_to(2));
            spec.activation = activation;
            spec.kernel_height = std::min(in.height, 2);
            spec.kernel_width = std::min(in.width, 2);
            return spec;
        }
        case 4:
        case 5:
            if (in.height == 1) {
                LayerSpec spec = recurrent(random.below(2) == 0 ? LayerKind::gru : LayerKind::lstm, up_to(3),
                                           random.below(2) == 0, random.below(2) == 0);
                spec.activation = activation;
                return spec;
            }
            return {.kind = LayerKind::global_pool, .activation = activation};
        case 6: {
            // Of few numbers that are much alike the inverse of their variance bends too much for differences.
            const int groups = in.channels % 2 == 0 ? 2 : 1;
            return in.size() / groups < 6 ? dense(up_to(5), activation) : normalise(groups, activation);
        }
        case 7:
            return {.kind = LayerKind::dropout, .activation = activation, .rate = 0.3f};
        case 8:
            return {.kind = LayerKind::global_pool, .activation = activation};
        default:
            return {.kind = LayerKind::add, .activation = activation, .back = up_to(std::max(1, layers - 1))};
    }
}

}  // namespace

TEST_CASE("every kind of layer has the derivatives that finite differences have") {
    using K = LayerKind;
    const Extent image{5, 6, 2}, sequence{1, 5, 3};
    const std::vector<std::pair<std::string, Function>> all{
        {"dense", Function(shape_of(image, {dense(7, Activation::tanh), dense(3)}))},
        {"leaky", Function(shape_of(image, {dense(7, Activation::leaky_relu), dense(3)}))},
        {"convolution", Function(shape_of(image, {convolution(3, 3, 4, Activation::tanh), dense(3)}))},
        {"stride and padding",
         Function(shape_of(image, {convolution(3, 3, 4, Activation::tanh, 2, 1),
                                   convolution(3, 2, 3, Activation::sigmoid, 1, 1), dense(2)}))},
        {"groups", Function(shape_of(image, {convolution(2, 2, 4, Activation::tanh),
                                             convolution(2, 2, 6, Activation::tanh, 1, 1, 2), dense(2)}))},
        {"depthwise", Function(shape_of(image, {convolution(1, 1, 3, Activation::tanh),
                                                convolution(3, 3, 3, Activation::tanh, 1, 1, 3),
                                                convolution(1, 1, 4, Activation::tanh),
                                                {.kind = K::global_pool},
                                                dense(2)}))},
        {"over time", Function(shape_of(sequence, {convolution(1, 3, 4, Activation::tanh, 1, 1), dense(2)}))},
        {"maximum pool", Function(shape_of(image, {convolution(2, 2, 3, Activation::tanh),
                                                   pool(K::maximum_pool, 2, 2), dense(2)}))},
        {"overlapping maximum pool", Function(shape_of(image, {convolution(2, 2, 3, Activation::tanh),
                                                               pool(K::maximum_pool, 3, 1), dense(2)}))},
        {"average pool", Function(shape_of(image, {convolution(2, 2, 3, Activation::tanh),
                                                   pool(K::average_pool, 2, 2), dense(2)}))},
        {"global pool",
         Function(shape_of(image, {convolution(2, 2, 3, Activation::tanh), {.kind = K::global_pool}, dense(2)}))},
        {"gru", Function(shape_of(sequence, {recurrent(K::gru, 4, false, false), dense(2)}))},
        {"gru both ways, stacked", Function(shape_of(sequence, {recurrent(K::gru, 3, true, true),
                                                                recurrent(K::gru, 2, false, true), dense(2)}))},
        {"lstm", Function(shape_of(sequence, {recurrent(K::lstm, 4, false, false), dense(2)}))},
        {"lstm both ways, stacked", Function(shape_of(sequence, {recurrent(K::lstm, 3, true, true),
                                                                 recurrent(K::lstm, 2, true, false), dense(2)}))},
        {"embedding",
         Function(shape_of({1, 5, 4},
                           {{.kind = K::embedding, .outputs = 3}, recurrent(K::lstm, 3, false, false), dense(2)},
                           true))},
        {"one token", Function(shape_of({1, 1, 6}, {dense(4, Activation::tanh), dense(2)}, true))},
        {"layer normalisation", Function(shape_of(image, {convolution(2, 2, 4, Activation::identity),
                                                          normalise(1, Activation::tanh), dense(2)}))},
        {"normalisation first", Function(shape_of(image, {normalise(2), dense(2)}))},
        {"group normalisation", Function(shape_of(image, {convolution(2, 2, 4, Activation::identity),
                                                          normalise(2, Activation::tanh), dense(2)}))},
        {"residual", Function(shape_of(image, {convolution(1, 1, 3, Activation::tanh),
                                               convolution(3, 3, 3, Activation::tanh, 1, 1),
                                               {.kind = K::add, .activation = Activation::sigmoid, .back = 1},
                                               dense(2)}))},
        {"dropout",
         Function(shape_of(image, {dense(6, Activation::tanh), {.kind = K::dropout, .rate = 0.4f}, dense(2)}))},
        {"an activation at the end", Function(shape_of(image, {dense(3, Activation::sigmoid)}))}};
    for (const auto& [name, function] : all) {
        INFO(name);
        check_derivatives(function);
    }
}

TEST_CASE("random stacks of random layers have the derivatives that finite differences have") {
    Stream random(20, 0, Purpose::user);
    int made = 0;
    for (int k = 0; made < 60; ++k) {
        REQUIRE(k < 10000);
        const bool tokens = random.below(4) == 0;
        const Extent input = random.below(2) == 0 || tokens ? Extent{1, 4, 3} : Extent{4, 5, 2};
        std::vector<LayerSpec> specs;
        if (tokens) specs.push_back({.kind = LayerKind::embedding, .outputs = 2});
        const int wanted = 2 + static_cast<int>(random.below(4));
        for (int tries = 0; tries < 20 && std::ssize(specs) < wanted; ++tries) {
            Extent in = input;
            if (!specs.empty()) in = shape_of(input, specs, tokens).last().out;
            specs.push_back(any_layer(random, in, static_cast<int>(specs.size())));
            if (!NetworkShape::make(input, tokens, specs)) specs.pop_back();
        }
        const NetworkShape shape = shape_of(input, specs, tokens);
        if (shape.parameters() == 0) continue;
        ++made;
        std::ostringstream kinds;
        for (int l = 0; l < shape.layers; ++l) {
            const NetworkShape::Layer& layer = shape.layer(l);
            kinds << " kind " << static_cast<int>(layer.spec.kind) << " activation "
                  << static_cast<int>(layer.spec.activation) << " to " << layer.out.height << " x "
                  << layer.out.width << " x " << layer.out.channels << ";";
        }
        INFO("stack " << k << ":" << kinds.str());
        check_derivatives(Function(shape, static_cast<std::uint64_t>(k)));
    }
}

TEST_CASE("a layer that cannot stand where it stands is refused with its number and what is wrong") {
    const auto fault = [](Extent input, std::vector<LayerSpec> specs, bool tokens = false) {
        const auto shape = NetworkShape::make(input, tokens, specs);
        REQUIRE_FALSE(shape);
        REQUIRE(shape.error().code == Code::bad_layer);
        CHECK(shape.error().first == std::ssize(specs) - 1);
        return static_cast<LayerFault>(shape.error().second);
    };
    using K = LayerKind;
    CHECK(fault({4, 4, 1}, {dense(0)}) == LayerFault::outputs);
    CHECK(fault({4, 4, 1}, {convolution(3, 3, 2, Activation::relu), convolution(3, 3, 2, Activation::relu)}) ==
          LayerFault::too_small);
    CHECK(fault({4, 4, 3}, {convolution(3, 3, 4, Activation::relu, 1, 0, 3)}) == LayerFault::groups);
    CHECK(fault({4, 4, 3}, {convolution(3, 3, 4, Activation::relu, 1, 3)}) == LayerFault::kernel);
    CHECK(fault({4, 4, 3}, {recurrent(K::gru, 2, false, false)}) == LayerFault::not_a_line);
    CHECK(fault({1, 4, 3}, {{.kind = K::embedding, .outputs = 2}}) == LayerFault::tokens);
    CHECK(fault({1, 4, 3}, {recurrent(K::gru, 2, false, false)}, true) == LayerFault::tokens);
    CHECK(fault({1, 4, 3}, {dense(3), dense(4), {.kind = K::add, .back = 1}}) == LayerFault::back);
    CHECK(fault({1, 4, 3}, {dense(3), {.kind = K::dropout, .rate = 1.0f}}) == LayerFault::rate);
    CHECK(fault({1, 60000, 1}, {convolution(1, 1, 30000, Activation::relu)}) == LayerFault::too_large);
    CHECK(NetworkShape::make({1, 4, 3}, false, {}).error().code == Code::no_layers);
    CHECK(NetworkShape::make({1, 4, 3}, false, std::vector<LayerSpec>(33, dense(2))).error().code ==
          Code::too_many_layers);
}

// SPDX-License-Identifier: Apache-2.0
// Networks of all kinds of layers: derivatives against finite differences, through random stacks.
#include "core/network/network.hpp"

#include "core/mlp.hpp"

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

LayerSpec dense(int outputs, Activation activation = Activation::identity) {
    return {.kind = LayerKind::dense, .activation = activation, .outputs = outputs};
}
LayerSpec convolution(int height, int width, int channels, Activation activation, int stride = 1, int pad = 0,
                      int groups = 1) {
    return {.kind = LayerKind::convolution,
            .activation = activation,
            .outputs = channels,
            .kernel_height = height,
            .kernel_width = width,
            .stride_height = height == 1 ? 1 : stride,
            .stride_width = stride,
            .pad_height = height == 1 ? 0 : pad,
            .pad_width = pad,
            .groups = groups};
}
LayerSpec pool(LayerKind kind, int side, int stride) {
    return {
        .kind = kind, .kernel_height = side, .kernel_width = side, .stride_height = stride, .stride_width = stride};
}
LayerSpec recurrent(LayerKind kind, int units, bool every_step, bool both_ways) {
    return {.kind = kind, .outputs = units, .every_step = every_step, .both_ways = both_ways};
}
LayerSpec normalise(int groups, Activation activation = Activation::identity) {
    return {.kind = LayerKind::normalise, .activation = activation, .groups = groups};
}

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

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        difference += (a[k] - b[k]) * (a[k] - b[k]);
        size += b[k] * b[k];
    }
    return std::sqrt(difference / (size + 1e-12));
}

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

NetworkShape shape_of(Extent input, const std::vector<LayerSpec>& specs, bool tokens = false) {
    const auto shape = NetworkShape::make(input, tokens, specs);
    if (!shape) FAIL("layer " << shape.error().first << ": fault " << shape.error().second);
    return *shape;
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

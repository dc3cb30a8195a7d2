// SPDX-License-Identifier: Apache-2.0
#include "core/mlp.hpp"

#include "core/heads.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;

namespace {

/// A perceptron with a categorical head on a random batch, as a function of its parameters, in double.
struct Problem {
    MlpShape shape;
    int columns;
    Mlp<double> mlp{shape};
    Categorical<double> head{shape.outputs()};
    std::vector<double> inputs, weights, parameters, direction;
    std::vector<std::int32_t> index;

    Problem(MlpShape s, int c) : shape(s), columns(c) {
        Stream random(11, 0, Purpose::user);
        const auto fill = [&](std::vector<double>& v, std::size_t count, double scale) {
            v.resize(count);
            for (double& x : v) x = scale * random.normal();
        };
        fill(inputs, static_cast<std::size_t>(s.inputs) * static_cast<std::size_t>(c), 1.0);
        fill(weights, static_cast<std::size_t>(s.outputs()) * static_cast<std::size_t>(c), 1.0);
        fill(parameters, s.parameters(), 0.5);
        fill(direction, s.parameters(), 1.0);
        for (int k = 0; k < c; ++k)
            index.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(s.inputs))));
    }

    Inputs<double> input() const { return {{inputs.data(), columns}, index.data()}; }
    std::vector<double> matrix() const {
        return std::vector<double>(static_cast<std::size_t>(shape.units()) * static_cast<std::size_t>(columns));
    }
    Columns<double> view(std::vector<double>& m) const { return {m.data(), columns}; }

    double value(const std::vector<double>& w) const {
        std::vector<double> acts = matrix();
        mlp.forward(w.data(), input(), view(acts), columns);
        const Columns<double> out = mlp.output(view(acts));
        mlp.kernels->softmax(out, out, shape.outputs(), columns);
        return head.value(out, {weights.data(), columns}, columns);
    }

    std::vector<double> gradient(const std::vector<double>& w, std::vector<double>* product = nullptr) const {
        std::vector<double> acts = matrix(), deltas = matrix(), tangents = matrix(), tangent_deltas = matrix();
        std::vector<double> probabilities(static_cast<std::size_t>(shape.outputs() * columns)), g(w.size());
        const Columns<double> p{probabilities.data(), columns};
        const Columns<const double> c{weights.data(), columns};
        mlp.forward(w.data(), input(), view(acts), columns);
        mlp.kernels->softmax(mlp.output(view(acts)), p, shape.outputs(), columns);
        head.delta(p, c, mlp.output(view(deltas)), columns);
        if (product == nullptr) {
            mlp.backward(w.data(), input(), view(acts), view(deltas), columns, g.data());
            return g;
        }
        mlp.tangent_forward(w.data(), direction.data(), input(), view(acts), view(tangents), columns);
        head.tangent_delta(p, c, mlp.output(view(tangents)), mlp.output(view(tangent_deltas)), columns);
        product->assign(w.size(), 0.0);
        mlp.tangent_backward(w.data(), direction.data(), input(), view(acts), view(tangents), view(deltas),
                             view(tangent_deltas), columns, product->data());
        return *product;
    }
};

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        difference += (a[k] - b[k]) * (a[k] - b[k]);
        size += b[k] * b[k];
    }
    return std::sqrt(difference / size);
}

std::vector<Problem> problems() {
    std::vector<Problem> all;
    for (Activation activation : {Activation::tanh, Activation::relu, Activation::sigmoid}) {
        for (bool one_hot : {false, true}) {
            const std::vector<int> none, one{7}, two{6, 9};
            for (const std::vector<int>& hidden : {none, one, two}) {
                all.emplace_back(*MlpShape::make(4, hidden, 3, activation, one_hot), 5);
            }
        }
    }
    all.emplace_back(*MlpShape::make(6, {}, 4, Activation::tanh, true, false), 5);  // a table
    const std::vector<int> transform{4, 7};
    MlpShape shape = *MlpShape::make(4, transform, 3);
    shape.linear_input = true;
    all.emplace_back(shape, 5);
    return all;
}

}  // namespace

TEST_CASE("a linear input layer as wide as the input changes nothing at the start") {
    const std::vector<int> with{4, 7}, without{7};
    MlpShape shape = *MlpShape::make(4, with, 3);
    shape.linear_input = true;
    const MlpShape plain = *MlpShape::make(4, without, 3);
    std::vector<float> w(shape.parameters());
    Stream random(2, 0, Purpose::initialise);
    initialise(shape, random, w);
    const float x[] = {0.3f, -2.0f, 5.0f, 0.1f};
    std::vector<float> both(static_cast<std::size_t>(shape.units())), rest(static_cast<std::size_t>(plain.units()));
    Mlp<float>{shape}.forward_one(w.data(), x, both.data());
    Mlp<float>{plain}.forward_one(w.data() + shape.weights_at(1), x, rest.data());
    for (int k = 0; k < 3; ++k) CHECK(both[both.size() - 1 - k] == rest[rest.size() - 1 - k]);
}

TEST_CASE("the perceptron's gradient agrees with finite differences to 1e-6") {
    for (const Problem& problem : problems()) {
        const std::vector<double> g = problem.gradient(problem.parameters);
        std::vector<double> numeric(g.size());
        for (std::size_t k = 0; k < g.size(); ++k) {
            std::vector<double> w = problem.parameters;
            const double h = 1e-5;
            w[k] += h;
            const double up = problem.value(w);
            w[k] -= 2 * h;
            numeric[k] = (up - problem.value(w)) / (2 * h);
        }
        CHECK(relative_error(g, numeric) < 1e-6);
    }
}

TEST_CASE("the perceptron's Hessian-vector product agrees with finite differences of the gradient to 1e-6") {
    for (const Problem& problem : problems()) {
        std::vector<double> product;
        problem.gradient(problem.parameters, &product);
        std::vector<double> up = problem.parameters, down = up;
        const double h = 1e-5;
        for (std::size_t k = 0; k < up.size(); ++k) {
            up[k] += h * problem.direction[k];
            down[k] -= h * problem.direction[k];
        }
        const std::vector<double> high = problem.gradient(up), low = problem.gradient(down);
        std::vector<double> numeric(up.size());
        for (std::size_t k = 0; k < up.size(); ++k) numeric[k] = (high[k] - low[k]) / (2 * h);
        CHECK(relative_error(product, numeric) < 1e-6);
    }
}

TEST_CASE("the Gaussian head's derivatives agree with finite differences to 1e-6") {
    const int size = 2, columns = 4;
    const DiagonalGaussian<double> head{size};
    Stream random(5, 0, Purpose::user);
    std::vector<double> m(8), a(8), v(4), rm(8), sigma(2), rsigma(2);
    for (auto* x : {&m, &a, &v, &rm, &sigma, &rsigma}) {
        for (double& y : *x) y = 0.7 * random.normal();
    }
    const auto gradient = [&](double h) {
        std::vector<double> means = m, s = sigma, g(10);
        for (std::size_t k = 0; k < 8; ++k) means[k] += h * rm[k];
        for (std::size_t k = 0; k < 2; ++k) s[k] += h * rsigma[k];
        head.delta({means.data(), columns}, s.data(), {a.data(), columns}, v.data(), {g.data(), columns}, &g[8],
                   columns);
        return g;
    };
    const std::vector<double> g = gradient(0);
    std::vector<double> numeric(10), product(10), second(10);
    const double h = 1e-5;
    for (std::size_t k = 0; k < 10; ++k) {
        const auto value = [&](double step) {
            std::vector<double> means = m, s = sigma;
            (k < 8 ? means[k] : s[k - 8]) += step;
            return head.value({means.data(), columns}, s.data(), {a.data(), columns}, v.data(), columns);
        };
        numeric[k] = (value(h) - value(-h)) / (2 * h);
    }
    CHECK(relative_error(g, numeric) < 1e-6);

    head.tangent_delta({m.data(), columns}, sigma.data(), rsigma.data(), {a.data(), columns}, v.data(),
                       {rm.data(), columns}, {product.data(), columns}, &product[8], columns);
    const std::vector<double> high = gradient(h), low = gradient(-h);
    for (std::size_t k = 0; k < 10; ++k) second[k] = (high[k] - low[k]) / (2 * h);
    CHECK(relative_error(product, second) < 1e-6);
}

TEST_CASE("a shape is refused with the layer that is wrong") {
    const std::vector<int> many(8, 3), zero{4, 0};
    CHECK(MlpShape::make(2, many, 2).error() == Error{Code::too_many_layers, 9, 8});
    CHECK(MlpShape::make(2, zero, 2).error() == Error{Code::bad_width, 0, 2});
    CHECK(MlpShape::make(0, {}, 2).error() == Error{Code::bad_width, 0, 0});
    CHECK(MlpShape::make(2, std::vector<int>{64, 64}, 5)->parameters() == 4677);
}

// SPDX-License-Identifier: Apache-2.0
#include "envs/mixture_classification.hpp"
#include "task_checks.hpp"

#include <functional>
#include <numeric>

using namespace dunlin;

namespace {

constexpr int features = 5, classes = 4, rows = 23;

struct Table {
    std::vector<float> values;
    std::vector<std::uint8_t> labels;
    std::vector<std::uint32_t> all;

    Table() {
        Stream random(2, 0, Purpose::user);
        for (int k = 0; k < rows * features; ++k) values.push_back(random.normal());
        for (int k = 0; k < rows; ++k) labels.push_back(static_cast<std::uint8_t>(random.below(classes)));
        all.resize(rows);
        std::iota(all.begin(), all.end(), 0u);
    }
    LabelledRows view() const { return {values.data(), labels.data(), features, all}; }
};

template <class S>
struct Mixture {
    TestMemory memory;
    MixtureClassification<S> task;

    Mixture(const MlpShape& shape, const MixtureSettings& settings)
        : memory(MixtureClassification<S>::bytes(shape, settings)),
          task(*MixtureClassification<S>::make(shape, generic_kernels<S>(), settings, memory.arena)) {}
};

std::vector<double> random_vector(std::size_t size, double scale, std::uint32_t node) {
    Stream random(8, node, Purpose::user);
    std::vector<double> v(size);
    for (double& x : v) x = scale * static_cast<double>(random.normal());
    return v;
}

/// Central differences of a function of one vector, by component.
std::vector<double> slopes(const std::function<double(const std::vector<double>&)>& function,
                           const std::vector<double>& at) {
    const double h = 1e-5;
    std::vector<double> numeric, moved = at;
    for (std::size_t k = 0; k < at.size(); ++k) {
        moved[k] = at[k] + h;
        const double high = function(moved);
        moved[k] = at[k] - h;
        numeric.push_back((high - function(moved)) / (2 * h));
        moved[k] = at[k];
    }
    return numeric;
}

const MlpShape shape = *MlpShape::make(features, std::vector<int>{6}, classes);
const MixtureSettings three{.predictors = 3, .batch = 9, .inner_ridge = 0.02f, .outer_ridge = 0.1f};

}  // namespace

TEST_CASE("the mixture's gradient and both products agree with finite differences to 1e-6") {
    const Table table;
    Mixture<double> made(shape, three);
    auto& task = made.task;
    task.node = table.view();
    Stream random(1, 0, Purpose::samples);
    task.draw(random);
    const std::vector<double> x = random_vector(task.dimension(), 0.7, 1), lambda = random_vector(3, 1.0, 2);
    const std::vector<double> s = random_vector(task.dimension(), 1.0, 3);

    std::vector<double> gradient(x.size()), hessian(x.size()), mixed(3);
    task.gradient(x, lambda, gradient);
    CHECK(relative_error(gradient, slopes([&](const auto& at) { return task.value(at, lambda); }, x)) < 1e-6);

    task.products(x, lambda, s, hessian, mixed);
    const auto along = [&](const std::vector<double>& at, const std::vector<double>& weights) {
        std::vector<double> g(at.size());
        task.gradient(at, weights, g);
        return g;
    };
    const double h = 1e-5;
    std::vector<double> up = x, down = x, numeric(x.size());
    for (std::size_t k = 0; k < x.size(); ++k) {
        up[k] += h * s[k];
        down[k] -= h * s[k];
    }
    const std::vector<double> high = along(up, lambda), low = along(down, lambda);
    for (std::size_t k = 0; k < x.size(); ++k) numeric[k] = (high[k] - low[k]) / (2 * h);
    CHECK(relative_error(hessian, numeric) < 1e-6);
    const auto slope_along_s = [&](const std::vector<double>& at) {
        const std::vector<double> g = along(x, at);
        return std::inner_product(g.begin(), g.end(), s.begin(), 0.0);
    };
    CHECK(relative_error(mixed, slopes(slope_along_s, lambda)) < 1e-6);
}

TEST_CASE("the mixture's outer gradient is that of its cost on all rows, however many fit a batch") {
    const Table table;
    std::vector<std::vector<double>> all;
    for (int batch : {9, 23, 64}) {
        MixtureSettings settings = three;
        settings.batch = batch;
        Mixture<double> made(shape, settings);
        auto& task = made.task;
        task.node = table.view();
        const std::vector<double> x = random_vector(task.dimension(), 0.7, 1), lambda = random_vector(3, 1.0, 2);
        std::vector<double> inner(x.size()), outer(3), unused_x(x.size()), unused_lambda(3);
        const double cost = task.outer_gradient(x, lambda, inner, outer);
        const auto by_x = [&](const auto& at) { return task.outer_gradient(at, lambda, unused_x, unused_lambda); };
        const auto by_lambda = [&](const auto& at) { return task.outer_gradient(x, at, unused_x, unused_lambda); };
        CHECK(relative_error(inner, slopes(by_x, x)) < 1e-6);
        CHECK(relative_error(outer, slopes(by_lambda, lambda)) < 1e-6);
        const double ridge = 0.05 * std::inner_product(lambda.begin(), lambda.end(), lambda.begin(), 0.0);
        CHECK(cost == Approx(task.evaluate(table.view(), x, lambda).loss() + ridge));
        all.push_back(outer);
    }
    CHECK(relative_error(all[0], all[1]) < 1e-12);
    CHECK(relative_error(all[0], all[2]) < 1e-12);
}

TEST_CASE("a mixture of one predictor is plain classification") {
    const Table table;
    Mixture<double> made(shape, {.predictors = 1, .batch = 23, .inner_ridge = 0.0f});
    TestMemory memory(Classification<double>::bytes(shape, 23, 1));
    auto plain = *Classification<double>::make(shape, generic_kernels<double>(), 23, 1, memory.arena);
    made.task.node = plain.node = table.view();
    Stream random(1, 0, Purpose::samples);
    made.task.draw(random);
    const std::vector<double> x = random_vector(shape.parameters(), 0.7, 1), lambda{0.4};
    plain.draw(0, x, random);
    std::vector<double> ours(x.size()), theirs(x.size()), mixed(1);
    made.task.gradient(x, lambda, ours);
    plain.gradient(0, x, theirs);
    CHECK(relative_error(ours, theirs) < 1e-12);
    const std::vector<double> s = random_vector(x.size(), 1.0, 3);
    made.task.products(x, lambda, s, ours, mixed);
    plain.hessian_vector(0, x, s, theirs);
    CHECK(relative_error(ours, theirs) < 1e-9);
    CHECK(std::abs(mixed[0]) < 1e-12);  // there is nothing to weigh
    CHECK(made.task.evaluate(table.view(), x, lambda).correct == plain.evaluate(table.view(), x).correct);
}

TEST_CASE("a mixture follows the predictor that its weights choose") {
    const Table table;
    Mixture<double> made(shape, three);
    TestMemory memory(Classification<double>::bytes(shape, 9, 1));
    auto plain = *Classification<double>::make(shape, generic_kernels<double>(), 9, 1, memory.arena);
    const std::vector<double> x = random_vector(made.task.dimension(), 0.7, 1), lambda{-40.0, 40.0, -40.0};
    const std::size_t part = shape.parameters();
    const auto score = made.task.evaluate(table.view(), x, lambda);
    const auto second = plain.evaluate(table.view(), std::span(x).subspan(part, part));
    CHECK(score.correct == second.correct);
    CHECK(score.loss() == Approx(second.loss()));
}

TEST_CASE("a mixture's derivatives stay finite where no predictor gives the label a chance") {
    const Table table;
    Mixture<float> made(shape, three);
    made.task.node = table.view();
    Stream random(1, 0, Purpose::samples);
    made.task.draw(random);
    std::vector<float> x(made.task.dimension(), 0.0f), lambda(3), g(x.size()), h(x.size()), mixed(3);
    for (float& value : x) value = 500.0f * random.normal();
    made.task.gradient(x, lambda, g);
    made.task.products(x, lambda, g, h, mixed);
    for (const auto* values : {&g, &h, &mixed}) {
        for (const float value : *values) REQUIRE(std::isfinite(value));
    }
}

TEST_CASE("a mixture of no predictors, of too many, or of an impossible batch is refused") {
    TestMemory memory(0);
    const auto make = [&](MixtureSettings settings) {
        return MixtureClassification<float>::make(shape, generic_kernels<float>(), settings, memory.arena).error();
    };
    CHECK(make({.predictors = 0}) == Error{Code::out_of_range, 0, 64});
    CHECK(make({.predictors = 65}) == Error{Code::out_of_range, 65, 64});
    CHECK(make({.predictors = 2, .batch = 0}).code == Code::out_of_range);
}

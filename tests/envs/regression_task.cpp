// SPDX-License-Identifier: Apache-2.0
#include "core/adapt/maml.hpp"
#include "envs/regression.hpp"
#include "envs/regression_optimum.hpp"
#include "task_checks.hpp"

#include <cmath>

using namespace dunlin;

namespace {

struct Fleet {
    RegressionSettings settings;
    std::vector<std::vector<float>> beta;
    std::vector<RegressionAgent> agents;

    Fleet(const RegressionSettings& s, std::uint64_t seed) : settings(s), beta(static_cast<std::size_t>(s.agents)) {
        for (int i = 0; i < s.agents; ++i) {
            std::vector<float>& own = beta[static_cast<std::size_t>(i)];
            own.resize(static_cast<std::size_t>(s.dimension));
            agents.push_back(draw_agent(s, seed, i, own));
        }
    }
};

struct RegressionTask {
    TestMemory memory;
    LinearRegression<double> task;

    RegressionTask(const RegressionAgent& agent, int batch, int slots)
        : memory(LinearRegression<double>::bytes(static_cast<int>(agent.beta.size()), batch, slots)),
          task(static_cast<int>(agent.beta.size()), batch, slots, memory.arena) {
        task.agent = agent;
    }
};

double norm(const std::vector<double>& v) {
    return std::sqrt(dot<double>(v, v));
}

}  // namespace

TEST_CASE("linear regression's derivatives agree with finite differences to 1e-6") {
    const Fleet fleet({.agents = 4, .dimension = 7, .batch = 5}, 3);
    RegressionTask made(fleet.agents[3], 5, 2);
    const std::vector<double> w(7, 0.3), v{1, -1, 0.5, 0, 2, -0.3, 0.1};
    Stream random(1, 3, Purpose::samples);
    made.task.draw(0, w, random);
    made.task.draw(1, w, random);
    for (int slot : {0, 1}) check_derivatives(made.task, slot, w, v);
    CHECK(made.task.value(0, w) != made.task.value(1, w));
}

TEST_CASE("the same stream draws the same regression batch") {
    const Fleet fleet({.agents = 2, .dimension = 6}, 3);
    RegressionTask made(fleet.agents[1], 20, 2);
    const std::vector<double> w(6, 0.3);
    Stream one(1, 3, Purpose::samples), two = one;
    made.task.draw(0, w, one);
    made.task.draw(1, w, two);
    CHECK(made.task.value(0, w) == made.task.value(1, w));
}

TEST_CASE("the closed form of F^(u) and its gradient are the means of what sampling gives, for u = 0 to 5") {
    const Fleet fleet({.agents = 3, .dimension = 4, .noise = 0.7f, .feature_scale = {0.9f, 1.2f}}, 11);
    const RegressionAgent& agent = fleet.agents[2];
    const int batch = 3;
    const std::vector<double> z{0.4, -1.0, 0.2, 0.8};
    for (int u = 0; u <= 5; ++u) {
        RegressionTask made(agent, batch, u + 1);
        const RegressionObjective exact{u, static_cast<double>(0.1f), batch};
        const Maml maml{.steps = u, .inner_rate = 0.1f};
        std::vector<double> scratch(maml.scratch(4)), g(4), sum(4), square(4);
        double value_sum = 0, value_square = 0;
        Stream random(7, static_cast<std::uint32_t>(u), Purpose::samples);
        const int count = 40000;
        for (int k = 0; k < count; ++k) {
            maml.gradient<double>(made.task, z, random, g, scratch);
            for (std::size_t j = 0; j < 4; ++j) {
                sum[j] += g[j];
                square[j] += g[j] * g[j];
            }
            const ConstVector<double> adapted(scratch.data() + 4 * u, 4);
            const double value = made.task.value(u, adapted);
            value_sum += value;
            value_square += value * value;
        }
        const auto within = [&](double total, double squares, double expected) {
            const double mean = total / count, error = std::sqrt((squares / count - mean * mean) / count);
            return std::abs(mean - expected) < 4.5 * error;
        };
        const std::vector<double> expected = exact.gradient(agent, z);
        CHECK(within(value_sum, value_square, exact.value(agent, z)));
        for (std::size_t j = 0; j < 4; ++j) CHECK(within(sum[j], square[j], expected[j]));
    }
}

TEST_CASE("the closed-form gradient is the derivative of the closed-form value") {
    const Fleet fleet({}, 5);
    std::vector<double> z(30, 0.2);
    for (int u : {0, 2, 5}) {
        const RegressionObjective objective{.steps = u};
        const std::vector<double> g = objective.gradient(fleet.agents[7], z);
        for (std::size_t k : {0u, 29u}) {
            std::vector<double> up = z, down = z;
            up[k] += 1e-4;
            down[k] -= 1e-4;
            const double slope =
                (objective.value(fleet.agents[7], up) - objective.value(fleet.agents[7], down)) / 2e-4;
            CHECK(g[k] == Approx(slope).epsilon(1e-7));
        }
    }
}

TEST_CASE("at the minimiser of F^(u) the agents' gradients cancel") {
    const Fleet fleet({}, 5);
    for (int u : {0, 1, 5}) {
        const RegressionObjective objective{.steps = u};
        const std::vector<double> z = objective.minimiser(fleet.agents);
        std::vector<double> sum(z.size());
        double size = 0;
        for (const RegressionAgent& agent : fleet.agents) {
            const std::vector<double> g = objective.gradient(agent, z);
            size += norm(g);
            for (std::size_t k = 0; k < z.size(); ++k) sum[k] += g[k];
        }
        CHECK(norm(sum) < 1e-12 * size);
    }
}

TEST_CASE("with equal feature scales personal and plain training agree, with two scales the personal one wins") {
    const auto ratio = [](const RegressionSettings& settings, int u) {
        double sum = 0;
        for (std::uint64_t seed = 0; seed < 5; ++seed) {
            const Fleet fleet(settings, seed);
            const RegressionObjective personal{.steps = u}, plain{};
            const std::vector<double> best = personal.minimiser(fleet.agents),
                                      common = plain.minimiser(fleet.agents);
            double best_value = 0, common_value = 0;
            for (const RegressionAgent& agent : fleet.agents) {
                best_value += personal.value(agent, best);
                common_value += personal.value(agent, common);
            }
            sum += best_value / common_value / 5;
        }
        return sum;
    };
    CHECK(ratio(RegressionSettings::paper(), 5) > 0.99);
    CHECK(ratio({}, 1) > 0.96);
    CHECK(ratio({}, 5) < 0.85);
}

TEST_CASE("agents of a group share their shift, and every agent draws itself alone") {
    const RegressionSettings settings{.agents = 400, .dimension = 200, .spread = 0.5f};
    const Fleet fleet(settings, 9);
    std::vector<float> again(200);
    draw_agent(settings, 9, 137, again);
    CHECK(again == fleet.beta[137]);
    double first = 0, second = 0, shift = 0;  // the variance within groups is the spread's
    for (std::size_t k = 0; k < 200; ++k) {
        double a = 0, b = 0, aa = 0;
        for (std::size_t i = 0; i < 200; ++i) {
            a += fleet.beta[i][k] / 200;
            b += fleet.beta[200 + i][k] / 200;
            aa += fleet.beta[i][k] * fleet.beta[i][k] / 200;
        }
        first += (aa - a * a) / 200;
        shift += (a - b) * (a - b) / 4 / 200;
        second += (a + b) * (a + b) / 4 / 200;
    }
    CHECK(first == Approx(0.25).epsilon(0.03));
    CHECK(shift == Approx(1.0).epsilon(0.35));
    CHECK(second == Approx(1.0).epsilon(0.35));
    CHECK(fleet.agents[0].feature_scale == 1.4f);
    CHECK(fleet.agents[399].feature_scale == 0.5f);
    CHECK(fleet.agents[0].ridge == 1.0f / 400);
}

TEST_CASE("settings of regression that make no sense are refused") {
    CHECK(check(RegressionSettings{}).has_value());
    CHECK(check({.agents = 0}).error() == Error{Code::out_of_range, 0, regression_agent_limit});
    CHECK(check({.dimension = -3}).error().first == -3);
    CHECK_FALSE(check({.batch = 0}).has_value());
    CHECK(check({.noise = -1.0f}).error() == Error{Code::bad_setting, 3, 0});
    CHECK(check({.feature_scale = {1.0f, NAN}}).error() == Error{Code::bad_setting, 7, 0});
}

TEST_CASE("the largest relative error is that of the worst node") {
    const std::vector<float> models{3, 4, 3, 3.5f};
    const std::vector<double> optimum{3, 4};
    CHECK(worst_relative_error(models, optimum) == Approx(0.1));
    // A model that is no number has no small error, whichever node's it is, and neither has one beside a zero
    // optimum.
    CHECK(worst_relative_error(std::vector<float>{3, 4, NAN, 4}, optimum) == INFINITY);
    CHECK(worst_relative_error(std::vector<float>{INFINITY, 4, 3, 4}, optimum) == INFINITY);
    const std::vector<double> zero{0, 0};
    CHECK(worst_relative_error(std::vector<float>{0, 0}, zero) == 0.0);
    CHECK(worst_relative_error(std::vector<float>{0, 1}, zero) == INFINITY);
}

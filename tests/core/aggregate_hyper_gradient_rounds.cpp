// SPDX-License-Identifier: Apache-2.0
#include "aggregate_bilevel.hpp"
#include "core/aggregate/hyper_gradient_rounds.hpp"
#include "core/random.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::size_t n = 5, d = 2, m = 3;
constexpr double eta = 0.2;

/// f_i = 1/2 x' A x - (b + B lambda)' x,   F_i = 1/2 |x - t|^2 + 1/2 |lambda|^2.
struct Agent {
    double a[d][d]{}, b[d]{}, B[d][m]{}, t[d]{};

    static Agent draw(std::uint32_t node) {
        Agent agent;
        Stream random(8, node, Purpose::user);
        for (std::size_t k = 0; k < d; ++k) agent.a[k][k] = 0.5 + random.uniform();
        agent.a[0][1] = agent.a[1][0] = 0.3 * random.normal();
        for (std::size_t k = 0; k < d; ++k) {
            agent.b[k] = random.normal();
            agent.t[k] = random.normal();
            for (double& value : agent.B[k]) value = random.normal();
        }
        return agent;
    }
    /// A v, less what does not depend on v where `whole`.
    void inner(const std::vector<double>& v, const std::vector<double>& lambda, bool whole,
               std::vector<double>& out) const {
        for (std::size_t k = 0; k < d; ++k) {
            out[k] = whole ? -b[k] : 0.0;
            for (std::size_t l = 0; l < d; ++l) out[k] += a[k][l] * v[l];
            for (std::size_t l = 0; whole && l < m; ++l) out[k] -= B[k][l] * lambda[l];
        }
    }
    double cost(const std::vector<double>& x, const std::vector<double>& lambda) const {
        double sum = 0;
        for (std::size_t k = 0; k < d; ++k) sum += 0.5 * (x[k] - t[k]) * (x[k] - t[k]);
        for (const double value : lambda) sum += 0.5 * value * value;
        return sum;
    }
};

using Vectors = std::vector<std::vector<double>>;

struct World {
    std::vector<Agent> agents;
    Vectors lambda{n, std::vector<double>(m)}, v{n, std::vector<double>(m)};
    Vectors mixing = ring_mixing(n, 0.3);
    LockStep<HyperGradientRounds<double>> fleet;
    double step;  ///< beta

    World(const SeriesPlan& series, double beta)
        : fleet(mixing, Vectors(n, std::vector<double>(d, 0.5)), eta, series), step(beta) {
        for (std::uint32_t i = 0; i < n; ++i) agents.push_back(Agent::draw(i));
        for (std::uint32_t i = 0; i < n; ++i) {
            for (std::size_t k = 0; k < m; ++k) lambda[i][k] = std::cos(static_cast<double>(i + 3 * k));
        }
    }

    void round() {
        fleet.round([&](std::uint32_t i, const std::vector<double>& x, std::vector<double>& g) {
            const Question question = fleet.nodes[i].question();
            const Agent& agent = agents[i];
            if (question.kind == Question::Kind::gradient) return agent.inner(x, lambda[i], true, g);
            if (question.kind == Question::Kind::outer_gradient) {
                for (std::size_t k = 0; k < d; ++k) g[k] = x[k] - agent.t[k];
                v[i] = lambda[i];
            } else {
                std::vector<double> u(d);
                fleet.nodes[i].direction(u);
                agent.inner(u, lambda[i], false, g);
                for (std::size_t l = 0; l < m; ++l) {
                    for (std::size_t k = 0; k < d; ++k) v[i][l] += eta * agent.B[k][l] * u[k];  // C = -B'
                }
            }
            if (!question.last) return;
            for (std::size_t l = 0; l < m; ++l) lambda[i][l] -= step * v[i][l];
        });
    }

    /// The sum of F at the fixed point of the inner rounds.
    double total(const Vectors& at) const {
        Vectors x(n, std::vector<double>(d)), next = x;
        std::vector<double> g(d);
        for (int r = 0; r < 1000; ++r) {
            for (std::size_t i = 0; i < n; ++i) {
                agents[i].inner(x[i], at[i], true, g);
                for (std::size_t k = 0; k < d; ++k) {
                    next[i][k] = -eta * g[k];
                    for (std::size_t j = 0; j < n; ++j) next[i][k] += mixing[i][j] * x[j][k];
                }
            }
            std::swap(x, next);
        }
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum += agents[i].cost(x[i], at[i]);
        return sum;
    }
    /// Its derivative by component l of lambda_i, by a central difference, exact for what is quadratic.
    double slope(std::size_t i, std::size_t l) const {
        Vectors up = lambda, down = lambda;
        up[i][l] += 0.5;
        down[i][l] -= 0.5;
        return total(up) - total(down);
    }
    /// The largest distance of a component of v from it.
    double error() const {
        double largest = 0;
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t l = 0; l < m; ++l) largest = std::max(largest, std::abs(v[i][l] - slope(i, l)));
        }
        return largest;
    }
};

}  // namespace

TEST_CASE("the series by rounds ends at the derivative of all outer costs through the inner fixed point") {
    World long_series({.inner_rounds = 400, .series_rounds = 400}, 0.0), short_series({400, 20}, 0.0),
        none({400, 0}, 0.0);
    for (int r = 0; r < 801; ++r) long_series.round();
    for (int r = 0; r < 421; ++r) short_series.round();
    for (int r = 0; r < 401; ++r) none.round();
    CHECK(long_series.error() < 1e-9);
    CHECK(short_series.error() > 1e-6);
    CHECK(none.error() > 10 * short_series.error());
    // The parameters did not move meanwhile.
    World inner({400, 0}, 0.0);
    for (int r = 0; r < 400; ++r) inner.round();
    for (std::size_t i = 0; i < n; ++i) CHECK(inner.fleet.at(i) == long_series.fleet.at(i));
}

TEST_CASE("cycles of rounds come to rest where no lambda has a slope, and local derivatives elsewhere") {
    World world({120, 120}, 0.03), local({120, 0}, 0.03);  // what is cut off stays below 1e-5
    for (int r = 0; r < 600 * 241; ++r) world.round();
    for (int r = 0; r < 600 * 121; ++r) local.round();
    double largest = 0, elsewhere = 0;
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t l = 0; l < m; ++l) {
            largest = std::max(largest, std::abs(world.slope(i, l)));
            elsewhere = std::max(elsewhere, std::abs(local.slope(i, l)));
        }
    }
    CHECK(largest < 1e-5);
    CHECK(std::isfinite(world.total(world.lambda)));
    CHECK(elsewhere > 1e-2);
    CHECK(world.total(world.lambda) < local.total(local.lambda));
}

TEST_CASE("a node in the middle of a series says where it is, and goes on from its stored state") {
    World world({3, 4}, 0.1);
    for (int r = 0; r < 6; ++r) world.round();  // two of four products
    auto& node = world.fleet.nodes[2];
    CHECK(node.question().kind == Question::Kind::products);
    CHECK_FALSE(node.question().last);
    CHECK(node.question().step_size == Approx(eta));
    const std::vector<std::byte> stored(node.state().begin(), node.state().end());
    const std::vector<double> x = world.fleet.at(2);
    std::vector<double> u(d), again(d);
    node.direction(u);
    for (int r = 0; r < 3; ++r) world.round();
    REQUIRE(node.restore(stored));
    node.direction(again);
    CHECK(again == u);
    CHECK(world.fleet.at(2) == x);
}

TEST_CASE("a series without inner rounds is refused") {
    const std::vector<std::uint32_t> others{1};
    const std::vector<double> weights{0.5};
    Memory memory(HyperGradientRounds<>::memory(1, 1));
    for (const SeriesPlan& series : {SeriesPlan{0, 5}, SeriesPlan{1, -1}}) {
        Arena arena = memory.arena();
        const auto made =
            HyperGradientRounds<>::make({0, 2, 1, others, weights, {}, series}, std::vector<float>{0.0f}, arena);
        CHECK(made.error() == Error{Code::bad_setting, 5});
    }
}

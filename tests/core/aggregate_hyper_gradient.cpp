// SPDX-License-Identifier: Apache-2.0
#include "core/aggregate/gradient_push.hpp"
#include "core/aggregate/hyper_gradient_push.hpp"
#include "random_digraph.hpp"

#include <array>
#include <cmath>
#include <functional>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::uint32_t n = 4;
constexpr int d = 2;
constexpr double rate = 0.3;  // eta
using Pair = std::array<double, d>;
using Square = std::array<double, d * d>;  // row-major

Pair times(const Square& a, const Pair& x) {
    return {a[0] * x[0] + a[1] * x[1], a[2] * x[0] + a[3] * x[1]};
}
Square transposed(const Square& a) {
    return {a[0], a[2], a[1], a[3]};
}

/// f_i = (x - c)'A(x - c)/2 + lambda'C x, where batches perturb A and C, and F_i = |x - t|^2/2 + 0.15 |lambda|^2.
struct Quadratic {
    Square curvature, mixed;
    Pair centre, target, lambda;
};

struct World {
    Stream random{7, 0, Purpose::user};
    RandomDigraph graph{n, 0.2, 0.9, random};
    std::vector<double> weight = graph.stationary();
    std::vector<Quadratic> all;
    std::vector<double> mean_share;  // of i -> j at i n + j

    World() {
        const auto draw = [&](double scale) { return scale * static_cast<double>(random.normal()); };
        for (std::uint32_t i = 0; i < n; ++i) {
            const double off = draw(0.1);
            all.push_back({{0.8 + 0.4 * random.uniform_double(), off, off, 0.8 + 0.4 * random.uniform_double()},
                           {draw(1), draw(1), draw(1), draw(1)},
                           {draw(1), draw(1)},
                           {draw(2), draw(2)},
                           {draw(1), draw(1)}});
            for (std::uint32_t j = 0; j < n; ++j) mean_share.push_back(graph.mean_share(i, j));
        }
    }

    /// The sum of F at the fixed point z* of the mean push, found by repeating it: equation 5.
    double outer_cost(const std::vector<Pair>& lambda) const {
        std::vector<Pair> z(n, Pair{});
        for (int repeat = 0; repeat < 400; ++repeat) {
            std::vector<Pair> next(n, Pair{});
            for (std::uint32_t i = 0; i < n; ++i) {
                const Quadratic& q = all[i];
                const Pair gap{z[i][0] / weight[i] - q.centre[0], z[i][1] / weight[i] - q.centre[1]};
                const Pair slope = times(q.curvature, gap), push = times(transposed(q.mixed), lambda[i]);
                for (std::uint32_t j = 0; j < n; ++j) {
                    for (int k = 0; k < d; ++k) {
                        next[j][k] += mean_share[i * n + j] * (z[i][k] - rate * (slope[k] + push[k]));
                    }
                }
            }
            z = next;
        }
        double sum = 0;
        for (std::uint32_t i = 0; i < n; ++i) {
            for (int k = 0; k < d; ++k) {
                sum += 0.5 * std::pow(z[i][k] / weight[i] - all[i].target[k], 2) + 0.15 * std::pow(lambda[i][k], 2);
            }
        }
        return sum;
    }

    /// Its derivative by all lambda; differences of a quadratic function are exact.
    std::vector<double> exact() const {
        std::vector<double> gradient;
        for (std::uint32_t i = 0; i < n; ++i) {
            for (int k = 0; k < d; ++k) {
                std::vector<Pair> up, down;
                for (const Quadratic& q : all) up.push_back(q.lambda);
                down = up;
                up[i][k] += 0.5;
                down[i][k] -= 0.5;
                gradient.push_back(outer_cost(up) - outer_cost(down));
            }
        }
        return gradient;
    }

    /// dF_i/dx at z*/w*.
    std::vector<Pair> inner_slopes() const {
        std::vector<Pair> lambda;
        for (const Quadratic& q : all) lambda.push_back(q.lambda);
        std::vector<Pair> slopes(n);
        for (std::uint32_t i = 0; i < n; ++i) {
            for (int k = 0; k < d; ++k) {  // F's only other dependence on a target is its own distance
                World up = *this, down = *this;
                up.all[i].target[k] -= 0.5;
                down.all[i].target[k] += 0.5;
                slopes[i][k] = up.outer_cost(lambda) - down.outer_cost(lambda);
            }
        }
        return slopes;
    }
};

struct Fleet {
    const World& world;
    std::vector<Memory> memory{};
    std::vector<HyperGradientPush> nodes{};
    std::vector<Pair> slopes = world.inner_slopes();
    std::int64_t round = 0;

    explicit Fleet(const World& w) : world(w) {
        for (std::uint32_t i = 0; i < n; ++i) {
            memory.emplace_back(HyperGradientPush::memory(d, d, n - 1));
            Arena arena = memory.back().arena();
            auto node = HyperGradientPush::make({i, n, d, d, world.graph.neighbours(i)}, arena);
            REQUIRE(node);
            nodes.push_back(*std::move(node));
        }
    }

    void exchange(Stream& random) {
        for (std::uint32_t i = 0; i < n; ++i) {
            for (const std::uint32_t j : world.graph.hearers(i, random)) {
                REQUIRE(nodes[j].receive(nodes[i].share()) == Receipt::accepted);
            }
        }
    }

    /// What a batch makes of a matrix.
    static Square perturbed(const Square& matrix, double scale, Stream& random) {
        Square out = matrix;
        for (double& value : out) value += scale * static_cast<double>(random.normal());
        return out;
    }

    /// One estimate by all nodes, from M rounds; `weights` gives each node its reverse weights.
    using WeightsOf = std::function<std::vector<float>(std::uint32_t)>;
    std::vector<double> estimate(int steps, bool one_sample, const WeightsOf& weights, Stream& random) {
        for (std::uint32_t i = 0; i < n; ++i) {
            const Quadratic& q = world.all[i];
            const float inner[d] = {static_cast<float>(slopes[i][0]), static_cast<float>(slopes[i][1])};
            const float outer[d] = {static_cast<float>(0.3 * q.lambda[0]), static_cast<float>(0.3 * q.lambda[1])};
            REQUIRE(nodes[i].begin(round, inner, outer, static_cast<float>(world.weight[i]),
                                   static_cast<float>(world.mean_share[i * n + i]), weights(i)));
        }
        for (int m = 0; m < steps; ++m) {
            exchange(random);
            for (std::uint32_t i = 0; i < n; ++i) {
                const Pair s{nodes[i].combined()[0], nodes[i].combined()[1]};
                const Pair product = times(perturbed(world.all[i].mixed, 0.5, random), s);
                const float mixed[d] = {static_cast<float>(product[0]), static_cast<float>(product[1])};
                REQUIRE(nodes[i].outer_step(mixed, static_cast<float>(rate)));
                if (!one_sample) nodes[i].next_round();
            }
            if (!one_sample) exchange(random);
            for (std::uint32_t i = 0; i < n; ++i) {
                const Pair s{nodes[i].combined()[0], nodes[i].combined()[1]};
                const Pair product = times(perturbed(world.all[i].curvature, 0.2, random), s);
                const float hessian[d] = {static_cast<float>(product[0]), static_cast<float>(product[1])};
                REQUIRE(nodes[i].inner_step(hessian, static_cast<float>(rate)));
            }
        }
        round = nodes[0].round() + 1;
        std::vector<double> all;
        for (const HyperGradientPush& node : nodes)
            all.insert(all.end(), node.gradient().begin(), node.gradient().end());
        return all;
    }
};

/// How many standard errors the mean over `repeats` estimates is from the exact gradient, by component.
std::vector<double> distances(const World& world, const std::vector<double>& exact, int repeats, bool one_sample,
                              const Fleet::WeightsOf& weights) {
    constexpr int steps = 60;  // the slowest mode has died down to 1e-7
    Fleet fleet(world);
    Stream random(11, 0, Purpose::links);
    std::vector<double> sum(n * d), square(n * d);
    for (int repeat = 0; repeat < repeats; ++repeat) {
        const std::vector<double> one = fleet.estimate(steps, one_sample, weights, random);
        for (std::size_t k = 0; k < one.size(); ++k) {
            sum[k] += one[k];
            square[k] += one[k] * one[k];
        }
    }
    std::vector<double> all;
    for (std::size_t k = 0; k < sum.size(); ++k) {
        const double mean = sum[k] / repeats, variance = square[k] / repeats - mean * mean;
        all.push_back(std::abs(mean - exact[k]) / std::sqrt(variance / repeats));
    }
    return all;
}

double largest(const std::vector<double>& values) {
    return *std::max_element(values.begin(), values.end());
}

/// Equation 12 with the true means.
Fleet::WeightsOf debiased(const World& world) {
    return [&world](std::uint32_t i) {
        std::vector<float> weights;
        for (const std::uint32_t j : world.graph.neighbours(i)) {
            weights.push_back(static_cast<float>(world.mean_share[i * n + j] / world.graph.of(j, i)));
        }
        return weights;
    };
}

}  // namespace

TEST_CASE("hyper-gradient push agrees on average with the exact implicit hyper-gradient") {
    const World world;
    const std::vector<double> exact = world.exact();
    CHECK(largest(distances(world, exact, 2000, false, debiased(world))) < 4.0);
    CHECK(largest(distances(world, exact, 2000, true, debiased(world))) < 4.0);  // one sample for both Jacobians
}

TEST_CASE("pushing the hyper-gradient along the edges as the parameters go is biased") {
    const World world;
    const std::vector<double> exact = world.exact();
    const auto forward = [&](std::uint32_t i) {  // j's message with the weight that j's share has
        std::vector<float> weights;
        for (const std::uint32_t j : world.graph.neighbours(i)) {
            weights.push_back(static_cast<float>(world.mean_share[j * n + i] / world.graph.of(j, i)));
        }
        return weights;
    };
    CHECK(largest(distances(world, exact, 2000, true, forward)) > 20.0);
    const auto blind = [&](std::uint32_t i) {  // only where both directions exist: not divided by deltabar
        std::vector<float> weights;
        for (const std::uint32_t j : world.graph.neighbours(i)) {
            weights.push_back(static_cast<float>(world.mean_share[i * n + j]));
        }
        return weights;
    };
    CHECK(largest(distances(world, exact, 2000, true, blind)) > 20.0);
}

TEST_CASE("without the weight of the stationary vector the hyper-gradient is biased") {
    World world;
    const std::vector<double> exact = world.exact();
    const std::vector<double> truth = world.weight;
    Fleet fleet(world);  // whose slopes are those of the true fixed point
    world.weight.assign(n, 1.0);
    Stream random(12, 0, Purpose::links);
    std::vector<double> sum(n * d), square(n * d);
    constexpr int repeats = 1000;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        const std::vector<double> one = fleet.estimate(60, true, debiased(world), random);
        for (std::size_t k = 0; k < one.size(); ++k) {
            sum[k] += one[k] / repeats;
            square[k] += one[k] * one[k] / repeats;
        }
    }
    double worst = 0;
    for (std::size_t k = 0; k < sum.size(); ++k) {
        worst = std::max(worst, std::abs(sum[k] - exact[k]) / std::sqrt((square[k] - sum[k] * sum[k]) / repeats));
    }
    CHECK(worst > 20.0);
}

TEST_CASE("frequencies estimated while pushing serve the hyper-gradient as the true ones do") {
    const World world;
    std::vector<Memory> memory;
    std::vector<GradientPush> push;
    const float start[] = {1.0f, -1.0f};
    for (std::uint32_t i = 0; i < n; ++i) {
        memory.emplace_back(GradientPush::memory(d, n - 1));
        Arena arena = memory.back().arena();
        auto node = GradientPush::make({i, n, d, world.graph.neighbours(i)}, start, arena);
        REQUIRE(node);
        push.push_back(*std::move(node));
    }
    Stream random(5, 0, Purpose::links);
    std::vector<std::vector<std::uint32_t>> hearers(n);
    for (std::int64_t tick = 0; tick < 40000; ++tick) {
        for (std::uint32_t i = 0; i < n; ++i) {
            hearers[i] = world.graph.hearers(i, random);
            REQUIRE(push[i].open(hearers[i], 0.0f));
            REQUIRE(push[i].wake(tick, {}));
        }
        for (std::uint32_t i = 0; i < n; ++i) {
            for (const std::uint32_t j : hearers[i]) REQUIRE(push[j].receive(push[i].share()));
        }
    }
    std::vector<std::vector<float>> estimated(n, std::vector<float>(n - 1));
    for (std::uint32_t i = 0; i < n; ++i) {
        push[i].reverse_weights(estimated[i]);
        const std::vector<float> truth = debiased(world)(i);
        for (std::size_t j = 0; j < truth.size(); ++j) CHECK(estimated[i][j] == Approx(truth[j]).epsilon(0.06));
        CHECK(push[i].mean_weight() == Approx(world.weight[i]).epsilon(0.02));
        CHECK(push[i].kept_share() == Approx(world.mean_share[i * n + i]).epsilon(0.01));
    }
    const std::vector<double> exact = world.exact();
    CHECK(largest(distances(world, exact, 300, true, [&](std::uint32_t i) { return estimated[i]; })) < 4.0);
}

TEST_CASE("hyper-gradient push takes one message of a neighbour a round, and refuses what is strange") {
    Memory memory(HyperGradientPush::memory(d, d, n - 1));
    Arena arena = memory.arena();
    const std::uint32_t others[] = {0, 2, 3};
    auto node = HyperGradientPush::make({1, n, d, d, others}, arena);
    REQUIRE(node);
    const float two[] = {1.0f, 2.0f}, one[] = {1.0f}, bad[] = {1.0f, NAN}, weights[] = {0.5f, 0.25f, 1.0f};
    REQUIRE(node->begin(3, two, two, 1.0f, 0.5f, weights));
    CHECK(node->begin(3, two, two, 1.0f, 0.5f, weights).error() == Error{Code::tick_not_newer, 3, 3});
    CHECK(node->share().kappa == 3);
    CHECK(node->combined()[1] == 1.0f);
    CHECK(node->receive({2, 3, two}) == Receipt::accepted);
    CHECK(node->combined()[1] == 1.5f);
    CHECK(node->receive({2, 3, two}) == Receipt::stale);  // again
    CHECK(node->receive({0, 2, two}) == Receipt::stale);  // an earlier round's
    CHECK(node->receive({1, 3, two}).error() == Error{Code::unknown_sender, 1});
    CHECK(node->receive({0, 3, one}).error() == Error{Code::shape_mismatch, 1, 2});
    CHECK(node->receive({0, 3, bad}).error() == Error{Code::not_finite, 1});
    CHECK(node->combined()[1] == 1.5f);
    CHECK(node->outer_step(bad, 0.1f).error().code == Code::not_finite);
    CHECK(node->inner_step(one, 0.1f).error().code == Code::shape_mismatch);
    CHECK(node->inner_step(bad, 0.1f).error().code == Code::not_finite);  // the series has diverged
    CHECK(node->begin(9, two, two, 0.0f, 0.5f, weights).error().code == Code::impossible_weight);
    CHECK(node->begin(9, two, one, 1.0f, 0.5f, weights).error().code == Code::shape_mismatch);
    CHECK(node->begin(9, two, two, 1.0f, 0.5f, two).error().code == Code::shape_mismatch);
    Arena rest(std::span<std::byte>{});
    CHECK(HyperGradientPush::make({1, n, d, 0, others}, rest).error() == Error{Code::bad_setting, 3});
    CHECK(HyperGradientPush::make({2, n, d, d, others}, rest).error() == Error{Code::bad_neighbours, 1});
}

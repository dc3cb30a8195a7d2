// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/bilevel_fleet.hpp"

#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

constexpr std::uint32_t n = 6;

/// Every agent: f = (x - c - lambda)^2 / 2, F = (x - t)^2 / 2 + 0.005 lambda^2, without noise. All x end near the
/// mean of c + lambda, so every lambda can move them, and the best mean is near that of t.
class Line final : public BilevelLearner {
public:
    float centre = 0, target = 0;

    void gradient(ConstVector<float> x, ConstVector<float> lambda, Stream&, Vector<float> out) override {
        out[0] = x[0] - centre - lambda[0];
    }
    void products(ConstVector<float>, ConstVector<float>, ConstVector<float> s, Stream&, Vector<float> hessian,
                  Vector<float> mixed) override {
        hessian[0] = s[0];
        mixed[0] = -s[0];
    }
    int outer_gradient(ConstVector<float> x, ConstVector<float> lambda, Vector<float> inner,
                       Vector<float> outer) override {
        inner[0] = x[0] - target;
        outer[0] = 0.01f * lambda[0];
        return 1;
    }
};

struct World {
    Workers workers;
    Line line;
    RandomEdges edges = *RandomEdges::make(n, 0.3f, 0.9f, 4);
    std::unique_ptr<BilevelFleet> fleet;
    std::vector<float> lambda = std::vector<float>(n), slope = std::vector<float>(n);

    explicit World(int threads = 1) : workers(threads) {
        BilevelFleetSettings settings;
        settings.outer_dimension = 1;
        const float start[] = {0.5f};
        // One thread, or the learner would be another's: it holds no state but the node's data.
        auto made = make_bilevel_fleet(
            edges, settings, start,
            [this](std::uint32_t node, int) -> Line& {
                line.centre = static_cast<float>(node);
                line.target = 10.0f + static_cast<float>(node);
                return line;
            },
            workers);
        REQUIRE(made);
        fleet = *std::move(made);
    }
    double at(std::uint32_t node) const {
        float z{};
        fleet->estimate(node, {&z, 1});
        return static_cast<double>(z);
    }
};

}  // namespace

TEST_CASE("a bilevel fleet keeps its mass to the bit, whatever is pushed [invariant 1]") {
    World world;
    std::vector<Mass> x;
    Mass y{};
    world.fleet->mass(x, y);
    CHECK(y == Mass{n} << 48);
    for (int round = 0; round < 100; ++round) {
        Mass expected = x[0];
        for (std::uint32_t i = 0; i < n; ++i) {
            Mass step{};
            float z{};
            world.fleet->estimate(i, {&z, 1});
            FixedPoint{}.to_mass(0.1f * (z - static_cast<float>(i) - 0.0f), step);
            expected -= step;
        }
        REQUIRE(world.fleet->push(world.lambda, 0.1f, true));
        world.fleet->mass(x, y);
        REQUIRE(x[0] == expected);
        REQUIRE(y == Mass{n} << 48);
    }
}

TEST_CASE("a bilevel fleet's agents lower each other's outer costs, which local gradients cannot") {
    World world;
    HyperGradientSettings how;
    how.inner_rate = 0.1f;
    how.steps = 60;
    const auto train = [&](int terms) {
        how.steps = terms;
        for (int outer = 0; outer < 150; ++outer) {
            for (int inner = 0; inner < 40; ++inner) REQUIRE(world.fleet->push(world.lambda, 0.1f, true));
            REQUIRE(world.fleet->hyper_gradient(world.lambda, how, world.slope));
            for (std::uint32_t i = 0; i < n; ++i) world.lambda[i] -= 0.3f * world.slope[i];
        }
    };
    train(0);
    CHECK(std::abs(world.at(0) - 2.5) < 1.0);  // lambda stays where its own ridge holds it
    for (const float value : world.lambda) CHECK(std::abs(value) < 0.01f);
    train(60);
    double mean = 0;
    for (std::uint32_t i = 0; i < n; ++i) mean += world.at(i) / n;
    CHECK(mean == Approx(12.5).margin(0.6));
}

TEST_CASE("agents that do not talk each find their own minimum, at no cost in bytes") {
    World world;
    for (int round = 0; round < 200; ++round) REQUIRE(world.fleet->push(world.lambda, 0.2f, false));
    for (std::uint32_t i = 0; i < n; ++i) CHECK(world.at(i) == Approx(static_cast<double>(i)).margin(1e-4));
    CHECK(world.fleet->counters().push_bytes == 0);
}

TEST_CASE("a series that diverges is named as such, with its agent") {
    World world;
    REQUIRE(world.fleet->push(world.lambda, 0.1f, true));
    HyperGradientSettings how;
    how.steps = 500;
    how.inner_rate = 100.0f;  // |1 - eta H| is 99
    const auto done = world.fleet->hyper_gradient(world.lambda, how, world.slope);
    REQUIRE_FALSE(done);
    CHECK(done.error().text.find("the hyper-gradient's series diverges") != std::string::npos);
    CHECK(done.error().text.find("method.neumann_steps") != std::string::npos);
}

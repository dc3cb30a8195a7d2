// SPDX-License-Identifier: Apache-2.0
#include "core/aggregate/gradient_push.hpp"
#include "random_digraph.hpp"

#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::uint32_t n = 5;

struct Fleet {
    Stream random;
    RandomDigraph graph;
    std::vector<Memory> memory{};
    std::vector<GradientPush> nodes{};
    std::int64_t tick = 0;

    explicit Fleet(std::uint32_t seed, double low = 0.1, double high = 0.6)
        : random(3, seed, Purpose::graph), graph(n, low, high, random) {
        for (std::uint32_t i = 0; i < n; ++i) {
            const float start[] = {static_cast<float>(i), 0.3f * static_cast<float>(i * i)};
            memory.emplace_back(GradientPush::memory(2, n - 1));
            Arena arena = memory.back().arena();
            auto node = GradientPush::make({i, n, 2, graph.neighbours(i)}, start, arena);
            REQUIRE(node);
            nodes.push_back(*std::move(node));
        }
    }
    float at(std::uint32_t i, int k) const {
        float z[2] = {};
        nodes[i].estimate(z);
        return z[k];
    }
    /// One round; `gradient(i)` answers two numbers, or none.
    template <class Gradient>
    void round(float rate, Gradient gradient) {
        std::vector<std::vector<std::uint32_t>> hearers(n);
        for (std::uint32_t i = 0; i < n; ++i) {
            hearers[i] = graph.hearers(i, random);
            REQUIRE(nodes[i].open(hearers[i], rate));
            const std::vector<float> slope = gradient(i);
            const auto woken = nodes[i].wake(tick, slope);
            REQUIRE(woken);
            if (woken->waited) hearers[i].clear();
        }
        for (std::uint32_t i = 0; i < n; ++i) {
            for (const std::uint32_t j : hearers[i])
                REQUIRE(nodes[j].receive(nodes[i].share()) == Receipt::accepted);
        }
        ++tick;
    }
    std::vector<Mass> totals() const {
        std::vector<Mass> all(3);
        for (const GradientPush& node : nodes) node.add_mass(std::span(all).first(2), all[2]);
        return all;
    }
};

std::vector<float> nothing(std::uint32_t) {
    return {};
}

}  // namespace

TEST_CASE("gradient push on edges that come and go loses no mass, and agrees on the true mean [invariants 1, 2]") {
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        Fleet fleet(seed, 0.02, 0.5);
        const std::vector<Mass> before = fleet.totals();
        for (int k = 0; k < 2000; ++k) {
            fleet.round(0.0f, nothing);
            REQUIRE(fleet.totals() == before);
        }
        for (std::uint32_t i = 0; i < n; ++i) {
            CHECK(fleet.nodes[i].weight() > 0.0f);
            CHECK(fleet.at(i, 0) == Approx(2.0f));
            CHECK(fleet.at(i, 1) == Approx(1.8f));
        }
    }
}

TEST_CASE("gradient push takes off exactly the steps that it took [invariant 1]") {
    Fleet fleet(1);
    std::vector<Mass> expected = fleet.totals();
    const FixedPoint format;
    for (int k = 0; k < 200; ++k) {
        fleet.round(0.01f, [&](std::uint32_t i) {
            const std::vector<float> slope{fleet.at(i, 0) - 1.0f, 0.7f};
            for (std::size_t c = 0; c < 2; ++c) {
                Mass step{};
                format.to_mass(0.01f * slope[c], step);
                expected[c] -= step;
            }
            return slope;
        });
        REQUIRE(fleet.totals() == expected);
    }
}

TEST_CASE("gradient push finds the minimiser of a sum of quadratics on directed random edges") {
    Fleet fleet(2);
    const float centre[] = {1.0f, -2.0f, 5.0f, 8.0f, -2.0f};
    for (int k = 0; k < 4000; ++k) {
        fleet.round(2.0f / (static_cast<float>(k) + 40.0f), [&](std::uint32_t i) {
            return std::vector<float>{fleet.at(i, 0) - centre[i], fleet.at(i, 1) + centre[i]};
        });
    }
    for (std::uint32_t i = 0; i < n; ++i) {
        CHECK(fleet.at(i, 0) == Approx(2.0).margin(0.05));
        CHECK(fleet.at(i, 1) == Approx(-2.0).margin(0.05));
    }
}

TEST_CASE("one round of gradient push is equation 3") {
    Memory first_memory(GradientPush::memory(1, 2)), second_memory(GradientPush::memory(1, 2));
    Arena first_arena = first_memory.arena(), second_arena = second_memory.arena();
    const std::uint32_t of_first[] = {1, 2}, of_second[] = {0, 2}, to_second[] = {1};
    const float three[] = {3.0f}, one[] = {1.0f}, slope[] = {2.0f};
    auto first = GradientPush::make({0, 3, 1, of_first}, three, first_arena);
    auto second = GradientPush::make({1, 3, 1, of_second}, one, second_arena);
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE(first->open(to_second, 0.5f));
    REQUIRE(first->wake(0, slope));
    CHECK(first->open(of_second, 0.5f).error() == Error{Code::unknown_sender, 0});
    REQUIRE(second->open({}, 0.0f));
    CHECK(second->wake(0, {})->waited);  // nobody hears it
    CHECK(second->receive(first->share()) == Receipt::accepted);
    float z{};
    first->estimate({&z, 1});
    CHECK(z == 2.0f);  // (3 - 1) / 2 over 1 / 2
    CHECK(first->weight() == 0.5f);
    second->estimate({&z, 1});
    CHECK(z == Approx(2.0 / 1.5));
    CHECK(second->weight() == 1.5f);
    CHECK(first->kept_share() == 0.5);
    CHECK(second->kept_share() == 1.0);
}

TEST_CASE("gradient push hears a message in two parts, block by block, as it does in one") {
    Fleet whole(4), parts(4);
    whole.round(0.0f, nothing);
    parts.round(0.0f, nothing);
    GradientPush& node = parts.nodes[1];
    const Mass values[] = {Mass{5} << 40, -(Mass{6} << 40)}, huge[] = {Mass{1} << 62, Mass{1} << 62};
    const Share<Mass> message{0, 7, values, Mass{1} << 40};
    REQUIRE(whole.nodes[1].receive(message) == Receipt::accepted);
    REQUIRE(node.announce(message) == Receipt::accepted);
    CHECK(node.announce(message) == Receipt::stale);
    CHECK(node.add(values, 1, 1));
    CHECK(node.add(values, 0, 1));
    CHECK(std::equal(node.state().begin(), node.state().end(), whole.nodes[1].state().begin()));
    CHECK(node.add(huge, 0, 1));
    const std::vector<std::byte> full(node.state().begin(), node.state().end());
    CHECK_FALSE(node.add(huge, 0, 1));
    CHECK(std::equal(full.begin(), full.end(), node.state().begin()));
}

TEST_CASE("gradient push refuses what is stale, strange or not finite, and restores its state") {
    Fleet fleet(4);
    fleet.round(0.0f, nothing);
    GradientPush& node = fleet.nodes[1];
    const std::vector<std::byte> before(node.state().begin(), node.state().end());
    const Mass two[] = {5, 6}, one[] = {5}, huge[] = {Mass{1} << 62, (Mass{1} << 62) + 5};
    const float bad[] = {1.0f, NAN}, slope[] = {1.0f, 1.0f}, far[] = {1e30f, 0.0f};
    CHECK(node.receive({1, 7, two, 0}).error() == Error{Code::unknown_sender, 1});
    CHECK(node.receive({0, 7, one, 0}).error() == Error{Code::shape_mismatch, 1, 2});
    CHECK(node.receive({0, 7, two, -1}).error() == Error{Code::impossible_weight, 0});
    CHECK(node.receive({0, 7, two, Mass{6} << 48}).error() == Error{Code::impossible_weight, 0});
    REQUIRE(node.open({}, 1.0f));
    CHECK(node.wake(0, slope).error() == Error{Code::tick_not_newer, 0, 0});
    CHECK(node.wake(1, bad).error() == Error{Code::not_finite, 1});
    CHECK(node.wake(1, far).error() == Error{Code::mass_overflow, 0});
    CHECK(std::equal(before.begin(), before.end(), node.state().begin()));
    CHECK(node.receive({0, 7, huge, 0}) == Receipt::accepted);  // it just fits
    const std::vector<std::byte> full(node.state().begin(), node.state().end());
    CHECK(node.receive({0, 8, huge, 0}).error().code == Code::mass_overflow);
    CHECK(std::equal(full.begin(), full.end(), node.state().begin()));
    CHECK(node.receive({0, 7, two, 0}) == Receipt::stale);
    REQUIRE(node.restore(before));
    CHECK(node.receive({0, 7, two, 0}) == Receipt::accepted);
    CHECK(node.restore(fleet.nodes[2].state()).error() == Error{Code::state_mismatch, 1});

    Arena rest(std::span<std::byte>{});
    const std::uint32_t others[] = {0, 2};
    CHECK(GradientPush::make({1, 3, 2, {}}, slope, rest).error().code == Code::no_neighbours);
    CHECK(GradientPush::make({3, 3, 2, others}, slope, rest).error() == Error{Code::bad_setting, 0});
    CHECK(GradientPush::make({1, 3, 1, others}, slope, rest).error().code == Code::shape_mismatch);
    CHECK(GradientPush::make({.node = 1, .nodes = 3, .dimension = 2, .neighbours = others, .largest_value = 1e6f},
                             slope, rest)
              .error()
              .code == Code::mass_too_large);
}

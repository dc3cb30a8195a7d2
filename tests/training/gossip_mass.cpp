// SPDX-License-Identifier: Apache-2.0
#include "gossip_scenario.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::uint32_t scenarios = 1000;

/// Breaks the remainder rule: what the division leaves over is dropped.
struct LeakyMass : ExactMass {
    using ExactMass::ExactMass;
    ShareDivision::Split split(Mass mass) const {
        const Mass share = ExactMass::split(mass).share;
        return {share, share};
    }
};

/// Is the total mass right after every wake-up, message, crash and restart?
template <class Node>
bool conserves(const Scenario& scenario, bool learns, std::int64_t* crashes = nullptr) {
    const auto fleet = fleet_of<Node>(scenario, learns);
    bool conserved = true;
    int events = 0;
    const Outcome<void> lived = fleet->run(60, [&] {
        conserved = conserved && fleet->mass_error() == 0u;
        ++events;
    });
    if (crashes != nullptr) *crashes += fleet->counters().crashes;
    return lived && conserved && events > 20;
}

/// One of two nodes that send to each other.
ParsPush<> pair_node(std::uint32_t node, const std::uint32_t& other, const std::vector<float>& start,
                     std::vector<HostMemory>& memory) {
    memory.emplace_back(ParsPush<>::memory(start.size(), 1));
    Arena arena(memory.back().bytes());
    return *ParsPush<>::make({.network = {.node = node,
                                          .nodes = 2,
                                          .dimension = start.size(),
                                          .in_neighbours = std::span(&other, 1),
                                          .out_degree = 1,
                                          .largest_value = 100.0f}},
                             start, arena);
}

}  // namespace

TEST_CASE("a fleet that learns conserves mass to the bit after every event [invariant 1]") {
    std::uint32_t failed = 0;
    std::int64_t crashes = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        failed += !conserves<ParsPush<>>(random_scenario(seed), true, &crashes);
    }
    CHECK(failed == 0);
    CHECK(crashes > 1000);
}

TEST_CASE("a fleet that only agrees conserves mass to the bit after every event [invariant 1]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        failed += !conserves<ParsPush<>>(random_scenario(seed), false);
    }
    CHECK(failed == 0);
}

TEST_CASE("a division that drops its remainder does not conserve the fleet's mass [invariant 1]") {
    // On a ring every division is by two, which floats survive without a remainder.
    int caught = 0;
    for (std::uint32_t seed = 0; seed < 50; ++seed)
        caught += !conserves<ParsPush<LeakyMass>>(random_scenario(seed), true);
    CHECK(caught > 40);
}

TEST_CASE("without running sums a lossy fleet does not conserve mass [invariant 1]") {
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        Scenario scenario = random_scenario(seed);
        scenario.settings.link.loss = 0.3f;
        CHECK_FALSE(conserves<StochasticGradientPush>(scenario, false));
    }
}

TEST_CASE("weights stay positive and estimates in the hull of the starting values [invariant 2]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        const Scenario scenario = random_scenario(seed);
        const auto fleet = fleet_of<ParsPush<>>(scenario, false);
        const std::size_t d = scenario.dimension;
        std::vector<float> low(scenario.start.begin(), scenario.start.begin() + static_cast<std::ptrdiff_t>(d)),
            high = low;
        for (std::size_t k = 0; k < scenario.start.size(); ++k) {
            low[k % d] = std::min(low[k % d], scenario.start[k]);
            high[k % d] = std::max(high[k % d], scenario.start[k]);
        }
        bool held = true;
        std::vector<float> z(d);
        const Outcome<void> lived = fleet->run(60, [&] {
            for (std::uint32_t i = 0; i < fleet->nodes(); ++i) {
                const float y = fleet->weight(i);
                held = held && y > 0.0f;
                fleet->estimate(i, z);
                for (std::size_t k = 0; k < d; ++k) {
                    // A few units of fixed point divided by y, and the rounding of a float.
                    const float slack = 0x1p-40f / y + 1e-6f * (1.0f + std::abs(z[k]));
                    held = held && z[k] >= low[k] - slack && z[k] <= high[k] + slack;
                }
            }
        });
        failed += !(lived && held);
    }
    CHECK(failed == 0);
}

TEST_CASE("stale, repeated and reordered messages change nothing [invariant 3]") {
    std::uint32_t failed = 0;
    int stale = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        Stream random(7, seed, Purpose::user);
        const std::size_t d = 1 + random.below(4);
        const std::uint32_t other[2] = {1, 0};
        std::vector<HostMemory> memory;
        std::vector<ParsPush<>> nodes;
        for (std::uint32_t i = 0; i < 2; ++i) {
            std::vector<float> start(d);
            for (float& x : start) x = random.normal();
            nodes.push_back(pair_node(i, other[i], start, memory));
        }
        struct Sent {
            std::int64_t kappa;
            std::vector<Mass> values;
            Mass weight;
        };
        std::vector<Sent> sent;
        for (int tick = 0; tick < 20; ++tick) {
            const Share<Mass> share = nodes[0].wake(tick, {})->share;
            sent.push_back({share.kappa, {share.values.begin(), share.values.end()}, share.weight});
        }
        std::int64_t newest = -1;
        for (int k = 0; k < 60; ++k) {
            const Sent& message = sent[random.below(20)];
            const auto state = nodes[1].state();
            const std::vector<std::byte> before(state.begin(), state.end());
            const auto receipt = nodes[1].receive({0, message.kappa, message.values, message.weight});
            const bool unchanged = std::equal(before.begin(), before.end(), nodes[1].state().begin());
            const bool is_new = message.kappa > newest;
            newest = std::max(newest, message.kappa);
            failed += !receipt || (*receipt == Receipt::accepted) != is_new || unchanged == is_new;
            stale += !is_new;
        }
    }
    CHECK(failed == 0);
    CHECK(stale > 10000);
}

TEST_CASE("who comes back from a state older than its last message is refused [invariant 4]") {
    const std::uint32_t other[2] = {1, 0};
    std::vector<HostMemory> memory;
    std::vector<ParsPush<>> nodes;
    for (std::uint32_t i = 0; i < 2; ++i) nodes.push_back(pair_node(i, other[i], {static_cast<float>(i)}, memory));
    const bool stores_every_time = GENERATE(true, false);
    std::vector<std::byte> stored(nodes[0].state().begin(), nodes[0].state().end());
    for (int tick = 0; tick < 3; ++tick) {
        const Share<Mass> share = nodes[0].wake(tick, {})->share;
        if (stores_every_time) std::ranges::copy(nodes[0].state(), stored.begin());
        REQUIRE(nodes[1].receive(share));
    }
    REQUIRE(nodes[0].restore(stored));
    const Result<Receipt> receipt = nodes[1].receive(nodes[0].wake(3, {})->share);
    CHECK(receipt.has_value() == stores_every_time);
    if (!receipt) CHECK(receipt.error().code == Code::impossible_weight);
}

// SPDX-License-Identifier: Apache-2.0
#include "gossip_scenario.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::uint32_t scenarios = 1000;

/// How far nodes are from the true mean of their starting values, 400 ticks after faults have stopped.
template <class Node>
float error_after_calm(Scenario scenario) {
    scenario.settings.calm_from = 60;
    scenario.settings.lives.pace_sigma = 0.0f;
    const auto fleet = fleet_of<Node>(scenario, false);
    std::vector<float> mean(scenario.dimension);
    for (std::size_t k = 0; k < scenario.start.size(); ++k) {
        mean[k % mean.size()] += scenario.start[k] / static_cast<float>(fleet->nodes());
    }
    REQUIRE(fleet->run(460, {}));
    return distance(*fleet, mean);
}

}  // namespace

TEST_CASE("a fleet with losses and crashes agrees on the true mean, soon after faults stop [invariants 4 to 6]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        failed += !(error_after_calm<ParsPush<>>(random_scenario(seed)) < 1e-4f);
    }
    CHECK(failed == 0);
}

TEST_CASE("without running sums a lossy fleet agrees on something else [invariant 5]") {
    int missed = 0;
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        Scenario scenario = random_scenario(seed);
        scenario.settings.lives = {};
        scenario.settings.link.loss = 0.0f;
        CHECK(error_after_calm<StochasticGradientPush>(scenario) < 1e-4f);  // fine where nothing is lost
        scenario.settings.link.loss = 0.3f;
        missed += !(error_after_calm<StochasticGradientPush>(scenario) < 1e-2f);
    }
    CHECK(missed > 90);
}

TEST_CASE("a fleet of quadratics finds their common minimum under losses and crashes [invariant 5]") {
    Scenario scenario = random_scenario(3);
    scenario.settings.link = simulation::LinkProfile::rounds(3, 3, 0.3f);
    scenario.settings.lives = {.up_mean = 200, .down_mean = 20};
    scenario.settings.theta = {.scale = 2, .offset = 60, .longest_gap = 40};
    scenario.settings.learn_until = 6000;
    const auto fleet = fleet_of<ParsPush<>>(scenario, true);
    REQUIRE(fleet->run(6400, {}));
    std::vector<float> minimum(scenario.dimension);
    for (std::size_t k = 0; k < minimum.size(); ++k) {
        minimum[k] = static_cast<float>(fleet->nodes() - 1) / 2 + static_cast<float>(k);
    }
    CHECK(distance(*fleet, minimum) < 0.05f);
    CHECK(fleet->counters().crashes > 10);
    CHECK(fleet->mass_error() == 0u);
}

TEST_CASE("the same seed gives the same fleet, twice and with two threads [invariant 11]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        const Scenario scenario = random_scenario(seed);
        const auto one = fleet_of<ParsPush<>>(scenario, true), again = fleet_of<ParsPush<>>(scenario, true),
                   two = fleet_of<ParsPush<>>(scenario, true, 2);
        for (const auto& fleet : {one.get(), again.get(), two.get()}) REQUIRE(fleet->run(30, {}));
        for (const auto& other : {again.get(), two.get()}) {
            failed += one->trace() != other->trace() || one->estimates() != other->estimates() ||
                      one->counters().wake_ups != other->counters().wake_ups || other->mass_error() != 0u;
        }
    }
    CHECK(failed == 0);
}

TEST_CASE("another seed gives another fleet") {
    Scenario scenario = random_scenario(5);
    const auto one = fleet_of<ParsPush<>>(scenario, true);
    ++scenario.settings.seed;
    const auto other = fleet_of<ParsPush<>>(scenario, true);
    REQUIRE(one->run(30, {}));
    REQUIRE(other->run(30, {}));
    CHECK(one->trace() != other->trace());
}

TEST_CASE("D-PSGD agrees on an undirected ring where messages are lost") {
    GossipSettings settings;
    settings.theta = {.scale = 2, .offset = 60};
    settings.link = simulation::LinkProfile::rounds(2, 2, 0.2f);
    settings.learn_until = 3000;
    const Scenario scenario{*ring(6), settings, std::vector<float>(6, 0.0f), 1};
    const auto fleet = fleet_of<Dpsgd>(scenario, true);
    REQUIRE(fleet->run(3400, {}));
    CHECK(distance(*fleet, {2.5f}) < 0.3f);
    CHECK_FALSE(fleet->mass_error());
}

TEST_CASE("a fleet that diverges says which node and when") {
    Scenario scenario = random_scenario(3);
    scenario.settings.theta = {.scale = 50};
    const auto fleet = fleet_of<ParsPush<>>(scenario, true);
    const Outcome<void> lived = fleet->run(1000, {});
    REQUIRE_FALSE(lived);
    CHECK_THAT(lived.error().text, Catch::StartsWith("node ") && Catch::Contains(", round ") &&
                                       Catch::Contains("the steps are too large"));
}

TEST_CASE("a fleet on a bad network is refused before it starts") {
    const std::vector<float> start(3);
    const Graph chain = *Graph::from_edges(3, {{0, 1}, {1, 2}});
    const auto refused = [&](AggregationName method, const Graph& graph, const GossipSettings& settings) {
        const auto fleet = make_gossip_fleet(method, graph, settings, start, {}, 1);
        return fleet ? std::string() : fleet.error().text;
    };
    CHECK_THAT(refused(AggregationName::pars_push, chain, {}),
               Catch::StartsWith("network.graph") && Catch::Contains("node"));
    CHECK_THAT(refused(AggregationName::dpsgd, *directed_ring(3), {}), Catch::StartsWith("network.graph"));
    GossipSettings large;
    large.largest_value = 1e6f;
    CHECK_THAT(refused(AggregationName::pars_push, *directed_ring(3), large),
               Catch::StartsWith("method.fraction_bits") && Catch::Contains("3000000"));
    GossipSettings never;
    never.lives.up_mean = -1;
    CHECK_FALSE(refused(AggregationName::pars_push, *directed_ring(3), never).empty());
    CHECK(refused(AggregationName::pars_push, *directed_ring(3), {}).empty());
}

// SPDX-License-Identifier: Apache-2.0
#include "gossip_scenario.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// A ring of eight whose minimiser is known: the mean of the centres is 3.5, 4.5.
Scenario ring_scenario() {
    Scenario scenario{*ring(8), {}, std::vector<float>(16), 2};
    scenario.settings.theta = {.scale = 0.05};
    return scenario;
}

template <class Node>
void learns_in_a_bad_world() {
    Scenario scenario = ring_scenario();
    GossipSettings& s = scenario.settings;
    s.link = simulation::LinkProfile::rounds(3, simulation::LinkProfile::unbounded, 0.3f);
    s.link.duplication = 0.2f;
    s.wake_gap = 3;
    s.lives = {.pace_sigma = 0.3f, .awake_mean = 60, .asleep_mean = 10, .up_mean = 80, .down_mean = 5};
    const auto fleet = fleet_of<Node>(scenario, true);
    REQUIRE(fleet->run(6000, {}));
    CHECK(fleet->counters().crashes > 100);
    CHECK(fleet->counters().waits > 100);
    const std::int64_t first = fleet->machine(0).round();
    CHECK(first > 100);
    for (std::uint32_t i = 0; i < 8; ++i) CHECK(std::abs(fleet->machine(i).round() - first) <= 4);  // one a link
    CHECK(distance(*fleet, {3.5f, 4.5f}) < 0.2f);
}

}  // namespace

TEST_CASE("without faults a synchronous fleet goes one round on with every tick and says nothing twice") {
    const auto fleet = fleet_of<PrimalDual<>>(ring_scenario(), true);
    REQUIRE(fleet->run(100, {}));
    for (std::uint32_t i = 0; i < 8; ++i) CHECK(fleet->machine(i).round() == 100);
    CHECK(fleet->counters().gradients == 800);
    CHECK(fleet->counters().waits == 0);
    CHECK(fleet->messages().sent == 101 * 16);
    CHECK(fleet->messages().sent_bytes == 101 * 16 * 2 * sizeof(float));
}

TEST_CASE("a message of gradient tracking is twice as long as one of the primal-dual recursion") {
    const auto bytes = [](auto& fleet) {
        REQUIRE(fleet->run(50, {}));
        return fleet->messages().sent_bytes;
    };
    auto dual = fleet_of<PrimalDual<>>(ring_scenario(), true);
    auto tracking = fleet_of<GradientTracking<>>(ring_scenario(), true);
    CHECK(bytes(tracking) == 2 * bytes(dual));
}

TEST_CASE("synchronous fleets learn through losses, delays, repetitions, sleep and crashes") {
    learns_in_a_bad_world<PrimalDual<>>();
    learns_in_a_bad_world<GradientTracking<>>();
}

TEST_CASE("a synchronous fleet is the same for any number of threads") {
    Scenario scenario = ring_scenario();
    scenario.settings.link = simulation::LinkProfile::rounds(3, 5, 0.3f);
    const auto one = fleet_of<PrimalDual<>>(scenario, true, 1), three = fleet_of<PrimalDual<>>(scenario, true, 3);
    REQUIRE(one->run(300, {}));
    REQUIRE(three->run(300, {}));
    CHECK(one->trace() == three->trace());
    CHECK(one->estimates() == three->estimates());
}

TEST_CASE(
    "an undirected method on a directed graph, and a mixing matrix out of bounds, are refused with the figure") {
    const std::vector<float> start(6);
    const auto refused = [&](AggregationName method, const Graph& graph, const GossipSettings& settings) {
        const auto fleet = make_gossip_fleet(method, graph, settings, start, {}, 1);
        return fleet ? std::string() : fleet.error().text;
    };
    const GossipSettings usual;
    for (const AggregationName method : {AggregationName::dsgd, AggregationName::spd, AggregationName::gnsd}) {
        CHECK_THAT(refused(method, *directed_ring(6), usual),
                   Catch::StartsWith("network.graph") && Catch::Contains("the edge from 0 to 1 has no edge back"));
    }
    // The Laplacian of the complete graph of 6 has the eigenvalue 6: 1 - 0.25 * 6 = -0.5.
    GossipSettings wide;
    wide.mixing = Mixing::laplacian;
    wide.rho_over_tau = 0.25;
    CHECK_THAT(refused(AggregationName::spd, *complete_graph(6), wide),
               Catch::Contains("-0.5000") && Catch::Contains("above -0.3333") && Catch::Contains("0.222"));
    CHECK(refused(AggregationName::dsgd, *complete_graph(6), wide).empty());
    wide.rho_over_tau = 0.4;
    CHECK_THAT(refused(AggregationName::dsgd, *complete_graph(6), wide), Catch::Contains("-1.4000"));
    wide.mixing = Mixing::automatic;
    CHECK(refused(AggregationName::spd, *complete_graph(6), wide).empty());
}

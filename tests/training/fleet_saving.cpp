// SPDX-License-Identifier: Apache-2.0
// A fleet that is saved and goes on in another process is the fleet that nobody interrupted.
#include "fleet_saving.hpp"

#include "federated_fixtures.hpp"
#include "gossip_scenario.hpp"
#include "training/host/archive.hpp"
#include "training/simulation/alone_fleet.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Any method's fleet in a bad world.
std::unique_ptr<GossipFleet> gossip(AggregationName method, std::uint32_t seed, int threads) {
    Scenario scenario = random_scenario(seed);
    scenario.settings.calm_from = 160;
    if (traits_of(method).undirected) {
        std::vector<Edge> edges;
        const Graph& graph = scenario.graph;
        for (std::uint32_t link = 0; link < graph.edges(); ++link) {
            const Edge one{graph.source(link), graph.target(link)}, other{one.to, one.from};
            for (const Edge& edge : {one, other}) {
                if (std::ranges::find(edges, edge) == edges.end()) edges.push_back(edge);
            }
        }
        scenario.graph = *Graph::from_edges(graph.nodes(), edges);
        scenario.settings.mixing = Mixing::lazy_metropolis;
    }
    // Plain shares lose their mass with their messages.
    if (method == AggregationName::sgp) scenario.settings.link.loss *= 0.1f;
    if (traits_of(method).rounds || method == AggregationName::sgp) scenario.settings.lives.up_mean = 0;
    auto made = make_gossip_fleet(method, scenario.graph, scenario.settings, scenario.start,
                                  quadratics(scenario.dimension, threads), threads);
    if (!made) FAIL(made.error().text);
    return *std::move(made);
}

FederatedSettings served(AggregationName by, bool reliable) {
    FederatedSettings settings;
    settings.method = {Objective::plain, by};
    settings.local_steps = 3;
    settings.buffer_size = 3;
    settings.clock.loss = reliable ? 0.0f : 0.3f;
    settings.clock.duplication = reliable ? 0.0f : 0.2f;
    settings.clock.patience_s = 20.0f;
    return settings;
}

}  // namespace

TEST_CASE("a fleet with neighbours that is saved goes on as if nothing had been, on any number of threads") {
    for (std::size_t name = 0; name < aggregation_count; ++name) {
        const auto method = static_cast<AggregationName>(name);
        if (!has_neighbours(method)) continue;
        for (std::uint32_t seed = 1; seed <= 12; ++seed) {
            INFO("method " << static_cast<int>(method) << ", seed " << seed);
            // Before and after links become calm.
            for (const simulation::Time saved_at : {0, 47, 170})
                goes_on_the_same([&](int threads) { return gossip(method, seed, threads); }, saved_at, 250);
        }
    }
}

TEST_CASE("a fleet of nodes alone, or of one model, that is saved goes on as if nothing had been") {
    for (const bool together : {false, true}) {
        goes_on_the_same(
            [&](int threads) {
                GossipSettings settings;
                settings.theta.scale = 0.1;
                const std::vector<float> start(together ? 2 : 8);
                return *make_alone_fleet(4, together, settings, start, quadratics(2, threads), threads);
            },
            13, 50);
    }
}

TEST_CASE("a fleet with a server that is saved in the midst goes on as if nothing had been, by every rule") {
    for (std::size_t k = 0; k < 2 * aggregation_count; ++k) {
        const auto by = static_cast<AggregationName>(k / 2);
        const bool reliable = k % 2 == 1;
        if (!has_server(by)) continue;
        INFO(name_of(by) << (reliable ? " over links that lose nothing" : ""));
        const FederatedSettings settings = served(by, reliable);
        BowlFleet whole(settings, spread_centres(7), 5, 1, 0.5f), first(settings, spread_centres(7), 5, 1, 0.5f),
            second(settings, spread_centres(7), 5, 2, 0.5f);
        REQUIRE(whole.made);
        REQUIRE(whole.advance(300.0));
        // Saved between two events of an `advance` that is left off there, as a run that is interrupted.
        Saver saver;
        int asked = 0;
        REQUIRE((*first.made)->advance(300.0, [&] {
            if (++asked != 123) return asked > 123;
            first->save(saver);
            return true;
        }));
        REQUIRE(asked == 123);
        Loader loader(saver.bytes());
        REQUIRE(second->restore(loader));
        REQUIRE(loader.done());
        REQUIRE(second->trace() != whole->trace());
        REQUIRE(second.advance(300.0));
        CHECK(second->trace() == whole->trace());
        CHECK(second->version() == whole->version());
        CHECK(second->counters().applied == whole->counters().applied);
        CHECK(second->counters().repeated == whole->counters().repeated);
        CHECK(second->counters().gradients == whole->counters().gradients);
        CHECK(second->counters().busy_s == whole->counters().busy_s);
        CHECK(std::ranges::equal(second->model(), whole->model()));
        CHECK(std::ranges::equal(second->staleness_counts(), whole->staleness_counts()));
    }
}

TEST_CASE("clients of a server have memory for parameters only while they work") {
    FederatedSettings settings = served(AggregationName::fedbuff, true);
    settings.clock.concurrency = 0.05f;
    const std::vector<std::vector<float>> centres(200, std::vector<float>(3000, 1.0f));
    BowlFleet fleet(settings, centres, 5);
    REQUIRE(fleet.made);
    REQUIRE(fleet->bytes_per_client() > 2 * 3000 * sizeof(float));
    REQUIRE(fleet.advance(400.0));
    REQUIRE(fleet->counters().applied > 200);
    Saver saver;
    fleet->save(saver);
    // Ten at a time, what they say, and the server.
    CHECK(saver.bytes().size() < 40 * fleet->bytes_per_client());
    CHECK(fleet->payload_bytes() < 20 * fleet->bytes_per_client());
}

TEST_CASE("another fleet's state, half a state and a state with more behind it are refused") {
    const auto saved = [](GossipFleet& fleet) {
        Saver saver;
        REQUIRE(fleet.run(20));
        fleet.save(saver);
        return saver.take();
    };
    const auto fleet = gossip(AggregationName::pars_push, 1, 1);
    std::vector<std::byte> state = saved(*fleet);
    {
        Loader loader(state);
        CHECK_FALSE(gossip(AggregationName::pars_push, 2, 1)->restore(loader));
    }
    const std::vector<std::byte> plain = saved(*gossip(AggregationName::sgp, 1, 1));
    {
        Loader loader(plain);
        const auto refused = gossip(AggregationName::pars_push, 1, 1)->restore(loader);
        CHECK_FALSE((refused && loader.done()));
    }
    for (std::size_t size = 0; size < state.size(); size += 1 + size / 7) {
        Loader loader(std::span<const std::byte>(state).first(size));
        const auto refused = gossip(AggregationName::pars_push, 1, 1)->restore(loader);
        CHECK_FALSE((refused && loader.done()));
    }
    state.push_back(std::byte{});
    Loader loader(state);
    REQUIRE(gossip(AggregationName::pars_push, 1, 1)->restore(loader));
    CHECK_FALSE(loader.done());
}

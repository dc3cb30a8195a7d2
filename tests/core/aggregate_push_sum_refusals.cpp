// SPDX-License-Identifier: Apache-2.0
// What a node does not take: masses that would not fit, steps under the floor, states and settings of others.
#include "push_sum_scenarios.hpp"

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("a mass that would not fit is refused with nothing changed, and a later smaller step is taken") {
    Memory memory(ParsPush<>::memory(1, 1));
    Arena arena = memory.arena();
    const std::uint32_t sources[] = {1};
    ParsPushSettings settings = settings_for(16000.0f);
    settings.network.nodes = 2;
    settings.network.dimension = 1;
    settings.network.in_neighbours = sources;
    settings.network.out_degree = 1;
    settings.theta.scale = 1.0;
    const float start[] = {16000.0f};
    auto node = ParsPush<>::make(settings, start, arena);
    REQUIRE(node);
    const std::vector<std::byte> before(node->state().begin(), node->state().end());
    const float over[] = {-17000.0f}, under[] = {-16000.0f};
    CHECK(node->wake(0, over).error() == Error{Code::mass_overflow, 0});
    CHECK(std::equal(before.begin(), before.end(), node->state().begin()));
    CHECK(node->wake(0, under));
}

TEST_CASE("a node whose weight is under the floor waits, repeats its sums and recovers [invariant 2]") {
    Stream random(8, 0, Purpose::user);
    const Graph ring = random_graph(3, 0.0f, random);
    const std::vector<std::vector<float>> start = {{1.0f}, {2.0f}, {6.0f}};
    ParsPushSettings settings = settings_for();
    settings.network.weight_floor = 0.01f;
    Network<ParsPush<>> network(ring, start, settings, Stream(8, 0, Purpose::links));
    Faults dead;
    dead.loss = 1.0f;
    for (int tick = 0; tick < 40; ++tick) network.tick(dead, pull, [](const auto& n) { REQUIRE(n.conserved()); });
    CHECK(network.waits > 90);
    for (std::uint32_t i = 0; i < 3; ++i) {
        CHECK(network.node(i).weight() >= 0.01f);
        CHECK(network.node(i).weight() < 0.02f);
        CHECK(network.node(i).tick() == 39);
    }
    const std::vector<float> mean = network.mean();
    const int waited = network.waits;
    for (int tick = 0; tick < 100; ++tick) network.tick({}, nullptr, no_audit);
    CHECK(network.waits <= waited + 6);  // a message takes a tick, and is absorbed after sharing
    // The mean has moved by the gradient steps alone, and everybody comes to the one that mass conservation says.
    CHECK(network.mean() == mean);
    CHECK(network.distance(mean) < 1e-5f);
}

TEST_CASE("a run from a restored state is the uninterrupted run, bit for bit [invariants 4 and 11]") {
    const Scenario scenario = random_scenario(17);
    auto first = network_for<ParsPush<>>(scenario), second = network_for<ParsPush<>>(scenario);
    for (int tick = 0; tick < 80; ++tick) {
        first.tick(scenario.faults, pull, no_audit);
        second.tick(scenario.faults, pull, no_audit);
        if (tick != 40) continue;
        for (std::uint32_t i = 0; i < second.size(); ++i) {  // all memory is replaced by a copy of the stored bytes
            const auto state = second.node(i).state();
            const std::vector<std::byte> stored(state.begin(), state.end());
            auto garbage = const_cast<std::byte*>(state.data());
            std::fill(garbage + 48, garbage + state.size(), std::byte{0x5a});
            REQUIRE(second.node(i).restore(stored));
        }
    }
    for (std::uint32_t i = 0; i < first.size(); ++i) {
        const auto a = first.node(i).state(), b = second.node(i).state();
        CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
    auto stranger = network_for<ParsPush<>>(random_scenario(18));
    CHECK_FALSE(first.node(0).restore(stranger.node(0).state()));
    CHECK_FALSE(first.node(0).restore(first.node(1).state()));
    CHECK(first.node(0).restore(first.node(0).state().first(8)).error().code == Code::state_size);
}

TEST_CASE("wrong settings of a node are told apart") {
    Memory memory(ParsPush<>::memory(4, 4));
    const std::uint32_t good[] = {1, 3}, self[] = {0, 1}, twice[] = {1, 1}, none[] = {1, 9};
    const float start[] = {1.0f, 2.0f}, nan[] = {NAN, 0.0f}, large[] = {0.0f, 101.0f};
    const auto error = [&](auto change, std::span<const float> z) {
        ParsPushSettings settings = settings_for();
        settings.network.nodes = 5;
        settings.network.dimension = 2;
        settings.network.in_neighbours = good;
        settings.network.out_degree = 2;
        change(settings);
        Arena arena = memory.arena();
        const auto node = ParsPush<>::make(settings, z, arena);
        return node ? Code{} : node.error().code;
    };
    using S = ParsPushSettings;
    CHECK(error([](S&) {}, start) == Code{});
    CHECK(error([](S&) {}, nan) == Code::mass_overflow);
    CHECK(error([](S&) {}, large) == Code::mass_overflow);
    CHECK(error([](S&) {}, std::span(start, 1)) == Code::shape_mismatch);
    CHECK(error([](S& s) { s.network.nodes = 1000; }, start) == Code::mass_too_large);
    CHECK(error([](S& s) { s.network.node = 5; }, start) == Code::bad_setting);
    CHECK(error([&](S& s) { s.network.in_neighbours = self; }, start) == Code::bad_neighbours);
    CHECK(error([&](S& s) { s.network.in_neighbours = twice; }, start) == Code::bad_neighbours);
    CHECK(error([&](S& s) { s.network.in_neighbours = none; }, start) == Code::bad_neighbours);
    CHECK(error([](S& s) { s.network.in_neighbours = {}; }, start) == Code::no_neighbours);
    CHECK(error([](S& s) { s.network.out_degree = 0; }, start) == Code::no_neighbours);
    CHECK(error([](S& s) { s.network.out_degree = 5; }, start) == Code::out_of_range);
    CHECK(error([](S& s) { s.network.weight_floor = 0.3f; }, start) == Code::bad_setting);
    CHECK(error([](S& s) { s.network.weight_floor = 1e-20f; }, start) == Code::bad_setting);
    CHECK(error([](S& s) { s.theta.scale = NAN; }, start) == Code::bad_setting);
    CHECK(error([](S& s) { s.theta.offset = -1; }, start) == Code::bad_setting);
    CHECK(error([](S& s) { s.theta.longest_gap = -1; }, start) == Code::bad_setting);
}

// SPDX-License-Identifier: Apache-2.0
#include "session_fleet.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

using Lists = std::vector<std::vector<std::uint32_t>>;

/// A directed ring and every other edge with probability 0.3, among the nodes that are not `without`.
Lists random_graph(std::uint32_t nodes, Stream& random, std::optional<std::uint32_t> without = {}) {
    std::vector<std::uint32_t> ring;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        if (without != i) ring.push_back(i);
    }
    Lists in(nodes);
    for (std::size_t a = 0; a < ring.size(); ++a) {
        for (std::size_t b = 0; b < ring.size(); ++b) {
            const bool next = (b + 1) % ring.size() == a;
            if (a != b && (next || random.uniform() < 0.3f)) in[ring[a]].push_back(ring[b]);
        }
    }
    return in;
}

SessionFaults random_faults(Stream& random) {
    return {.loss = 0.6f * random.uniform(),
            .longest_delay = 1 + random.below(6),
            .crash = random.below(2) == 0 ? 0.0f : 0.05f,
            .disconnect = 0.1f * random.uniform(),
            .store_failure = 0.1f * random.uniform()};
}

/// Steps until `done`, and answers whether mass was conserved all the way.
template <class Done>
bool run(SessionFleet& fleet, const SessionFaults& faults, int steps, Done&& done) {
    bool conserved = true;
    for (int step = 0; step < steps && !done(); ++step) {
        fleet.step(faults);
        conserved = conserved && fleet.conserved();
    }
    return conserved;
}
const auto never = [] { return false; };

}  // namespace

TEST_CASE("sessions conserve mass to the bit through loss, crashes and full disks [invariants 1 and 4]") {
    std::uint32_t failed = 0, begun = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        Stream random(11, seed, Purpose::user);
        const std::uint32_t nodes = 2 + random.below(6);
        const Lists graph = random_graph(nodes, random);
        const SessionFaults faults = random_faults(random);
        SessionFleet fleet(graph, 1 + random.below(3), random, true, 1 + random.below(3));
        failed += !run(fleet, faults, 150, never);
        begun += fleet.begun();
    }
    CHECK(failed == 0);
    CHECK(begun == 300);
}

TEST_CASE("a fleet drains, takes a new graph and goes on, whatever happens meanwhile [invariants 1 and 4]") {
    std::uint32_t failed = 0, stuck = 0;
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        Stream random(12, seed, Purpose::user);
        const std::uint32_t nodes = 3 + random.below(5);
        const Lists graph = random_graph(nodes, random);
        const SessionFaults faults = random_faults(random);
        SessionFleet fleet(graph, 2, random, true, 1 + random.below(3));
        failed += !run(fleet, faults, 400, [&] { return fleet.begun() && fleet.now() > 60; });
        fleet.freeze();
        failed += !run(fleet, faults, 3000, [&] { return fleet.drained(); });
        stuck += !fleet.drained();
        fleet.ask_for_mass();
        for (int again = 0; again < 100 && !fleet.all_reported(); ++again) {
            failed += !run(fleet, faults, 10, [&] { return fleet.all_reported(); });
            if (!fleet.all_reported()) fleet.ask_for_mass();
        }
        stuck += !fleet.all_reported();
        fleet.begin_epoch(random_graph(nodes, random));
        run(fleet, faults, 100, never);
        run(fleet, {}, 60, never);
        failed += !fleet.conserved();
        for (std::uint32_t i = 0; i < nodes; ++i) stuck += fleet.node(i).session->terms().epoch != 2;
    }
    CHECK(failed == 0);
    CHECK(stuck == 0);
}

TEST_CASE("nodes that lost their coordinator go on learning, each with its mass, and balance when it is back") {
    for (const bool direct : {false, true}) {
        Stream random(15, direct, Purpose::user);
        SessionFleet fleet(random_graph(4, random), 2, random, true);
        run(fleet, {}, 200, [&] { return fleet.begun() && fleet.now() > 40; });
        fleet.cut_off(direct);
        std::vector<std::uint64_t> updates;
        for (std::uint32_t i = 0; i < 4; ++i) updates.push_back(fleet.node(i).session->updates());
        CHECK(run(fleet, {}, 300, never));
        for (std::uint32_t i = 0; i < 4; ++i) {
            const NodeSession& session = *fleet.node(i).session;
            CHECK(session.updates() > updates[i] + 100);
            CHECK(static_cast<double>(session.push_sum()->held_weight()) > 0.1 * std::pow(2, 48));
        }
        fleet.come_back();
        CHECK(run(fleet, {}, 100, never));
        fleet.freeze();
        run(fleet, {}, 100, [&] { return fleet.drained(); });
        CHECK(fleet.drained());
        CHECK(fleet.conserved());
    }
}

TEST_CASE("a node that leaves hands its mass over, to the bit [invariant 1]") {
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        Stream random(13, seed, Purpose::user);
        const Lists graph = random_graph(4, random);
        const Lists smaller = random_graph(4, random, 3);
        SessionFleet fleet(graph, 2, random, false);
        const SessionFaults faults{.loss = 0.3f, .longest_delay = 3, .crash = 0.02f};
        run(fleet, faults, 200, [&] { return fleet.begun() && fleet.now() > 40; });
        fleet.freeze();
        run(fleet, {}, 100, [&] { return fleet.drained(); });
        fleet.ask_for_mass();
        run(fleet, {}, 20, [&] { return fleet.all_reported(); });
        REQUIRE(fleet.all_reported());
        std::vector<Mass> x(2);
        Mass y = 0;
        for (std::uint32_t i = 0; i < 4; ++i) {
            for (int k = 0; k < 2; ++k) x[k] = add_wrapped(x[k], fleet.node(i).held[k]);
            y += fleet.node(i).weight;
        }
        Mass one = 0;
        FixedPoint{}.to_mass(1.0f, one);
        CHECK(y == 4 * one);
        fleet.begin_epoch(smaller, 3, 1);
        run(fleet, faults, 60, never);
        run(fleet, {}, 40, never);
        std::vector<Mass> after(2);
        Mass after_y = 0;
        for (std::uint32_t i = 0; i < 3; ++i) {
            REQUIRE(fleet.node(i).session->terms().epoch == 2);
            fleet.node(i).session->push_sum()->add_mass(after, after_y);
        }
        CHECK(after == x);
        CHECK(after_y == y);
    }
}

TEST_CASE(
    "neighbours that vanish without a word take no more than a quarter of what a node holds with them each "
    "[invariant 2]") {
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        Stream random(16, seed, Purpose::user);
        // Everybody gives to everybody, and nobody is told that half of them are gone.
        Lists all(4);
        for (std::uint32_t i = 0; i < 4; ++i) {
            for (std::uint32_t j = 0; j < 4; ++j) {
                if (i != j) all[i].push_back(j);
            }
        }
        SessionFleet fleet(all, 2, random, true, 1 + seed % 3);
        run(fleet, {.loss = 0.2f, .longest_delay = 3}, 200,
            [&] { return fleet.begun() && fleet.now() > 40 + seed; });
        REQUIRE(fleet.begun());
        fleet.node(1).gone = fleet.node(2).gone = true;
        Mass before = 0;
        for (const std::uint32_t i : {0u, 3u}) before += fleet.node(i).session->push_sum()->held_weight();
        run(fleet, {.loss = 0.2f, .longest_delay = 3}, 1000, never);
        Mass after = 0;
        for (const std::uint32_t i : {0u, 3u}) after += fleet.node(i).session->push_sum()->held_weight();
        INFO("seed " << seed);
        // Two edges of each, a quarter of what it held then, and what was on its way between the two.
        CHECK(static_cast<double>(after) > 0.2 * static_cast<double>(before));
        const auto updates = fleet.node(0).session->updates();
        run(fleet, {.loss = 0.2f, .longest_delay = 3}, 100, never);
        CHECK(fleet.node(0).session->updates() > updates + 20);
    }
}

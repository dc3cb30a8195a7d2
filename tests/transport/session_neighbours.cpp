// SPDX-License-Identifier: Apache-2.0
// Sessions whose machines say floats to their neighbours, against the machines in lock step.
#include "core/aggregate/hyper_gradient_rounds.hpp"
#include "core/aggregate/push_pull.hpp"
#include "core/aggregate/synchronous.hpp"
#include "session_fleet.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

using Lists = std::vector<std::vector<std::uint32_t>>;
using Vectors = std::vector<std::vector<float>>;

/// A ring, and every other edge with probability 0.3, both ways; among the nodes that are not `without`.
Lists random_graph(std::uint32_t nodes, Stream& random, std::optional<std::uint32_t> without = {}) {
    std::vector<std::uint32_t> ring;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        if (without != i) ring.push_back(i);
    }
    Lists in(nodes);
    for (std::size_t a = 0; a < ring.size(); ++a) {
        for (std::size_t b = a + 1; b < ring.size(); ++b) {
            const bool next = b == a + 1 || (a == 0 && b + 1 == ring.size());
            if (!next && random.uniform() >= 0.3f) continue;
            in[ring[a]].push_back(ring[b]);
            in[ring[b]].push_back(ring[a]);
        }
    }
    for (auto& list : in) std::ranges::sort(list);
    return in;
}

SessionFaults random_faults(Stream& random) {
    return {.loss = 0.5f * random.uniform(),
            .duplication = 0.3f * random.uniform(),
            .longest_delay = 1 + random.below(6),
            .crash = random.below(2) == 0 ? 0.0f : 0.05f,
            .disconnect = 0.1f * random.uniform(),
            .store_failure = 0.1f * random.uniform()};
}

template <class Done>
bool run(SessionFleet& fleet, const SessionFaults& faults, int steps, Done&& done) {
    for (int step = 0; step < steps && !done(); ++step) fleet.step(faults);
    return done();
}

bool all_at(SessionFleet& fleet, std::int64_t tick) {
    for (std::uint32_t i = 0; i < fleet.size(); ++i) {
        if (!fleet.node(i).gone && fleet.node(i).session->tick() < tick) return false;
    }
    return true;
}

bool all_frozen(SessionFleet& fleet) {
    for (std::uint32_t i = 0; i < fleet.size(); ++i) {
        if (!fleet.node(i).frozen) return false;
    }
    return true;
}

/// Rounds of machines among themselves where nothing is ever lost, from these parameters and draws; by node, none for
/// one without neighbours.
template <class Machine>
Vectors in_lock_step(const Lists& in, const JobTerms& terms, const Vectors& starts, std::vector<Stream>& random,
                     std::int64_t rounds) {
    const std::size_t d = terms.dimension;
    std::vector<std::unique_ptr<std::byte[], void (*)(std::byte*)>> memory;
    std::vector<std::optional<Machine>> nodes(in.size());
    for (std::uint32_t i = 0; i < in.size(); ++i) {
        if (in[i].empty()) continue;
        const std::size_t bytes = Machine::memory(d, in[i].size());
        memory.emplace_back(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{Arena::alignment})),
                            [](std::byte* data) { ::operator delete (data, std::align_val_t{Arena::alignment}); });
        Arena arena({memory.back().get(), bytes});
        const auto weights = metropolis_weights(in, i);
        nodes[i].emplace(*Machine::make(
            {i, static_cast<std::uint32_t>(in.size()), d, in[i], weights, terms.theta, {3, 2}}, starts[i], arena));
    }
    std::vector<float> z(d), g(d);
    for (std::int64_t r = -1; r < rounds; ++r) {
        std::vector<std::vector<float>> said(in.size());
        for (std::uint32_t i = 0; i < in.size(); ++i) {
            if (!nodes[i]) continue;
            nodes[i]->estimate(z);
            if (r >= 0) {
                nodes[i]->direction(g);
                answer_toy(nodes[i]->question(), i, z, random[i], true, g);
            }
            const auto woken = nodes[i]->wake(0, r < 0 ? ConstVector<float>() : ConstVector<float>(g));
            REQUIRE((woken && !woken->waited));
            said[i].assign(woken->share.values.begin(), woken->share.values.end());
        }
        for (std::uint32_t i = 0; i < in.size(); ++i) {
            for (const std::uint32_t j : in[i]) REQUIRE(nodes[i]->receive({j, r + 1, said[j], 0}));
        }
    }
    Vectors models(in.size());
    for (std::uint32_t i = 0; i < in.size(); ++i) {
        if (!nodes[i]) continue;
        models[i].resize(d);
        nodes[i]->estimate(models[i]);
    }
    return models;
}

Vectors in_lock_step(Aggregation by, const Lists& in, const JobTerms& terms, const Vectors& starts,
                     std::vector<Stream>& random, std::int64_t rounds) {
    if (by == Aggregation::dsgd) return in_lock_step<SynchronousDescent<>>(in, terms, starts, random, rounds);
    if (by == Aggregation::spd) return in_lock_step<PrimalDual<>>(in, terms, starts, random, rounds);
    if (by == Aggregation::hgp) return in_lock_step<HyperGradientRounds<>>(in, terms, starts, random, rounds);
    return in_lock_step<GradientTracking<>>(in, terms, starts, random, rounds);
}

std::vector<float> model_of(SessionFleet& fleet, std::uint32_t i) {
    const ConstVector<float> model = fleet.node(i).session->parameters();
    return {model.begin(), model.end()};
}

std::vector<Stream> streams(const SessionFleet& fleet) {
    std::vector<Stream> all;
    for (std::uint32_t i = 0; i < fleet.size(); ++i) all.emplace_back(fleet.terms().seed, i, Purpose::samples);
    return all;
}

constexpr Aggregation by_rounds[] = {Aggregation::dsgd, Aggregation::spd, Aggregation::gnsd, Aggregation::hgp};

}  // namespace

TEST_CASE(
    "loss, reordering, crashes and full disks change no bit of what sessions by rounds learn [invariants 3, 4]") {
    std::uint32_t wrong = 0, stuck = 0;
    int early = 0;
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
        Stream random(17, seed, Purpose::user);
        const Aggregation by = by_rounds[seed % 4];
        const std::uint32_t nodes = 2 + random.below(5);
        const Lists graph = random_graph(nodes, random);
        const SessionFaults faults = random_faults(random);
        SessionFleet fleet(graph, 1 + random.below(3), random, true, 1 + random.below(3));
        fleet.use(by, 25, 0.1);
        auto draws = streams(fleet);
        const Vectors expected = in_lock_step(by, graph, fleet.terms(), fleet.firsts(), draws, 25);
        run(fleet, faults, 400, [&] { return all_at(fleet, 25); });
        stuck += !run(fleet, {}, 20'000, [&] { return all_at(fleet, 25); });
        // Nobody goes further, whatever happens now.
        run(fleet, faults, 100, [] { return false; });
        early += fleet.spoke_early();
        for (std::uint32_t i = 0; i < nodes; ++i)
            wrong += model_of(fleet, i) != expected[i] || fleet.node(i).session->tick() != 25;
    }
    CHECK(wrong == 0);
    CHECK(early == 0);
    CHECK(stuck == 0);
}

TEST_CASE("when somebody leaves, the others go on from their parameters, and what they tracked begins anew") {
    for (std::uint32_t seed = 0; seed < 30; ++seed) {
        INFO("seed " << seed);
        Stream random(18, seed, Purpose::user);
        const Aggregation by = by_rounds[seed / 4 % 4];
        const Lists graph = random_graph(4, random);
        // Down to two, and in every fourth fleet to one, who is alone then.
        const Lists smaller = seed % 4 == 0 ? Lists(4) : random_graph(4, random, 3);
        const SessionFaults faults = random_faults(random);
        SessionFleet fleet(graph, 2, random, true);
        fleet.use(by, 30, 0.1);
        REQUIRE(run(fleet, faults, 20'000, [&] { return all_at(fleet, 8); }));
        fleet.freeze();
        REQUIRE(run(fleet, faults, 5000, [&] { return all_frozen(fleet); }));
        fleet.ask_for_mass();
        for (int again = 0; again < 100 && !fleet.all_reported(); ++again) {
            run(fleet, faults, 20, [&] { return fleet.all_reported(); });
            if (!fleet.all_reported()) fleet.ask_for_mass();
        }
        REQUIRE(fleet.all_reported());
        Vectors now;
        std::int64_t furthest = 0;
        auto draws = streams(fleet);
        for (std::uint32_t i = 0; i < 4; ++i) {
            NodeSession& session = *fleet.node(i).session;
            now.push_back(model_of(fleet, i));
            furthest = std::max(furthest, session.tick());
            draws[i].seek_epoch(static_cast<std::uint64_t>(session.tick()));
            Mass one = 0;
            fleet.terms().format.to_mass(1.0f, one);
            CHECK(fleet.node(i).weight == one);
            for (std::size_t k = 0; k < 2; ++k)
                CHECK(fleet.terms().format.to_float<float>(fleet.node(i).held[k]) == now[i][k]);
        }
        fleet.begin_epoch(smaller, 3);
        if (seed % 4 == 0) fleet.node(1).gone = fleet.node(2).gone = true;
        REQUIRE(run(fleet, faults, 20'000, [&] { return all_at(fleet, 30); }));
        if (seed % 4 == 0) {
            CHECK(fleet.node(0).session->tick() == 30);
            continue;
        }
        const Vectors expected = in_lock_step(by, smaller, fleet.terms(), now, draws, 30 - furthest);
        for (std::uint32_t i = 0; i < 3; ++i) CHECK(model_of(fleet, i) == expected[i]);
    }
}

TEST_CASE("sessions that push and pull end at the minimiser of the mean loss, whatever was lost before") {
    for (std::uint32_t seed = 0; seed < 12; ++seed) {
        INFO("seed " << seed);
        Stream random(19, seed, Purpose::user);
        // A directed ring, and one more edge.
        const Lists graph{{3}, {0, 3}, {1}, {2}};
        const SessionFaults faults = random_faults(random);
        SessionFleet fleet(graph, 2, random, true, 1 + seed % 2);
        fleet.use(Aggregation::push_pull, 0, 0.02);
        run(fleet, faults, 500, [] { return false; });
        run(fleet, {}, 1500, [] { return false; });
        CHECK(fleet.spoke_early() == 0);
        for (std::uint32_t i = 0; i < 4; ++i) {
            const auto model = model_of(fleet, i);
            for (std::size_t k = 0; k < 2; ++k)
                CHECK(static_cast<double>(model[k]) == Approx(1.5 + static_cast<double>(k)).margin(0.1));
        }
    }
}

TEST_CASE("a session without room for neighbours' machines, a board's, refuses their jobs") {
    alignas(Arena::alignment) static std::byte memory[1 << 14];
    NodeSession session({.name = "board", .software = {}, .endpoint = {}, .memory = memory, .edges_close = false});
    session.connected(0);
    REQUIRE(session.next(0) == Duty::send);
    session.sent();
    REQUIRE(session.receive({{}, Welcome{.node = 1}}, 0));
    const std::vector<std::uint32_t> neighbours{1};
    JobOffer offer;
    offer.terms = {.members = 2, .dimension = 2, .aggregation = Aggregation::gnsd};
    offer.terms.in_neighbours = offer.terms.out_neighbours = neighbours;
    const auto taken = session.receive({{7, coordinator_number, 0, 0, 3}, offer}, 0);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Code::job_not_understood);
    REQUIRE(session.next(0) == Duty::send);
    const auto* answer = std::get_if<JobAnswer>(&session.message().body);
    REQUIRE(answer != nullptr);
    CHECK_FALSE(answer->accepted);
}

// SPDX-License-Identifier: Apache-2.0
// Members that are killed, at any instant and for any time: who is left goes on, the books say what was lost, and
// what comes back begins anew.
#include "world.hpp"

#include <algorithm>
#include <numeric>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
const auto never = [] { return false; };

const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}

JobPlan plan_of(std::uint32_t members, const std::string& graph) {
    JobPlan plan = toy_plan(members, Aggregation::push_sum);
    plan.graph.kind = graph;
    plan.regroup_ms = 400;
    plan.terms.learn_until = 1600;
    plan.budget.rounds = 1800;
    return plan;
}

/// Every epoch begins with what the one before ended with, times its shift, and a weight of one at the mean for
/// each that begins: to the bit (invariant 1).
void check_books(World& world, const JobPlan& plan, std::uint32_t members) {
    Holding one{0, std::vector<Mass>(plan.first.size())};
    plan.terms.format.to_mass(1.0f, one.weight);
    for (std::size_t k = 0; k < one.values.size(); ++k) plan.terms.format.to_mass(plan.first[k], one.values[k]);
    Holding expected;
    for (std::uint32_t i = 0; i < members; ++i) expected.add(one);
    for (const auto& [index, entry] : world.chronicle().ledger) {
        INFO("epoch " << entry.epoch);
        CHECK(entry.before.weight == expected.weight);
        // Losses are never negative: nothing is counted twice (invariant 4).
        CHECK(entry.lost.weight >= 0);
        CHECK(entry.before.weight == entry.after.weight + entry.lost.weight);
        expected = entry.after;
        expected.shift(entry.shift);
        for (std::size_t k = 0; k < entry.joined.size(); ++k) expected.weight += one.weight;
    }
}

/// What those who were there to the end aim at, on average.
double aim(const std::vector<std::uint32_t>& members) {
    return std::accumulate(members.begin(), members.end(), 0.0) / static_cast<double>(members.size());
}

void check_learned(World& world, const std::vector<std::uint32_t>& present) {
    const ConstVector<float> model = job_of(world).model();
    const double goal = aim(present);
    for (std::size_t k = 0; k < model.size(); ++k) {
        INFO("component " << k);
        CHECK(static_cast<double>(model[k]) == Approx(k % 2 == 0 ? goal : -goal).margin(0.35));
    }
}

bool run_to_the_end(World& world, std::int64_t limit_ms = 60'000) {
    const bool ended = world.run(calm, limit_ms, [&] { return job_of(world).ended().has_value(); });
    if (!ended) {
        UNSCOPED_INFO("epoch " << job_of(world).epoch() << " closing " << job_of(world).closing());
        for (std::uint32_t i = 0; i < world.size(); ++i) {
            const MemberSession* said = world.coordinator().session(1, i);
            UNSCOPED_INFO("member " << i << " " << name_of(job_of(world).members()[i].state) << ", joined "
                                    << (said != nullptr && said->joined) << ", tick "
                                    << world.node(i).session->tick() << ", job " << world.node(i).session->job());
        }
    }
    return ended;
}

}  // namespace

TEST_CASE(
    "half of the members are killed at any instant and stay away: the others learn what they alone would, and "
    "the job ends [invariants 1, 2 and 6]") {
    const std::array<std::string, 4> graphs{"directed-ring", "exponential", "ring", "complete"};
    for (std::uint32_t seed = 0; seed < 24; ++seed) {
        const std::string& graph = graphs[seed % graphs.size()];
        INFO("seed " << seed << ", " << graph);
        World world({.seed = seed, .nodes = 4, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        const JobPlan plan = plan_of(4, graph);
        world.start_job(plan);
        // From before anybody has begun to the middle of learning.
        world.run(calm, seed * seed * 7, never);
        world.switch_off(seed % 4);
        world.switch_off((seed + 1 + seed / 4 % 3) % 4);
        std::vector<std::uint32_t> left;
        for (std::uint32_t i = 0; i < 4; ++i) {
            if (!world.node(i).off) left.push_back(i);
        }
        REQUIRE(run_to_the_end(world));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_books(world, plan, 4);
        check_learned(world, left);
        CHECK_FALSE(warnings_of(job_of(world)).empty());
        for (const std::uint32_t i : left) CHECK(job_of(world).members()[i].state == MemberState::active);
    }
}

TEST_CASE(
    "members that were fenced come back with or without their memory, and begin anew at the mean, their old "
    "state counts for nothing [invariants 1, 3 and 4]") {
    for (std::uint32_t seed = 0; seed < 16; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 4, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        const JobPlan plan = plan_of(4, seed % 2 == 0 ? "directed-ring" : "exponential");
        world.start_job(plan);
        world.run(calm, 300 + seed * 50, never);
        for (const std::uint32_t i : {1u, 2u}) {
            world.switch_off(i);
            if (seed / 2 % 2 == 0) world.node(i).stored.clear();
        }
        // Around the instant at which they are fenced, and the epoch turns.
        world.run(calm, 380 + seed % 8 * 15, never);
        for (const std::uint32_t i : {1u, 2u}) {
            world.switch_off(i);
            world.switch_on(i);
        }
        REQUIRE(run_to_the_end(world));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_books(world, plan, 4);
        check_learned(world, {0, 1, 2, 3});
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    }
}

TEST_CASE("a member that hangs while it is fenced forgets its state when it wakes up [invariants 1 and 4]") {
    for (std::uint32_t seed = 0; seed < 6; ++seed) {
        World world({.seed = seed, .nodes = 4, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        const JobPlan plan = plan_of(4, "exponential");
        world.start_job(plan);
        world.run(calm, 600, never);
        // What it says is swallowed, on whatever connection, and its session lives on.
        const auto hang = [&] {
            world.node(2).mute = world.node(2).connection;
            return job_of(world).members()[2].state == MemberState::fenced;
        };
        REQUIRE(world.run(calm, 10'000, hang));
        world.run(calm, seed * 40, [&] { return hang(), false; });
        REQUIRE(world.node(2).session->job() != 0);
        world.node(2).mute = 0;
        world.silent(world.node(2).key);
        REQUIRE(run_to_the_end(world));
        check_books(world, plan, 4);
        CHECK(job_of(world).members()[2].state == MemberState::active);
    }
}

TEST_CASE(
    "a second half dies while the first is left behind, the coordinator meanwhile, and nothing hangs [invariants "
    "1, 4 and 6]") {
    for (std::uint32_t seed = 0; seed < 16; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 8, .coordinator = {.return_ms = 500, .silence_ms = 3200}});
        const JobPlan plan = plan_of(8, seed % 2 == 0 ? "exponential" : "directed-ring");
        world.start_job(plan);
        world.run(calm, 700, never);
        for (const std::uint32_t i : {0u, 3u, 5u, 6u}) world.switch_off(i);
        if (seed % 4 == 3) world.restart_coordinator(seed % 8 == 3);
        // The epoch turns between 400 and some 480 ms after the first half: the second dies around that.
        world.run(calm, 390 + seed * 9, never);
        for (const std::uint32_t i : {1u, 2u}) world.switch_off(i);
        if (seed % 4 == 2) world.restart_coordinator(false);
        REQUIRE(run_to_the_end(world));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_books(world, plan, 8);
        check_learned(world, {4, 7});
    }
}

TEST_CASE("the last one goes on learning alone, and takes the others in again when they are back [invariant 1]") {
    for (std::uint32_t seed = 0; seed < 6; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 3, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        JobPlan plan = plan_of(3, "exponential");
        plan.terms.learn_until = 2000;
        plan.budget.rounds = 2200;
        world.start_job(plan);
        world.run(calm, 600, never);
        world.switch_off(0);
        world.switch_off(1);
        world.run(calm, 5000, never);
        const NodeSession& alone = *world.node(2).session;
        CHECK(alone.terms().epoch >= 2);
        const float y = alone.push_sum()->weight();
        CHECK(y > 0.7f);
        CHECK(world.node(2).session->parameters()[0] > 1.3f);
        if (seed % 2 == 0) {
            world.switch_on(0);
            world.switch_on(1);
        }
        REQUIRE(run_to_the_end(world));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_books(world, plan, 3);
        check_learned(world, seed % 2 == 0 ? std::vector<std::uint32_t>{0, 1, 2} : std::vector<std::uint32_t>{2});
    }
}

TEST_CASE("a member that is back before it is fenced goes on with what it has, and nothing is lost [invariant 4]") {
    for (std::uint32_t seed = 0; seed < 8; ++seed) {
        World world({.seed = seed, .nodes = 4, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        JobPlan plan = plan_of(4, "directed-ring");
        plan.regroup_ms = 2000;
        world.start_job(plan);
        world.run(calm, 400 + seed * 30, never);
        world.switch_off(1);
        world.switch_off(2);
        world.run(calm, 1200, never);
        world.switch_on(1);
        world.switch_on(2);
        REQUIRE(run_to_the_end(world));
        REQUIRE(world.chronicle().ledger.size() == 1);
        CHECK(world.chronicle().ledger.begin()->second.lost.nothing());
        CHECK(warnings_of(job_of(world)).empty());
        check_learned(world, {0, 1, 2, 3});
    }
}

TEST_CASE("members from before there were receipts are given their shares all the same, and count as they did") {
    for (std::uint32_t seed = 0; seed < 4; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 4, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        for (std::uint32_t i = 0; i < 4; ++i) world.node(i).old = i % 2 == seed % 2;
        const JobPlan plan = plan_of(4, "exponential");
        world.start_job(plan);
        if (seed >= 2) {
            world.run(calm, 2000, never);
            world.switch_off(1);
        }
        REQUIRE(run_to_the_end(world));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_books(world, plan, 4);
        if (seed < 2) check_learned(world, {0, 1, 2, 3});
        // They could not be told of a common factor.
        for (const auto& [index, entry] : world.chronicle().ledger) CHECK(entry.shift == 0);
    }
}

TEST_CASE("weight that was lost comes back as a power of two, the same for all [invariant 1]") {
    int shifts = 0;
    for (std::uint32_t seed = 0; seed < 4; ++seed) {
        World world({.seed = seed, .nodes = 6, .coordinator = {.return_ms = 0, .silence_ms = 3200}});
        JobPlan plan = plan_of(6, "complete");
        plan.terms.learn_until = -1;
        plan.budget.rounds = 0;
        const std::uint64_t job = world.start_job(plan);
        world.run(calm, 1000, never);
        for (int turn = 0; turn < 5; ++turn) {
            for (const std::uint32_t i : {1u, 2u, 3u, 4u}) world.switch_off(i);
            world.run(calm, 4500, never);
            // Of the two together, less what is on its way between them.
            CHECK(world.node(0).session->push_sum()->weight() + world.node(5).session->push_sum()->weight() > 0.3f);
            for (const std::uint32_t i : {1u, 2u, 3u, 4u}) world.switch_on(i);
            world.run(calm, 1500, never);
        }
        for (const auto& [index, entry] : world.chronicle().ledger) shifts += entry.shift > 0;
        REQUIRE(world.coordinator().stop(job, false));
        REQUIRE(run_to_the_end(world));
        check_books(world, plan, 6);
    }
    CHECK(shifts > 0);
}

TEST_CASE("a store of version 1 opens, and what it did not know has its default") {
    World world({.seed = 1, .nodes = 4});
    world.start_job(plan_of(4, "exponential"));
    world.run(calm, 500, never);
    Saver later;
    Job same = std::move(*Job::make(1, job_of(world).plan(), job_of(world).request()));
    same.later_fields(later);
    later(std::uint64_t{0}, job_of(world).identity(), false);
    std::vector<std::byte> old = world.coordinator().state().save();
    old.resize(old.size() - later.bytes().size());
    Chronicle chronicle;
    FleetState state(chronicle);
    REQUIRE(state.load(old));
    REQUIRE(state.job(1) != nullptr);
    CHECK(state.job(1)->regroup_ms() == 5000);
    CHECK(state.job(1)->book()->shift() == 0);
    CHECK(state.job(1)->members().size() == 4);
    old.pop_back();
    CHECK(state.load(old).error().code == Code::store_damaged);

    // And the record of a job.
    std::vector<std::byte> payload = job_payload(job_of(world).plan(), job_of(world).request());
    // regroup_ms, the nonce and whether shares are equal
    payload.resize(payload.size() - sizeof(std::uint32_t) - sizeof(std::uint64_t) - sizeof(bool));
    const auto read = read_job({.kind = RecordKind::job_created, .job = 1, .payload = payload});
    REQUIRE(read);
    CHECK(read->regroup_ms() == 5000);
}

TEST_CASE("that a job is of D-PSGD outlives a restart, from the record and from a snapshot") {
    JobPlan plan = plan_of(4, "exponential");
    plan.equal_shares = true;
    World world({.seed = 1, .nodes = 4});
    world.start_job(plan);
    world.run(calm, 500, never);
    CHECK(undirected(job_of(world).book()->graph()));
    Chronicle chronicle;
    FleetState state(chronicle);
    REQUIRE(state.load(world.coordinator().state().save()));
    CHECK(state.job(1)->plan().equal_shares);
    const std::vector<std::byte> payload = job_payload(plan, job_of(world).request());
    const auto read = read_job({.kind = RecordKind::job_created, .job = 1, .payload = payload});
    REQUIRE(read);
    CHECK(read->plan().equal_shares);
}

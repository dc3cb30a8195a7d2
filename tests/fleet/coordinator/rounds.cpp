// SPDX-License-Identifier: Apache-2.0
// Jobs whose machines say floats to their neighbours: by rounds, and push-pull.
#include "world.hpp"

#include <algorithm>
#include <numeric>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
const WorldFaults storm{
    .cut = 0.003f, .node_crash = 0.003f, .power = 0.006f, .file_failure = 0.002f, .busy = 0.02f};
constexpr Aggregation all_machines[] = {Aggregation::dsgd, Aggregation::spd, Aggregation::gnsd,
                                        Aggregation::push_pull, Aggregation::hgp};

const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}
bool ended(World& world) {
    return job_of(world).ended().has_value();
}

JobPlan plan_of(Aggregation aggregation, std::uint32_t members, std::uint64_t rounds) {
    JobPlan plan = toy_plan(members, aggregation);
    // Of the gradient that push-pull tracks most is on its way, for a tick is shorter than that.
    plan.terms.theta = {.scale = aggregation == Aggregation::push_pull ? 0.04 : 0.1, .longest_gap = 4};
    plan.budget.rounds = rounds;
    return plan;
}

std::vector<float> model_of(World& world) {
    const ConstVector<float> model = job_of(world).model();
    return {model.begin(), model.end()};
}

/// The mean of what these members aim at, in every component.
void check_learned(World& world, const std::vector<std::uint32_t>& members, double margin) {
    const double goal = std::accumulate(members.begin(), members.end(), 0.0) / static_cast<double>(members.size());
    const std::vector<float> model = model_of(world);
    for (std::size_t k = 0; k < model.size(); ++k)
        CHECK(static_cast<double>(model[k]) == Approx(k % 2 == 0 ? goal : -goal).margin(margin));
}

/// Has this member done so many rounds?
bool at(World& world, std::uint32_t member, std::int64_t tick) {
    return world.node(member).session->tick() >= tick;
}

}  // namespace

TEST_CASE("crashes of nodes and of the coordinator change no bit of what a fleet by rounds learns [invariant 4]") {
    for (const Aggregation by : {Aggregation::dsgd, Aggregation::spd, Aggregation::gnsd, Aggregation::hgp}) {
        std::vector<float> expected;
        for (std::uint64_t seed = 0; seed <= 6; ++seed) {
            INFO(aggregation_name(plan_of(by, 3, 0)) << ", seed " << seed);
            WorldFaults faults = seed == 0 ? calm : storm;
            if (seed % 3 == 0) faults.longest_work_ms = 40;
            World world({.seed = seed + 1, .nodes = 5, .store_every = 1 + static_cast<std::uint32_t>(seed % 2)});
            world.start_job(plan_of(by, 5, 30));
            world.run(faults, 3000, [&] { return ended(world); });
            REQUIRE(world.run(calm, 30'000, [&] { return ended(world); }));
            CHECK(job_of(world).ended() == JobEndReason::finished);
            CHECK(job_of(world).epoch() == 1);
            if (seed == 0) expected = model_of(world);
            CHECK(model_of(world) == expected);
            REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
            for (std::uint32_t i = 0; i < 5; ++i) CHECK(job_of(world).members()[i].reported);
        }
    }
}

TEST_CASE("a dead neighbour stops a fleet for as long as it takes to go on without it, and comes back anew") {
    for (const Aggregation by : all_machines) {
        for (const bool forgets : {false, true}) {
            INFO(aggregation_name(plan_of(by, 3, 0)) << ", forgets " << forgets);
            WorldSettings settings{.seed = 3, .nodes = 4};
            settings.coordinator.return_ms = 100;
            World world(settings);
            JobPlan plan = plan_of(by, 4, 0);
            plan.regroup_ms = 400;
            const std::uint64_t job = world.start_job(plan);
            const auto others_reach = [&](std::int64_t tick) {
                return world.run(calm, 30'000, [&] { return at(world, 0, tick) && at(world, 1, tick); });
            };
            REQUIRE(others_reach(10));
            world.switch_off(3);
            const std::int64_t off_ms = world.now_ms();
            REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).epoch() == 2; }));
            const std::int64_t tick = world.node(0).session->tick();
            REQUIRE(others_reach(tick + 5));
            CHECK(world.now_ms() - off_ms < 400 + 20 * 100);
            CHECK(job_of(world).members()[3].state == MemberState::fenced);
            CHECK(job_of(world).book()->lost().weight == 0);
            REQUIRE(others_reach(tick + 100));
            if (forgets) world.node(3).stored.clear();
            world.switch_on(3);
            REQUIRE(world.run(calm, 20'000, [&] {
                return job_of(world).epoch() == 3 && job_of(world).members()[3].state == MemberState::active;
            }));
            // Rounds are counted on: nobody begins again at the first.
            REQUIRE(world.run(calm, 20'000, [&] { return at(world, 3, tick + 100); }));
            REQUIRE(others_reach(tick + 800));
            REQUIRE(world.coordinator().stop(job, false));
            REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
            check_learned(world, {0, 1, 2, 3}, by == Aggregation::push_pull ? 0.4 : 0.2);
            REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
        }
    }
}

TEST_CASE("members leave until one is alone, who learns on alone") {
    for (const Aggregation by : all_machines) {
        INFO(aggregation_name(plan_of(by, 3, 0)));
        World world({.seed = 4, .nodes = 3});
        const std::uint64_t job = world.start_job(plan_of(by, 3, 0));
        REQUIRE(world.run(calm, 20'000, [&] { return at(world, 2, 5); }));
        for (const std::uint32_t leaver : {0u, 1u}) {
            world.leave(leaver);
            REQUIRE(world.run(storm, 30'000, [&] {
                if (world.now_ms() % 50 == 0) world.leave(leaver);  // a node that crashed has forgotten its wish
                return job_of(world).members()[leaver].state == MemberState::left;
            }));
        }
        const std::uint32_t epoch = job_of(world).epoch();
        CHECK(epoch == 3);
        REQUIRE(world.run(calm, 20'000, [&] { return world.node(2).session->terms().epoch == epoch; }));
        const std::int64_t tick = world.node(2).session->tick();
        REQUIRE(world.run(calm, 60'000, [&] { return at(world, 2, std::max<std::int64_t>(tick, 0) + 300); }));
        // The store, with how many rounds there were, is read again.
        world.restart_coordinator(false);
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
        REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
        check_learned(world, {2}, 0.3);
    }
}

TEST_CASE("a node that speaks an older wire has no part in such a job, and it is said why") {
    for (const Aggregation by : {Aggregation::gnsd, Aggregation::push_pull}) {
        World world({.seed = 5, .nodes = 3});
        world.node(1).old = true;
        world.start_job(plan_of(by, 3, 25));
        REQUIRE(world.run(calm, 30'000, [&] { return ended(world); }));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        const JobMember& member = job_of(world).members()[1];
        CHECK(member.state == MemberState::declined);
        CHECK(member.refusal == Error{Code::wire_version_unknown, 1, 3});
        CHECK_THAT(refusal_text(member, "declined"), Catch::Contains("update the program"));
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
        for (const std::uint32_t other : {0u, 2u}) CHECK(job_of(world).members()[other].reported);
    }
}

TEST_CASE("how far a fleet by rounds was when its graph changed survives a snapshot [invariant 8]") {
    World world({.seed = 6, .nodes = 3});
    const std::uint64_t job = world.start_job(plan_of(Aggregation::dsgd, 3, 1000));
    REQUIRE(world.run(calm, 20'000, [&] { return at(world, 0, 20); }));
    REQUIRE(world.coordinator().remove_member(job, 2, false));
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).epoch() == 2; }));
    const std::int64_t first = job_of(world).first_round();
    CHECK(first >= 20);
    REQUIRE(world.coordinator().snapshot());
    world.restart_coordinator(false);
    CHECK(job_of(world).first_round() == first);
}

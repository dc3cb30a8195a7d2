// SPDX-License-Identifier: Apache-2.0
#include "push_sum_world.hpp"

#include <algorithm>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults storm{
    .cut = 0.003f, .node_crash = 0.003f, .power = 0.006f, .file_failure = 0.002f, .busy = 0.02f};

}  // namespace

TEST_CASE("no mass is lost or made by crashes, cuts and a change of the graph [invariants 1 and 4]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        // Every third fleet talks while it works.
        WorldFaults faults = storm;
        if (seed % 3 == 0) faults.longest_work_ms = 40;
        World world({.seed = seed, .nodes = 5, .store_every = 1 + static_cast<std::uint32_t>(seed % 2)});
        const JobPlan plan = toy_plan(5, Aggregation::push_sum);
        const std::uint64_t job = world.start_job(plan);
        world.run(faults, 3000, [] { return false; });
        REQUIRE(begun(world));
        world.run(faults, 1500, [] { return false; });
        world.leave(2);
        REQUIRE(world.run(faults, 30'000, [&] {
            if (world.now_ms() % 50 == 0) world.leave(2);  // a node that crashed has forgotten its wish
            return job_of(world).members()[2].state == MemberState::left;
        }));
        CHECK(job_of(world).epoch() == 2);
        world.run(faults, 1500, [] { return false; });
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
        world.run(faults, 500, [] { return false; });
        REQUIRE(world.run(calm, 30'000, [&] { return ended(world); }));
        CHECK(job_of(world).ended() == JobEndReason::stopped);
        CHECK(world.chronicle().ledger.size() == 2);
        check_balanced(world);
        check_model(world, job_of(world).book()->total());
        CHECK(job_of(world).book()->total().weight == beginnings(plan, 5).weight);
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    }
}

TEST_CASE("what a node that is gone for good took along is in the ledger, to the bit [invariant 1]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 5});
        JobPlan plan = toy_plan(5, Aggregation::push_sum);
        plan.terms.learn_until = 40;
        const std::uint64_t job = world.start_job(plan);
        world.run(calm, 1000, [] { return false; });
        // From here on nobody learns: mass only moves.
        world.switch_off(3);
        world.run(storm, 1000, [] { return false; });
        REQUIRE(world.run(calm, 5000, [&] { return world.coordinator().remove_member(job, 3).has_value(); }));
        REQUIRE(world.run(storm, 30'000, [&] { return job_of(world).epoch() == 2; }));
        const LedgerEntry& entry = world.chronicle().ledger.begin()->second;
        CHECK(entry.gone == std::vector<std::uint32_t>{3});
        CHECK(entry.before.weight == beginnings(plan, 5).weight);
        CHECK(entry.lost.weight > 0);
        CHECK(entry.lost.weight < entry.before.weight);
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
        REQUIRE(world.run(storm, 30'000, [&] { return ended(world); }));
        // From now on the books balance without it.
        const LedgerEntry& last = world.chronicle().ledger.rbegin()->second;
        CHECK(last.lost.nothing());
        CHECK(entry.after.weight + entry.lost.weight == entry.before.weight);
        CHECK(last.after.weight == entry.after.weight << entry.shift);
        // Back from the dead, it is told that it is out.
        world.switch_on(3);
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    }
}

TEST_CASE("a member that lost its memory is taken in anew at the mean, with its loss in the ledger [invariant 1]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 4});
        const JobPlan plan = toy_plan(4, Aggregation::push_sum);
        const std::uint64_t job = world.start_job(plan);
        REQUIRE(begun(world));
        world.run(calm, 1000, [] { return false; });
        world.switch_off(1);
        world.node(1).stored.clear();
        world.switch_on(1);
        world.switch_off(1);
        world.switch_on(1);
        REQUIRE(world.run(storm, 30'000, [&] {
            return job_of(world).epoch() >= 2 && job_of(world).members()[1].state == MemberState::active;
        }));
        const LedgerEntry& entry = world.chronicle().ledger.begin()->second;
        CHECK(entry.gone == std::vector<std::uint32_t>{1});
        CHECK(entry.joined == std::vector<std::uint32_t>{1});
        world.run(calm, 1000, [] { return false; });
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
        REQUIRE(world.run(calm, 30'000, [&] { return ended(world); }));
        CHECK(world.chronicle().ledger.rbegin()->second.lost.nothing());
        Mass expected = beginnings(plan, 4).weight;
        for (const auto& [index, turned] : world.chronicle().ledger) {
            expected = (expected - turned.lost.weight) << turned.shift;
            expected += beginnings(plan, static_cast<std::uint32_t>(turned.joined.size())).weight;
        }
        CHECK(job_of(world).book()->total().weight == expected);
    }
}

TEST_CASE(
    "a job without a server ends when all members have lived their ticks, and everybody agrees [invariant 6]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 6});
        JobPlan plan = toy_plan(6, Aggregation::push_sum);
        plan.terms.learn_until = 800;
        plan.budget.rounds = 1000;
        world.start_job(plan);
        REQUIRE(begun(world));
        world.run(storm, 2000, [] { return false; });
        world.files().fail_at(0);
        world.files().lose_power_at(0);
        REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        check_balanced(world);
        const ConstVector<float> model = job_of(world).model();
        for (std::size_t k = 0; k < model.size(); ++k)
            CHECK(model[k] == Approx(k % 2 == 0 ? 2.5 : -2.5).margin(0.5));
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
        world.run(calm, 100, [] { return false; });
        for (const JobMember& member : job_of(world).members()) CHECK(member.reported);
    }
}

TEST_CASE("a member that stays away for longer than the job allows is gone") {
    World world({.seed = 1, .nodes = 4});
    JobPlan plan = toy_plan(4, Aggregation::push_sum);
    plan.removal_ms = 5000;
    world.start_job(plan);
    world.run(calm, 1000, [] { return false; });
    world.switch_off(0);
    REQUIRE(world.run(calm, 30'000, [&] { return job_of(world).epoch() == 2; }));
    CHECK(job_of(world).members()[0].state == MemberState::gone);
}

TEST_CASE("a connection that hears and says nothing is ended, so that its node dials again and the job can end") {
    World world({.seed = 1, .nodes = 4});
    const std::uint64_t job = world.start_job(toy_plan(4, Aggregation::push_sum));
    REQUIRE(begun(world));
    const std::uint64_t mute = world.node(2).mute = world.node(2).connection;
    world.run(calm, 200, [] { return false; });
    REQUIRE(world.coordinator().stop(job, false));
    REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
    CHECK(world.node(2).connection > mute);
    check_balanced(world);
}

TEST_CASE(
    "a member that is killed between the offer and its first store had nothing, and begins later [invariant 1]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 4});
        const JobPlan plan = toy_plan(4, Aggregation::push_sum);
        const std::uint64_t job = world.start_job(plan);
        REQUIRE(world.run(calm, 5000, [&] { return job_of(world).members()[1].state == MemberState::offered; }));
        world.switch_off(1);
        world.node(1).stored.clear();
        world.switch_off(1);  // boots without it
        world.switch_on(1);
        REQUIRE(begun(world));
        REQUIRE(world.coordinator().stop(job, false));
        REQUIRE(world.run(calm, 30'000, [&] { return ended(world); }));
        check_balanced(world);
        CHECK(job_of(world).book()->total().weight == beginnings(plan, 4).weight);
    }
}

TEST_CASE("a member without room for its state holds nobody up, and begins when it has some [invariants 1 and 4]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        INFO("seed " << seed);
        World world({.seed = seed, .nodes = 5});
        const JobPlan plan = toy_plan(5, Aggregation::push_sum);
        const std::uint64_t job = world.start_job(plan);
        world.node(1).full = true;
        world.run(calm, 2000, [] { return false; });
        CHECK(job_of(world).members()[1].state == MemberState::offered);
        world.leave(3);
        REQUIRE(world.run(calm, 30'000, [&] { return job_of(world).epoch() == 2; }));
        CHECK(world.chronicle().ledger.begin()->second.lost.weight == beginnings(plan, 1).weight);

        SECTION("it never has") {
            world.run(calm, 2000, [] { return false; });
            REQUIRE(world.coordinator().stop(job, false));
            REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
            // Nobody sent it anything, in the second epoch either.
            CHECK(world.chronicle().ledger.rbegin()->second.lost.weight == beginnings(plan, 1).weight);
            return;
        }
        SECTION("it has later") {
            world.node(1).full = false;
            REQUIRE(world.run(calm, 30'000, [&] { return world.node(1).session->tick() > 3; }));
        }
        SECTION("now and then") {
            for (int turn = 0; turn < 20; ++turn) {
                world.node(1).full = turn % 2 == 0;
                world.run(storm, 700, [] { return false; });
            }
            world.files().fail_at(0);
            world.files().lose_power_at(0);
        }
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
        REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    }
}

TEST_CASE("a job without a server comes to its end although a member never has room for its state") {
    World world({.seed = 1, .nodes = 4});
    JobPlan plan = toy_plan(4, Aggregation::push_sum);
    plan.terms.learn_until = 300;
    plan.budget.rounds = 400;
    world.node(2).full = true;
    world.start_job(plan);
    REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
    CHECK(job_of(world).ended() == JobEndReason::finished);
    CHECK(world.chronicle().ledger.rbegin()->second.lost.weight == beginnings(plan, 1).weight);
}

TEST_CASE("a node that has stored an offer of a job that was stopped meanwhile takes part in the next one") {
    World world({.seed = 1, .nodes = 4});
    const JobPlan plan = toy_plan(4, Aggregation::push_sum);
    const std::uint64_t first = world.start_job(plan, "first");
    REQUIRE(world.run(calm, 5000, [&] { return !world.node(1).stored.empty(); }));
    REQUIRE(job_of(world).members()[1].state == MemberState::offered);
    world.switch_off(1);
    REQUIRE(world.coordinator().stop(first, true));
    REQUIRE(world.run(calm, 5000, [&] { return ended(world); }));
    world.switch_on(1);
    const std::uint64_t second = world.start_job(plan, "second");
    REQUIRE(world.run(calm, 60'000, [&] {
        return world.coordinator().state().job(second)->members()[1].state == MemberState::active;
    }));
}

TEST_CASE("a node that cannot take its part in the next graph is left out of it") {
    World world({.seed = 1, .nodes = 5});
    JobPlan plan = toy_plan(5, Aggregation::push_sum);
    plan.graph.kind = "star";
    // Room for one neighbour: when the hub leaves, it would be the next.
    const std::vector<std::uint32_t> hub{0};
    World::Node& small = world.node(1);
    const std::size_t room = NodeSession::bytes(plan.member_terms(1, 1, hub, hub), true);
    small.session =
        std::make_unique<NodeSession>(SessionSettings{.name = {},
                                                      .software = "test",
                                                      .endpoint = {},
                                                      .memory = std::span(small.memory.bytes()).first(room),
                                                      .retry_ms = 300});
    const std::uint64_t job = world.start_job(plan);
    REQUIRE(world.run(calm, 5000, [&] { return small.session->tick() > 3; }));
    world.leave(0);
    REQUIRE(
        world.run(calm, 20'000, [&] { return world.node(2).session->tick() > 0 && job_of(world).epoch() == 3; }));
    CHECK(job_of(world).members()[1].state == MemberState::declined);
    CHECK(small.session->job() == 0);
    REQUIRE(world.coordinator().stop(job, false));
    REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
}

TEST_CASE("a node that was removed while it prepared is told so") {
    World world({.seed = 1, .nodes = 5});
    JobPlan plan = toy_plan(5, Aggregation::push_sum);
    plan.removal_ms = 5000;
    world.node(4).slow = true;
    world.start_job(plan);
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).members()[4].state == MemberState::gone; }));
    REQUIRE(world.run(calm, 5000, [&] { return job_of(world).epoch() == 2; }));
    REQUIRE(world.node(4).connection != 0);
    world.node(4).slow = false;
    REQUIRE(world.run(calm, 20'000, [&] { return world.node(4).session->job() == 0; }));
}

TEST_CASE("a job ends although a member that once stored an epoch has no room for the next") {
    World world({.seed = 1, .nodes = 5});
    world.node(4).loses = Message{{}, JobAnswer{}}.body.index();
    const std::uint64_t job = world.start_job(toy_plan(5, Aggregation::push_sum));
    REQUIRE(world.run(calm, 5000, [&] { return !world.node(4).stored.empty(); }));
    world.switch_off(4);
    world.leave(0);
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).epoch() == 2; }));
    world.node(4).loses = std::variant_npos;
    world.node(4).full = true;
    world.switch_on(4);
    world.run(calm, 3000, [] { return false; });
    REQUIRE(world.coordinator().stop(job, false));
    REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
}

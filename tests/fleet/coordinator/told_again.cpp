// SPDX-License-Identifier: Apache-2.0
// What a node is told once, and what a number stands for, when either side starts anew.
#include "world.hpp"

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;

std::uint64_t steps(World& world) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < world.size(); ++i) sum += world.node(i).session->updates();
    return sum;
}

/// Every node has done something since it had done `before`.
bool all_go_on(World& world, const std::vector<std::uint64_t>& before) {
    for (std::uint32_t i = 0; i < world.size(); ++i) {
        if (world.node(i).session->updates() <= before[i]) return false;
    }
    return true;
}

std::vector<std::uint64_t> done(World& world) {
    std::vector<std::uint64_t> counts;
    for (std::uint32_t i = 0; i < world.size(); ++i) counts.push_back(world.node(i).session->updates());
    return counts;
}

JobPlan endless(Aggregation aggregation) {
    JobPlan plan = toy_plan(4, aggregation);
    plan.budget = {};
    return plan;
}

}  // namespace

TEST_CASE("a node that missed a pause or a resume is told on its next connection, whoever started anew") {
    for (const Aggregation aggregation : {Aggregation::federated, Aggregation::push_sum}) {
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            INFO("push-sum " << (aggregation == Aggregation::push_sum) << ", seed " << seed);
            World world({.seed = seed, .nodes = 4});
            const std::uint64_t job = world.start_job(endless(aggregation));
            REQUIRE(world.run(calm, 20'000, [&] { return all_go_on(world, {2, 2, 2, 2}); }));

            // All hear of the pause; nobody hears that it is over, for the coordinator ends just then.
            REQUIRE(world.coordinator().pause(job, true));
            world.run(calm, 1000, [] { return false; });
            const std::uint64_t still = steps(world);
            world.run(calm, 1000, [] { return false; });
            CHECK(steps(world) == still);
            REQUIRE(world.coordinator().pause(job, false));
            world.restart_coordinator(seed % 2 == 0);
            CHECK(world.run(calm, 20'000, [&, before = done(world)] { return all_go_on(world, before); }));

            // One node is away while the job is paused, and another time while it goes on.
            REQUIRE(world.coordinator().pause(job, true));
            world.run(calm, 500, [] { return false; });
            world.switch_off(1);
            REQUIRE(world.coordinator().pause(job, false));
            world.run(calm, 500, [] { return false; });
            world.switch_on(1);
            CHECK(world.run(calm, 20'000, [&, before = done(world)] { return all_go_on(world, before); }));

            // It is told of a pause that it missed, too.
            world.restart_coordinator(false);
            REQUIRE(world.coordinator().pause(job, true));
            world.run(calm, 3000, [] { return false; });
            const std::uint64_t paused = steps(world);
            world.run(calm, 1000, [] { return false; });
            CHECK(steps(world) == paused);
        }
    }
}

TEST_CASE("a node that is told to forget a job hears it although its queue was full") {
    World world({.seed = 3, .nodes = 3});
    const std::uint64_t job = world.start_job(toy_plan(3, Aggregation::federated));
    REQUIRE(world.run(calm, 20'000, [&] { return all_go_on(world, std::vector<std::uint64_t>(3, 0)); }));
    world.forget_everything();
    REQUIRE(world.coordinator().state().job(job) == nullptr);
    const WorldFaults full{.busy = 0.9f};
    CHECK(world.run(full, 20'000, [&] { return world.all_idle(); }));
}

TEST_CASE("a state of another job with the same number feeds nothing into this one [invariant 7]") {
    for (const Aggregation aggregation : {Aggregation::federated, Aggregation::push_sum}) {
        for (const bool older : {false, true}) {
            for (std::uint64_t seed = 1; seed <= 5; ++seed) {
                INFO("push-sum " << (aggregation == Aggregation::push_sum) << ", older " << older << ", seed "
                                 << seed);
                World world({.seed = seed, .nodes = 4});
                for (std::uint32_t i = 0; i < world.size(); ++i) world.node(i).older = older;
                const JobPlan plan = endless(aggregation);
                const std::uint64_t job = world.start_job(plan);
                REQUIRE(world.run(calm, 20'000, [&] { return all_go_on(world, {5, 5, 5, 5}); }));
                world.forget_everything();
                REQUIRE(world.start_job(plan) == job);  // with the same number
                // Each begins anew, and is heard only then.
                std::vector<bool> fresh(world.size(), false);
                REQUIRE(world.run(calm, 20'000, [&] {
                    for (std::uint32_t i = 0; i < world.size(); ++i) {
                        if (world.node(i).session->updates() < 5) fresh[i] = true;
                        const MemberSession* said = world.coordinator().session(job, i);
                        if (said != nullptr && said->joined) REQUIRE(fresh[i]);
                    }
                    for (const auto& [index, update] : world.chronicle().updates) REQUIRE(fresh[update.member]);
                    return std::ranges::all_of(fresh, [](bool is) { return is; }) && all_go_on(world, {3, 3, 3, 3});
                }));
                if (aggregation == Aggregation::federated) continue;
                // The books close without what the other job's states held.
                REQUIRE(world.coordinator().stop(job, false));
                REQUIRE(world.run(calm, 30'000,
                                  [&] { return world.coordinator().state().job(job)->ended().has_value(); }));
                REQUIRE(world.chronicle().ledger.size() == 1);
                CHECK(world.chronicle().ledger.begin()->second.lost.nothing());
            }
        }
    }
}

TEST_CASE("an epoch that began elsewhere is no epoch of a store that was put back") {
    World world({.seed = 7, .nodes = 4});
    const std::uint64_t job = world.start_job(endless(Aggregation::push_sum));
    REQUIRE(world.run(calm, 20'000, [&] { return all_go_on(world, {3, 3, 3, 3}); }));
    REQUIRE(world.coordinator().came_from_a_copy());
    // Whoever is in the epoch goes on with it, and nothing is lost.
    world.restart_coordinator(false);
    REQUIRE(world.run(calm, 20'000, [&, before = done(world)] { return all_go_on(world, before); }));
    world.leave(2);
    REQUIRE(world.run(calm, 30'000, [&] { return world.coordinator().state().job(job)->epoch() != 1; }));
    CHECK(world.coordinator().state().job(job)->epoch() > 1000);
    CHECK(world.coordinator().state().job(job)->epoch_before() == 1);
    for (const auto& [index, entry] : world.chronicle().ledger) CHECK(entry.lost.nothing());
    world.restart_coordinator(true);  // from the log, and all nodes in step
    REQUIRE(world.run(calm, 20'000, [&] {
        const MemberSession* said = world.coordinator().session(job, 0);
        return said != nullptr && said->joined && said->epoch == world.coordinator().state().job(job)->epoch();
    }));
}

// SPDX-License-Identifier: Apache-2.0
#include "push_sum_world.hpp"

using namespace dunlin;
using namespace dunlin::testing;

TEST_CASE("a job can be stopped while its members are busy with another one, or while it is paused") {
    World world({.seed = 1, .nodes = 4});
    const JobPlan plan = toy_plan(4, Aggregation::push_sum);
    const std::uint64_t first = world.start_job(plan, "first"), second = world.start_job(plan, "second");
    REQUIRE(world.coordinator().pause(first, true));
    world.run(calm, 2000, [] { return false; });
    const auto over = [&](std::uint64_t job) { return world.coordinator().state().job(job)->ended().has_value(); };
    REQUIRE(world.coordinator().stop(second, false));
    REQUIRE(world.run(calm, 20'000, [&] { return over(second); }));
    CHECK_FALSE(over(first));
    REQUIRE(world.coordinator().stop(first, false));
    REQUIRE(world.run(calm, 20'000, [&] { return over(first); }));
    REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
}

TEST_CASE("whoever is away while a job is paused is not removed for it") {
    World world({.seed = 1, .nodes = 5});
    JobPlan plan = toy_plan(5, Aggregation::push_sum);
    plan.removal_ms = 10'000;
    const std::uint64_t job = world.start_job(plan);
    REQUIRE(begun(world));
    const auto pass = [&](std::int64_t ms) { world.run(calm, ms, [] { return false; }); };
    const auto gone = [&] {
        return std::ranges::any_of(job_of(world).members(),
                                   [](const JobMember& at) { return at.state == MemberState::gone; });
    };
    SECTION("for longer than a member may be away, although another leaves") {
        REQUIRE(world.coordinator().pause(job, true));
        world.switch_off(3);
        pass(30'000);
        world.leave(0);
        pass(30'000);
        CHECK_FALSE(gone());
        REQUIRE(world.coordinator().pause(job, false));
        REQUIRE(world.run(calm, 60'000, [&] { return gone(); }));
    }
    SECTION("and what it was away before counts no more") {
        world.switch_off(3);
        pass(8000);
        REQUIRE(world.coordinator().pause(job, true));
        world.switch_on(3);
        pass(60'000);
        world.switch_off(3);
        pass(5000);
        REQUIRE(world.coordinator().stop(job, false));
        pass(3000);
        CHECK_FALSE(gone());
        world.switch_on(3);
        REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
        check_balanced(world);
    }
}

TEST_CASE("a paused job can be stopped although a member never began") {
    World world({.seed = 1, .nodes = 4});
    const std::uint64_t job = world.start_job(toy_plan(4, Aggregation::push_sum));
    world.node(1).full = true;
    REQUIRE(world.run(calm, 5000, [&] { return job_of(world).members()[1].state == MemberState::offered; }));
    world.run(calm, 1000, [] { return false; });
    REQUIRE(world.coordinator().pause(job, true));
    REQUIRE(world.coordinator().stop(job, false));
    REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
}

// SPDX-License-Identifier: Apache-2.0
// Members that hang, come and go while a job runs.
#include "world.hpp"

#include <set>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
const WorldFaults storm{.cut = 0.002f, .node_crash = 0.002f, .power = 0.004f, .busy = 0.02f};

const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}

JobPlan plan_of(Aggregation aggregation, bool rounds, std::uint32_t members) {
    JobPlan plan = toy_plan(members, aggregation);
    if (rounds) plan.server.rule = FedAvgRule{1.0f};
    plan.budget = {};
    return plan;
}

}  // namespace

TEST_CASE("a member that hangs costs one long wait, and the rounds after it a short one") {
    World world({.seed = 5, .nodes = 4});
    const JobPlan plan = plan_of(Aggregation::federated, true, 4);
    REQUIRE(plan.server.patience_ms == 0);
    world.start_job(plan);
    world.node(2).loses = body_index<ModelUpdate>;  // it talks, and never delivers
    REQUIRE(world.run(calm, 70'000, [&] { return job_of(world).version() >= 1; }));
    CHECK(world.run(calm, 25'000, [&] { return job_of(world).version() >= 11; }));
    // It delivers again, and is waited for.
    world.node(2).loses = std::variant_npos;
    CHECK(world.run(calm, 20'000, [&] { return job_of(world).members()[2].updates >= 3; }));
    // What hangs that was quick is waited for shortly from the first.
    world.node(1).loses = body_index<ModelUpdate>;
    const std::uint64_t before = job_of(world).version();
    CHECK(world.run(calm, 25'000, [&] { return job_of(world).version() >= before + 10; }));
}

TEST_CASE("a job's own patience is kept to") {
    World world({.seed = 6, .nodes = 3});
    JobPlan plan = plan_of(Aggregation::federated, true, 3);
    plan.server.patience_ms = 700;
    world.start_job(plan);
    world.node(2).loses = body_index<ModelUpdate>;
    CHECK(!world.run(calm, 6'500, [&] { return job_of(world).version() >= 10; }));
    CHECK(world.run(calm, 15'000, [&] { return job_of(world).version() >= 10; }));
}

TEST_CASE("a round does not wait for a member that is taken out of the job") {
    World world({.seed = 7, .nodes = 3});
    JobPlan plan = plan_of(Aggregation::federated, true, 3);
    plan.server.patience_ms = 1'000'000;
    const std::uint64_t job = world.start_job(plan);
    world.node(2).loses = body_index<ModelUpdate>;
    REQUIRE(world.run(calm, 20'000, [&] {
        return job_of(world).members()[0].updates + job_of(world).members()[1].updates == 2 &&
               job_of(world).awaited(2);
    }));
    REQUIRE(world.coordinator().remove_member(job, 2));
    CHECK(world.run(calm, 20'000, [&] { return job_of(world).version() >= 5; }));
}

TEST_CASE("nodes are added to a job that runs, removed, and added again, in any storm [invariants 1, 7 and 8]") {
    enum class How { at_once, by_rounds, without_server };
    for (const How how : {How::at_once, How::by_rounds, How::without_server}) {
        for (std::uint64_t seed = 1; seed <= 6; ++seed) {
            INFO("how " << static_cast<int>(how) << ", seed " << seed);
            World world({.seed = seed, .nodes = 4});
            const bool serverless = how == How::without_server;
            JobPlan plan =
                plan_of(serverless ? Aggregation::push_sum : Aggregation::federated, how == How::by_rounds, 3);
            plan.server.patience_ms = 500;
            const std::uint64_t job = world.start_job(plan, "test", 3);
            const auto works = [&] {
                const Job& now = job_of(world);
                if (now.members().size() < 4 || now.members()[3].state != MemberState::active) return false;
                return serverless
                           ? now.members()[3].state == MemberState::active && world.node(3).session->updates() >= 3
                           : now.members()[3].updates >= 3;
            };
            const auto add = [&] {
                REQUIRE(world.run(storm, 20'000, [&] {
                    const auto added =
                        world.coordinator().add_member(job, {.node = 3, .samples = 1, .experiment = "x"});
                    const bool is_in = !added && added.error().code == Code::bad_participants;
                    return added.has_value() || is_in;
                }));
            };
            world.run(storm, 1500, [] { return false; });
            add();
            CHECK(world.coordinator().add_member(job, {.node = 3}).error().code == Code::bad_participants);
            world.run(storm, 1500, [] { return false; });
            REQUIRE(world.run(calm, 30'000, works));
            CHECK(job_of(world).plan().experiment == "x");
            CHECK(job_of(world).plan().members() == 4);

            // Without a server it hands its mass on.
            const auto out = [&] { return !job_of(world).members()[3].in(); };
            REQUIRE(world.run(storm, 20'000,
                              [&] { return world.coordinator().remove_member(job, 3, false).has_value(); }));
            REQUIRE(world.run(storm, 30'000, out));
            REQUIRE(world.run(calm, 30'000, [&] { return world.node(3).session->job() == 0; }));
            const std::uint64_t before = job_of(world).members()[3].updates;
            add();
            CHECK(job_of(world).members().size() == 4);
            REQUIRE(
                world.run(calm, 30'000, [&] { return works() && job_of(world).members()[3].updates >= before; }));
            if (!serverless)
                REQUIRE(world.run(calm, 30'000, [&] { return job_of(world).members()[3].updates > before + 2; }));

            REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().stop(job, false).has_value(); }));
            REQUIRE(world.run(calm, 30'000, [&] { return job_of(world).ended().has_value(); }));
            REQUIRE(world.run(calm, 30'000, [&] { return world.all_idle(); }));
            std::set<std::array<std::uint64_t, 3>> taken;
            for (const auto& [index, update] : world.chronicle().updates)
                REQUIRE(taken.insert({update.member, update.incarnation, update.sequence}).second);
            for (const auto& [index, entry] : world.chronicle().ledger) {
                INFO("epoch " << entry.epoch);
                CHECK(entry.lost.nothing());
                CHECK(entry.gone.empty());
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
#include "transport/encoding.hpp"
#include "world.hpp"

#include <algorithm>
#include <set>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
const WorldFaults storm{
    .cut = 0.002f, .node_crash = 0.002f, .amnesia = 0.0005f, .power = 0.01f, .file_failure = 0.003f, .busy = 0.02f};

JobPlan plan_with(AnyServerRule rule, std::uint32_t members, JobBudget budget) {
    JobPlan plan = toy_plan(members, Aggregation::federated);
    if (std::holds_alternative<FedAsyncRule>(rule)) plan.terms.payload = Payload::model;
    if (std::holds_alternative<ScaffoldRule>(rule)) plan.terms.payload = Payload::corrected;
    plan.server.rule = rule;
    plan.server.patience_ms = 500;
    plan.budget = budget;
    return plan;
}

/// Every update at most once; all that were acknowledged are in; and a server that is fed them one after the other
/// has the same model, bit for bit.
void check_books(World& world, const JobPlan& plan, std::uint64_t number) {
    std::set<std::array<std::uint64_t, 4>> taken;
    for (const auto& [index, update] : world.chronicle().updates)
        REQUIRE(taken.insert({update.job, update.member, update.incarnation, update.sequence}).second);
    for (const auto& said : world.acknowledged) REQUIRE(taken.contains(said));
    const Job& job = *world.coordinator().state().job(number);
    CHECK(job.updates() == taken.size());
    auto replay = *ModelServer::make(plan.server, plan.terms.seed, plan.members(), plan.first);
    if (replay->rounds()) return;  // when rounds began is not in the chronicle
    std::vector<float> scratch;
    for (const auto& [index, update] : world.chronicle().updates) {
        const auto numbers = job.decode_update(
            {static_cast<Encoding>(update.encoding), plan.terms.dimension, update.bytes}, scratch);
        REQUIRE(numbers);
        REQUIRE(replay
                    ->receive({update.member, update.incarnation, update.sequence, update.base_version,
                               update.samples, *numbers})
                    .outcome != Reception::refused);
    }
    CHECK(std::ranges::equal(replay->model(), job.model()));
    CHECK(replay->version() == job.version());
}

void live(const JobPlan& plan, std::uint64_t seed) {
    INFO("seed " << seed);
    World world({.seed = seed, .nodes = plan.members()});
    const std::uint64_t job = world.start_job(plan);
    // Every third fleet talks while it works.
    WorldFaults faults = storm;
    if (seed % 3 == 0) faults.longest_work_ms = 40;
    world.run(faults, 4000, [&] { return world.coordinator().state().job(job)->ended().has_value(); });
    REQUIRE(world.run(calm, 60'000, [&] { return world.coordinator().state().job(job)->ended().has_value(); }));
    CHECK(world.coordinator().state().job(job)->ended() == JobEndReason::finished);
    CHECK(world.start_job(plan) == job);  // the token is known
    REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    check_books(world, plan, job);
}

}  // namespace

TEST_CASE("asynchronous updates are applied once, durably, in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed)
        live(plan_with(PersaflRule{.server_rate = 0.3f}, 4, {.updates = 300}), seed);
}

TEST_CASE("models sent whole are applied once, durably, in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) live(plan_with(FedAsyncRule{}, 3, {.updates = 200}), seed);
}

TEST_CASE("buffered updates are applied once, durably, in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
        live(plan_with(FedBuffRule{.buffer_size = 3}, 5, {.rounds = 60}), seed);
}

TEST_CASE("what a defence gathers is kept and summed up alike in any storm [invariants 7 and 8]") {
    const auto defended = [](AnyServerRule rule, JobBudget budget) {
        JobPlan plan = plan_with(rule, 4, budget);
        plan.server.defence = {.sum = RobustSum::centred_clipping, .momentum = 0.5f};
        return plan;
    };
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        live(defended(FedBuffRule{.server_rate = 0.5f, .buffer_size = 4}, {.updates = 200}), seed);
        live(defended(FedAvgRule{}, {.rounds = 30}), seed);
    }
}

TEST_CASE("rounds come to their end in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) live(plan_with(FedAvgRule{}, 4, {.rounds = 40}), seed);
}

TEST_CASE("rounds whose steps are corrected come to their end in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
        live(plan_with(ScaffoldRule{{1.0f}, 3 * 0.2f}, 4, {.rounds = 40}), seed);
}

TEST_CASE("a node that could not read a job's terms is not offered it, and the job says why [old nodes]") {
    for (const bool corrected : {false, true}) {
        World world({.seed = 1, .nodes = 2});
        world.node(1).old = true;
        JobPlan plan = corrected ? plan_with(ScaffoldRule{{1.0f}, 3 * 0.2f}, 2, {.rounds = 10})
                                 : plan_with(FedAvgRule{}, 2, {.rounds = 10});
        const std::uint64_t job = world.start_job(plan);
        REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().state().job(job)->ended().has_value(); }));
        const auto& members = world.coordinator().state().job(job)->members();
        CHECK(members[0].updates == 10);
        CHECK(members[1].updates == (corrected ? 0 : 10));
        CHECK((members[1].state == MemberState::declined) == corrected);
        if (corrected)
            CHECK_THAT(members[1].reason, Catch::Contains("version 1 of the wire") && Catch::Contains("3"));
    }
}

TEST_CASE(
    "a policy that is handed out is adapted to and reported on once, whoever is away, and nodes are free again") {
    World world({.seed = 1, .nodes = 3});
    world.switch_off(2);
    const JobPlan plan = plan_with(PersaflRule{.server_rate = 0.3f}, 3, {.updates = 30});
    const auto pushed = world.coordinator().create_job(plan, {.token = {}, .push = true, .nodes = {0, 1, 2}});
    REQUIRE(pushed);
    const auto members = [&] { return world.coordinator().state().job(*pushed)->members(); };
    REQUIRE(world.run(calm, 20'000, [&] { return members()[0].reported && members()[1].reported; }));
    const std::uint64_t next = world.start_job(plan, "next");
    REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().state().job(next)->ended().has_value(); }));
    REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
    world.run(calm, 10'000, [] { return false; });
    CHECK(world.node(0).finals == 2);
    CHECK(world.node(1).finals == 2);
    world.switch_on(2);
    REQUIRE(world.run(calm, 20'000, [&] { return world.coordinator().state().job(*pushed)->ended().has_value(); }));
    CHECK(members()[2].reported);
}

TEST_CASE("small updates of one node are made durable together, more of them than large ones") {
    World world({.seed = 1, .nodes = 1});
    const JobPlan plan = plan_with(PersaflRule{.server_rate = 0.3f}, 1, {.updates = 100'000});
    const std::uint64_t number = world.start_job(plan);
    const auto job = [&]() -> const Job& { return *world.coordinator().state().job(number); };
    REQUIRE(world.run(calm, 5000, [&] { return job().updates() > 0; }));
    const std::uint64_t before = job().updates(), sequence = job().members()[0].sequence;
    const std::vector<float> step(plan.first.size(), 0.1f);
    for (std::uint64_t k = 1; k <= 20; ++k) {
        const Envelope envelope{number, 0, job().members()[0].incarnation, sequence + 10 + k};
        world.coordinator().receive(world.node(0).key,
                                    {envelope, ModelUpdate{0, job().version(), 1.0f, view_values(step)}},
                                    world.now_ms());
    }
    const std::uint64_t commits = world.coordinator().counters().commits;
    REQUIRE(world.run(calm, 1000, [&] { return world.coordinator().counters().commits > commits; }));
    CHECK(job().updates() >= before + 20);
}

TEST_CASE("a node whose final reports all were lost is free for the next job, and handed the policy out again") {
    World world({.seed = 1, .nodes = 1});
    world.node(0).loses = Message{{}, Report{}}.body.index();
    const JobPlan plan = plan_with(PersaflRule{.server_rate = 0.3f}, 1, {.updates = 30});
    const auto pushed = world.coordinator().create_job(plan, {.token = {}, .push = true, .nodes = {0}});
    REQUIRE(pushed);
    REQUIRE(world.run(calm, 20'000, [&] { return world.node(0).finals == 1; }));
    REQUIRE(world.run(calm, 200'000, [&] { return world.node(0).session->job() == 0; }));
    world.node(0).loses = std::variant_npos;
    const std::uint64_t next = world.start_job(plan, "next");
    const auto over = [&](std::uint64_t job) { return world.coordinator().state().job(job)->ended().has_value(); };
    REQUIRE(world.run(calm, 60'000, [&] { return over(*pushed) && over(next); }));
    CHECK(world.coordinator().state().job(*pushed)->members()[0].reported);
}

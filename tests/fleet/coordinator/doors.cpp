// SPDX-License-Identifier: Apache-2.0
// An admitted member that lies, to a coordinator and to honest sessions: it cannot end a job early, stop it, freeze it
// or make others fall out, and what it invents is in the books.
#include "transport/encoding.hpp"
#include "world.hpp"

#include <limits>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
constexpr std::uint32_t liar = 0;

const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}
bool ended(World& world) {
    return job_of(world).ended().has_value();
}

struct Scene {
    World world;

    explicit Scene(Aggregation aggregation, std::uint64_t rounds = 0, std::uint64_t seed = 2)
        : world([seed] {
              WorldSettings settings{.seed = seed, .nodes = 4};
              settings.coordinator.closing_ms = 2000;
              return settings;
          }()) {
        JobPlan plan = toy_plan(4, aggregation);
        plan.regroup_ms = 500;
        plan.budget.rounds = rounds;
        if (aggregation == Aggregation::federated) plan.server.rule = FedAvgRule{};
        world.start_job(plan);
    }
    bool begun() {
        return world.run(calm, 5000, [&] {
            for (std::uint32_t i = 0; i < world.size(); ++i) {
                if (world.node(i).session->tick() < 3 || job_of(world).members()[i].state != MemberState::active)
                    return false;
            }
            return true;
        });
    }
    void lies(const MessageBody& body) {
        const Job& job = job_of(world);
        world.coordinator().receive(world.node(liar).key, {{job.number(), 0, 1, 0, job.nonce()}, body},
                                    world.now_ms());
    }
    /// To all its out-neighbours: what it said last, from this tick, and so much more.
    void shares(std::int64_t tick, Mass more_weight, Mass more_value) {
        const ParsPush<>* machine = world.node(liar).session->push_sum();
        const Share<Mass> said = machine->share();
        std::vector<Mass> values(said.values.begin(), said.values.end());
        for (Mass& value : values) value = add_wrapped(value, more_value);
        for (const std::uint32_t to : job_of(world).book()->graph().out(liar))
            lies(
                ShareMessage{job_of(world).epoch(), liar, to, tick, add_wrapped(said.weight, more_weight), values});
    }
    Mass one() {
        Mass mass = 0;
        job_of(world).plan().terms.format.to_mass(1.0f, mass);
        return mass;
    }
    bool stop(std::int64_t within_ms) {
        REQUIRE(world.coordinator().stop(job_of(world).number(), false));
        return world.run(calm, within_ms, [&] { return ended(world); });
    }
    /// All that the honest ones aim at lies in [1, 3], the liar's own at 0.
    void check_learned() {
        const ConstVector<float> model = job_of(world).model();
        for (std::size_t k = 0; k < model.size(); k += 2) CHECK(std::abs(model[k]) < 3.5f);
    }
};

}  // namespace

TEST_CASE("a member that jumps the tick neither ends a job early nor freezes it, nor can it count over") {
    constexpr std::int64_t jumps[] = {100'000, std::int64_t{1} << 45, std::numeric_limits<std::int64_t>::max()};
    for (const std::int64_t jump : jumps) {
        INFO("to " << jump);
        Scene scene(Aggregation::push_sum, 500);  // rounds of 10 ms
        REQUIRE(scene.begun());
        const std::int64_t begun_ms = scene.world.now_ms();
        scene.lies(Heartbeat{jump});
        scene.shares(jump, 0, 0);
        scene.world.run(calm, 2000, [] { return false; });
        for (std::uint32_t i = 1; i < scene.world.size(); ++i) {
            // At twice the pace at most, and some.
            CHECK(scene.world.node(i).session->tick() < 2 * 250 + 2 * NodeSession::lead_ticks);
            CHECK(scene.world.node(i).session->tick() > 100);
        }
        CHECK_FALSE(ended(scene.world));
        REQUIRE(scene.world.run(calm, 20'000, [&] { return ended(scene.world); }));
        CHECK(scene.world.now_ms() - begun_ms > 3000);
        CHECK(job_of(scene.world).ended() == JobEndReason::finished);
        for (std::uint32_t i = 1; i < scene.world.size(); ++i)
            CHECK(job_of(scene.world).members()[i].state == MemberState::active);
        scene.check_learned();
    }
}

TEST_CASE("a member that says no tick does not make a job last for ever") {
    Scene scene(Aggregation::push_sum, 200);
    REQUIRE(scene.begun());
    for (int k = 0; k < 100 && !ended(scene.world); ++k) {
        scene.world.run(calm, 100, [&] { return ended(scene.world); });
        scene.lies(Heartbeat{-1});
    }
    CHECK(job_of(scene.world).ended() == JobEndReason::finished);
}

TEST_CASE(
    "nobody can hold up the end of a job: not who never freezes, nor states, nor says a tick that none heard") {
    for (const std::size_t never : {body_index<Frozen>, body_index<MassReport>, body_index<ShareMessage>}) {
        INFO("kind " << never);
        Scene scene(Aggregation::push_sum);
        REQUIRE(scene.begun());
        scene.world.node(liar).loses = never;
        if (never == body_index<ShareMessage>) {
            scene.world.run(calm, 200, [] { return false; });
            scene.world.node(liar).loses = body_index<Frozen>;
            REQUIRE(scene.world.coordinator().stop(job_of(scene.world).number(), false));
            std::vector<std::int64_t> heard(job_of(scene.world).book()->graph().in(liar).size(), 1);
            scene.lies(Frozen{1, std::numeric_limits<std::int64_t>::max(), heard});
            CHECK(scene.world.run(calm, 6000, [&] { return ended(scene.world); }));
        } else {
            CHECK(scene.stop(6000));
        }
        CHECK(job_of(scene.world).ended() == JobEndReason::stopped);
        for (std::uint32_t i = 1; i < scene.world.size(); ++i)
            CHECK(job_of(scene.world).members()[i].state == MemberState::active);
        scene.check_learned();
        REQUIRE(scene.world.run(calm, 20'000, [&] { return scene.world.all_idle(); }));
    }
}

TEST_CASE("what an honest fleet took to end is the same: nobody is out of patience early") {
    Scene scene(Aggregation::push_sum);
    REQUIRE(scene.begun());
    CHECK(scene.stop(1000));
    CHECK(job_of(scene.world).unbalanced() == 0);
    CHECK(warnings_of(job_of(scene.world)).empty());
}

TEST_CASE("numbers that would overflow a receiver are refused as their sender's, and the receiver goes on") {
    Scene scene(Aggregation::push_sum);
    REQUIRE(scene.begun());
    for (int k = 1; k <= 40; ++k) {
        const std::int64_t tick = scene.world.node(liar).session->tick() + 1;
        scene.shares(tick, 0, static_cast<Mass>(k) << 61);
        scene.world.run(calm, 20, [] { return false; });
    }
    for (std::uint32_t i = 1; i < scene.world.size(); ++i) {
        CHECK(job_of(scene.world).members()[i].state == MemberState::active);
        CHECK(scene.world.node(i).session->tick() > 40);
    }
    CHECK(scene.stop(10'000));
}

TEST_CASE(
    "weight that a member invents is in the books, which say so until the end and after a crash [invariant 1]") {
    for (const bool in_statement : {false, true}) {
        INFO("in its statement: " << in_statement);
        Scene scene(Aggregation::push_sum);
        REQUIRE(scene.begun());
        REQUIRE(job_of(scene.world).unbalanced() == 0);
        if (!in_statement) scene.shares(scene.world.node(liar).session->tick() + 1, scene.one(), 600 * scene.one());
        scene.world.run(calm, 100, [] { return false; });
        REQUIRE(scene.world.coordinator().stop(job_of(scene.world).number(), false));
        if (in_statement) {
            const auto* said = scene.world.coordinator().session(job_of(scene.world).number(), liar);
            REQUIRE(scene.world.run(calm, 2000, [&] { return said->request_ms != MemberSession::never; }));
            const std::vector<Mass> values(6, 670 * scene.one()), steps(6, 0);
            scene.lies(MassReport{1, 3 * scene.one(), values, steps});
        }
        REQUIRE(scene.world.run(calm, 10'000, [&] { return ended(scene.world); }));
        for (int crash = 0; crash < 2; ++crash) {
            CHECK(job_of(scene.world).unbalanced() == 1);
            REQUIRE(warnings_of(job_of(scene.world)).size() == 1);
            CHECK(warnings_of(job_of(scene.world))[0].find("do not balance") != std::string::npos);
            // From the log, and then from a snapshot.
            if (crash == 0) REQUIRE(scene.world.coordinator().snapshot());
            scene.world.restart_coordinator(true);
        }
    }
}

TEST_CASE("a member has no more shares relayed than the ticks of its job ask for") {
    Scene scene(Aggregation::push_sum);
    REQUIRE(scene.begun());
    const std::uint64_t before = scene.world.coordinator().counters().relayed;
    for (int k = 0; k < 1000; ++k) scene.shares(0, 0, 0);  // which nobody takes any more
    CHECK(scene.world.coordinator().counters().relayed - before <= 16 + 8 * 2);
    scene.world.run(calm, 500, [] { return false; });
    CHECK(scene.stop(10'000));
    CHECK(job_of(scene.world).unbalanced() == 0);
}

TEST_CASE("a member that floods does not move the limit of norms, and honest updates are within it [invariant 9]") {
    World world({.seed = 2, .nodes = 5});
    JobPlan plan = toy_plan(5, Aggregation::federated);
    plan.server.rule = PersaflRule{0.1f};
    const std::uint64_t job = world.start_job(plan);
    REQUIRE(world.run(calm, 5000, [&] { return job_of(world).updates() > 100; }));
    CHECK(world.coordinator().counters().refused.empty());
    const double before = job_of(world).norms().limit();
    CHECK(before < 1e3);
    // Each as large as it may be: nodes count up from it.
    std::uint64_t sequence = 1000, taken = 0;
    for (int k = 0; k < 200; ++k) {
        const auto norm = static_cast<float>(0.99 * job_of(world).norms().limit());
        const std::vector<float> large{norm, 0, 0, 0, 0, 0};
        world.coordinator().receive(
            world.node(liar).key,
            {{job, 0, 1, ++sequence, job_of(world).nonce()}, ModelUpdate{liar, 0, 1, view_values(large)}},
            world.now_ms());
        REQUIRE(world.coordinator().commit(world.now_ms()));
        taken = job_of(world).members()[liar].updates;
    }
    CHECK(taken >= 200);
    CHECK(job_of(world).norms().limit() < 2 * before);
    const std::vector<float> huge(6, 1e5f);
    world.coordinator().receive(
        world.node(liar).key,
        {{job, 0, 1, ++sequence, job_of(world).nonce()}, ModelUpdate{liar, 0, 1, view_values(huge)}},
        world.now_ms());
    CHECK(world.coordinator().counters().refused.at(Code::update_too_large) == 1);
}

TEST_CASE("updates leave the log when their job is over, or after a while") {
    for (const bool over : {true, false}) {
        INFO("over " << over);
        WorldSettings settings{.seed = 2, .nodes = 3, .store = {.log_bytes = 64u << 20}};
        settings.coordinator.retention_ms = over ? 3'600'000 : 1000;
        World world(settings);
        JobPlan plan = toy_plan(3, Aggregation::federated);
        plan.server.rule = FedAvgRule{};
        const std::uint64_t job = world.start_job(plan);
        REQUIRE(world.run(calm, 5000, [&] { return job_of(world).updates() > 20; }));
        CHECK(world.coordinator().counters().snapshots == 0);
        if (over) REQUIRE(world.coordinator().stop(job, true));
        REQUIRE(world.run(calm, 2000, [&] { return world.coordinator().counters().snapshots > 0; }));
        const std::uint64_t updates = job_of(world).updates();
        world.chronicle().updates.clear();
        world.restart_coordinator(false);  // tells again all that is in the log
        CHECK(world.chronicle().updates.size() < (over ? 1 : updates));
        CHECK(job_of(world).updates() == updates);
    }
}

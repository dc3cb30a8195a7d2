// SPDX-License-Identifier: Apache-2.0
// Jobs whose updates are masked, and jobs whose sums are noisy.
#include "world.hpp"

#include <algorithm>
#include <set>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
const WorldFaults storm{.cut = 0.001f,
                        .node_crash = 0.001f,
                        .amnesia = 0.0003f,
                        .power = 0.002f,
                        .file_failure = 0.001f,
                        .busy = 0.02f};

JobPlan plain_plan(std::uint32_t members, std::uint64_t rounds) {
    JobPlan plan = toy_plan(members, Aggregation::federated);
    plan.server.rule = FedAvgRule{};
    plan.server.patience_ms = 400;
    plan.budget.rounds = rounds;
    return plan;
}

JobPlan masked_plan(std::uint32_t members, std::uint64_t rounds) {
    JobPlan plan = plain_plan(members, rounds);
    plan.terms.payload = Payload::masked;
    plan.server.masks.group = 10;
    plan.server.masks.terms.range = 16.0f;
    return plan;
}

WorldSettings settings_of(std::uint64_t seed, std::uint32_t nodes) {
    WorldSettings settings;
    settings.seed = seed;
    settings.nodes = nodes;
    settings.coordinator.masks_ms = 300;
    settings.coordinator.retry_ms = 200;
    return settings;
}

const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}
bool ended(World& world) {
    return job_of(world).ended().has_value();
}

}  // namespace

TEST_CASE("a masked job learns what one in clear learns, but for how numbers are rounded [invariant 12]") {
    std::vector<float> models[2];
    for (const bool masked : {false, true}) {
        World world(settings_of(3, 13));
        world.start_job(masked ? masked_plan(13, 25) : plain_plan(13, 25));
        REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        CHECK(job_of(world).updates() == 25 * 13);
        models[masked].assign(job_of(world).model().begin(), job_of(world).model().end());
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
        for (std::uint32_t i = 0; i < 13; ++i) CHECK(job_of(world).members()[i].reported);
        // Nobody's single update is in the log, and nobody's metrics are.
        CHECK(world.chronicle().updates.empty() == masked);
        CHECK((world.chronicle().metrics == 0) == masked);
        CHECK(world.chronicle().sums.size() == (masked ? 25 : 0));
    }
    for (std::size_t k = 0; k < models[0].size(); ++k)
        CHECK(static_cast<double>(models[1][k]) == Approx(static_cast<double>(models[0][k])).margin(1e-3));
}

TEST_CASE(
    "masked updates are in the model once, and acknowledged when their sum is durable, in any storm [invariants 7, "
    "8 and 12]") {
    std::uint64_t left_out = 0;
    for (std::uint64_t seed = 1; seed <= 15; ++seed) {
        INFO("seed " << seed);
        World world(settings_of(seed, 8));
        const std::uint64_t number = world.start_job(masked_plan(8, 12));
        WorldFaults faults = storm;
        if (seed % 3 == 0) faults.longest_work_ms = 40;
        world.run(faults, 6000, [&] { return ended(world); });
        REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
        CHECK(job_of(world).ended() == JobEndReason::finished);
        REQUIRE(world.run(calm, 20'000, [&] { return world.all_idle(); }));
        std::set<std::array<std::uint64_t, 4>> taken;
        for (const auto& [index, parts] : world.chronicle().sums) {
            CHECK(parts.size() >= least_summed);
            left_out += 8 - parts.size();
            for (const MaskedSum::Part& part : parts)
                REQUIRE(taken.insert({number, part.member, part.incarnation, part.sequence}).second);
        }
        for (const auto& said : world.acknowledged) REQUIRE(taken.contains(said));
        CHECK(job_of(world).updates() == taken.size());
        CHECK(world.chronicle().updates.empty());
    }
    CHECK(left_out > 0);
}

TEST_CASE("fewer than five members that are there open nothing: the job waits for them") {
    World world(settings_of(5, 6));
    world.start_job(masked_plan(6, 20));
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).version() == 3; }));
    world.switch_off(0);
    world.switch_off(1);
    world.run(calm, 3000, [] { return false; });
    const std::uint64_t before = job_of(world).version();
    world.run(calm, 6000, [] { return false; });
    CHECK(job_of(world).version() == before);
    CHECK_FALSE(ended(world));
    world.switch_on(0);
    world.switch_on(1);
    REQUIRE(world.run(calm, 40'000, [&] { return ended(world); }));
    CHECK(job_of(world).version() == 20);
}

TEST_CASE("members that go during a round are left out of its sum, and the others' is opened") {
    World world(settings_of(6, 9));
    world.start_job(masked_plan(9, 12));
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).version() == 2; }));
    world.switch_off(4);
    world.switch_off(7);
    REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
    CHECK(job_of(world).members()[0].updates == 12);
    CHECK(job_of(world).members()[4].updates < 4);
}

TEST_CASE("an update in clear has no place in a masked job, nor a masked one in another") {
    World world(settings_of(7, 5));
    const std::uint64_t number = world.start_job(masked_plan(5, 1000));
    REQUIRE(world.run(calm, 20'000, [&] { return job_of(world).version() == 1; }));
    const std::vector<float> step(6, 0.1f);
    const Envelope envelope{number, 0, job_of(world).members()[0].incarnation,
                            job_of(world).members()[0].sequence + 1, job_of(world).nonce()};
    const ModelUpdate clear{
        0, job_of(world).version(), 1.0f, {Encoding::float32, 6, std::as_bytes(std::span(step))}};
    const auto refused = [&] { return world.coordinator().counters().refused; };
    world.coordinator().receive(world.node(0).key, {envelope, clear}, world.now_ms());
    CHECK(refused().at(Code::message_unknown) == 1);

    World other(settings_of(8, 5));
    const std::uint64_t plain = other.start_job(plain_plan(5, 1000));
    REQUIRE(other.run(calm, 20'000, [&] { return job_of(other).version() == 1; }));
    Envelope named = envelope;
    named.job = plain;
    named.nonce = job_of(other).nonce();
    named.incarnation = job_of(other).members()[0].incarnation;
    named.sequence = job_of(other).members()[0].sequence + 1;
    const MaskedUpdate masked{0, 1, job_of(other).version(), std::as_bytes(std::span(step))};
    other.coordinator().receive(other.node(0).key, {named, masked}, other.now_ms());
    CHECK(other.coordinator().counters().refused.at(Code::message_unknown) == 1);
}

TEST_CASE("a node that cannot mask is not offered a masked job, and it is said why [old nodes]") {
    World world(settings_of(9, 6));
    world.node(5).old = true;
    world.start_job(masked_plan(6, 3));
    REQUIRE(world.run(calm, 20'000, [&] { return ended(world); }));
    CHECK(job_of(world).members()[0].updates == 3);
    CHECK(job_of(world).members()[5].state == MemberState::declined);
    CHECK_THAT(job_of(world).members()[5].reason, Catch::Contains("takes version 4"));
}

TEST_CASE(
    "noise on a coordinator's sums is found again when its log is replayed, in any storm [invariants 7 and 8]") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        World world(settings_of(seed, 5));
        JobPlan plan = plain_plan(5, 15);
        plan.server.privacy.clip = 1.0f;
        plan.server.privacy.noise = 0.5f;
        plan.server.privacy.expected = 5.0f;
        plan.server.norm_factor = 0.0f;
        world.start_job(plan);
        // That a restart gives the model that there was is what World checks.
        world.run(storm, 4000, [&] { return ended(world); });
        if (!ended(world)) world.restart_coordinator(false);
        REQUIRE(world.run(calm, 60'000, [&] { return ended(world); }));
        CHECK(job_of(world).version() == 15);
        // Of 15 sums of noise of deviation 0.5 / 5, two fleets never end alike.
        static std::set<float> ends;
        CHECK(ends.insert(job_of(world).model()[0]).second);
    }
}

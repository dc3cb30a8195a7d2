// SPDX-License-Identifier: Apache-2.0
// Roll-outs: staged, watched, taken back, and cut short at any moment.
#include "world.hpp"

#include <set>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

const WorldFaults calm;
/// Everybody crashes every second or so, which leaves room to get somewhere in between.
const WorldFaults storm{.cut = 0.001f,
                        .node_crash = 0.001f,
                        .amnesia = 0.0003f,
                        .power = 0.002f,
                        .file_failure = 0.002f,
                        .busy = 0.02f};

constexpr float old_number = 0.25f, new_number = 0.75f;

/// A fleet whose nodes measure 0.5 of any model but of the new one.
struct Stage {
    explicit Stage(std::uint64_t seed, std::uint32_t nodes, double new_score)
        : world({.seed = seed,
                 .nodes = nodes,
                 .coordinator = {.return_ms = 150, .silence_ms = 5000, .offer_retry_ms = 500},
                 .score = [this, new_score](std::uint32_t node, ConstVector<float> model) {
                     if (model[0] == new_number) tried.insert(node);
                     has[node] = model[0];
                     return model[0] == new_number ? new_score : 0.5;
                 }}) {
        for (const float number : {old_number, new_number}) {
            while (!world.coordinator().keep_model(
                {.name = {}, .origin = "test", .experiment = "e", .numbers = std::vector<float>(6, number)})) {
                world.restart_coordinator(true);
            }
        }
    }

    static JobPlan plan_of(std::uint32_t nodes, float number) {
        JobPlan plan = toy_plan(nodes, Aggregation::federated);
        plan.first.assign(plan.terms.dimension, number);
        return plan;
    }

    std::uint64_t start(std::uint32_t canary, std::uint32_t batch, double worse_than = 0.05) {
        const std::uint32_t nodes = world.size();
        RolloutPlan plan;
        plan.model = 2;
        plan.before = 1;
        for (std::uint32_t i = 0; i < nodes; ++i) plan.nodes.push_back(i);
        plan.canary = canary;
        plan.batch = batch;
        plan.watch = "score";
        plan.baseline.assign(nodes, 0.5);
        plan.worse_than = worse_than;
        plan.patience_s = 30;
        const JobPlan back = plan_of(nodes, old_number);
        for (;;) {
            if (auto number = world.coordinator().start_rollout(plan, plan_of(nodes, new_number), &back))
                return *number;
            world.restart_coordinator(true);
        }
    }
    const StagedRollout& rollout() { return *world.coordinator().state().rollouts().find(1); }
    const Job& forward() { return *world.coordinator().state().job(rollout().forward_job()); }
    bool over() {
        return StagedRollouts::over(rollout(), world.coordinator().state().jobs()) &&
               !world.coordinator().staging(1).next;
    }
    /// Devices that have this version, by their own word, last.
    std::uint32_t holders(std::uint32_t version) {
        std::uint32_t count = 0;
        for (std::uint32_t i = 0; i < world.size(); ++i)
            count += world.coordinator().state().rollouts().held(i).model == version;
        return count;
    }

    std::map<std::uint32_t, float> has;  ///< what a node made its own last
    std::set<std::uint32_t> tried;       ///< who ever measured the new version
    World world;
};

/// One life: faults for a while, then calm; every node ends in the stated state of the roll-out, and nobody between.
/// Answers how often the coordinator crashed meanwhile.
std::uint64_t live(std::uint64_t seed, std::uint32_t nodes) {
    INFO("seed " << seed);
    const bool bad = seed % 3 == 0;
    Stage stage(seed, nodes, bad ? 0.3 : 0.6);
    stage.start(1 + seed % 2, 1 + seed % 4);
    if (seed % 5 == 0) stage.world.switch_off(0);
    WorldFaults faults = storm;
    if (seed % 2 == 0) faults.longest_work_ms = 60;
    faults.longest_delay_ms = 60;
    stage.world.run(faults, 6000, [&] { return stage.over(); });
    const std::uint64_t crashes = stage.world.coordinator_crashes;
    const bool away = seed % 5 == 0;
    // Who is away is pending, and keeps nobody else waiting.
    REQUIRE(stage.world.run(calm, 120'000,
                            [&] { return away && !bad ? stage.holders(2) == nodes - 1 : stage.over(); }));
    if (away) {
        if (!bad) CHECK_FALSE(stage.over());
        stage.world.switch_on(0);
    }
    REQUIRE(stage.world.run(calm, 120'000, [&] { return stage.over() && stage.world.all_idle(); }));
    const StagedRollout& rollout = stage.rollout();
    CHECK(rollout.phase() == (bad ? StagedRollout::Phase::back : StagedRollout::Phase::running));
    if (!bad) CHECK(stage.holders(2) == nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) {
        INFO("node " << i);
        if (!bad) {
            CHECK(stage.has.at(i) == new_number);
        } else if (stage.tried.contains(i)) {
            CHECK(stage.has.at(i) == old_number);
            CHECK(rollout.devices()[i].back.given());
        } else {
            CHECK(was_offered(stage.forward().members()[i]) == rollout.devices()[i].back.given());
        }
    }
    // A bad version met no more than its first wave, and those who took the place of one that had gone.
    if (bad) CHECK(rollout.wave() == 1);
    return crashes;
}

}  // namespace

TEST_CASE("a roll-out ends in one of two stated states, whoever crashes when [invariants 4, 7]") {
    std::uint64_t crashes = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed)
        crashes += live(seed, 3 + static_cast<std::uint32_t>(seed % 6));
    CHECK(crashes > 200);
}

TEST_CASE("200 roll-outs over fifty nodes end in one of two stated states [invariants 4, 7]") {
    std::uint64_t crashes = 0;
    for (std::uint64_t seed = 1001; seed <= 1200; ++seed) crashes += live(seed, 50);
    CHECK(crashes > 200);
}

TEST_CASE("fifty nodes get a version in waves, each after the one before it") {
    Stage stage(7, 50, 0.6);
    stage.start(1, 5);
    std::uint32_t most_at_once = 0;
    REQUIRE(stage.world.run(storm, 90'000, [&] {
        std::uint32_t under_way = 0;
        const auto& devices = stage.rollout().devices();
        for (std::uint32_t i = 0; i < devices.size(); ++i) {
            under_way += devices[i].wave > 0 && !devices[i].forward.given();
            // The canary has spoken before anybody of a later wave is let have it.
            if (devices[i].wave > 1)
                CHECK(std::ranges::any_of(devices, [](const RolloutDevice& device) {
                    return device.wave == 1 && device.forward.given();
                }));
        }
        most_at_once = std::max(most_at_once, under_way);
        return stage.over();
    }));
    CHECK(stage.holders(2) == 50);
    CHECK(most_at_once >= 5);
    CHECK(stage.rollout().wave() >= 9);
}

TEST_CASE("a roll-out that is paused goes no further, and aborted it leaves everybody where they are") {
    Stage stage(3, 6, 0.6);
    stage.start(1, 1);
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.holders(2) == 2; }));
    REQUIRE(stage.world.coordinator().change_rollout(1, RecordKind::rollout_paused));
    stage.world.run(calm, 5000, [] { return false; });
    const std::uint32_t had = stage.holders(2);
    CHECK(had <= 3);
    stage.world.restart_coordinator(true);
    stage.world.run(calm, 5000, [] { return false; });
    CHECK(stage.holders(2) == had);
    REQUIRE(stage.world.coordinator().change_rollout(1, RecordKind::rollout_resumed));
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.holders(2) == 5; }));
    REQUIRE(stage.world.coordinator().change_rollout(1, RecordKind::rollout_aborted));
    stage.world.run(calm, 5000, [] { return false; });
    CHECK(stage.over());
    CHECK(stage.rollout().phase() == StagedRollout::Phase::aborted);
    CHECK(stage.holders(2) >= 5);
    CHECK(stage.holders(1) == 0);
}

TEST_CASE("the operator takes a finished roll-out back, and every device has the old version") {
    Stage stage(4, 4, 0.6);
    stage.start(1, 4);
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.over(); }));
    REQUIRE(stage.holders(2) == 4);
    stage.world.switch_off(2);
    REQUIRE(stage.world.coordinator().roll_back(1, "asked for"));
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.holders(1) == 3; }));
    CHECK_FALSE(stage.over());
    stage.world.restart_coordinator(true);
    stage.world.switch_on(2);
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.over(); }));
    CHECK(stage.holders(1) == 4);
    CHECK(stage.rollout().reason() == "asked for");
}

TEST_CASE("a metric that is no number, or that nobody reports, stops a roll-out") {
    Stage none(5, 3, std::numeric_limits<double>::quiet_NaN());
    none.start(1, 1);
    REQUIRE(none.world.run(calm, 20'000, [&] { return none.over(); }));
    CHECK(none.rollout().phase() == StagedRollout::Phase::back);
    CHECK(none.tried.size() == 1);
}

TEST_CASE("roll-outs and versions are the same after a snapshot [invariant 8]") {
    Stage stage(6, 4, 0.6);
    stage.start(1, 1);
    REQUIRE(stage.world.run(calm, 20'000, [&] { return stage.holders(2) == 2; }));
    const auto before = stage.world.coordinator().state().save();
    CHECK(stage.world.coordinator().state().store_version() == 4);
    REQUIRE(stage.world.coordinator().snapshot());
    stage.world.restart_coordinator(true);
    CHECK(stage.world.coordinator().state().save() == before);
}

TEST_CASE("a job that was deleted is gone for good, and its number is not given again") {
    Stage stage(8, 2, 0.6);
    JobPlan plan = toy_plan(2, Aggregation::federated);
    plan.budget.updates = 4;
    const std::uint64_t job = stage.world.start_job(plan);
    REQUIRE_FALSE(stage.world.coordinator().delete_job(job));
    REQUIRE(stage.world.run(calm, 20'000,
                            [&] { return stage.world.coordinator().state().job(job)->ended().has_value(); }));
    REQUIRE(stage.world.coordinator().archive_job(job, true));
    CHECK(stage.world.coordinator().state().archived(job));
    // While its nodes still say their last word of it.
    REQUIRE(stage.world.coordinator().delete_job(job));
    CHECK(stage.world.coordinator().state().job(job) == nullptr);
    const std::uint64_t next = stage.world.start_job(plan, "another");
    CHECK(next == job + 1);
    REQUIRE(stage.world.run(calm, 60'000, [&] {
        return stage.world.coordinator().state().job(next)->ended().has_value() && stage.world.all_idle();
    }));
}

TEST_CASE("who refused a version after it was offered, and is offered it again, counts as one that may have it") {
    JobRequest request{.token = {}, .push = true, .nodes = {0, 1}};
    Job job = Job::make(1, Stage::plan_of(2, new_number), request).value();
    const std::vector<std::byte> refusal = refusal_payload({Code::not_durable}, "");
    Saver saver;
    saver(AddedMember{.node = 0});
    const std::vector<std::byte> added = saver.take();
    REQUIRE(job.apply({.kind = RecordKind::member_offered, .node = 0, .job = 1}));
    REQUIRE(job.apply({.kind = RecordKind::member_declined, .node = 0, .job = 1, .payload = refusal}));
    CHECK(was_offered(job.members()[0]));
    REQUIRE(job.apply({.kind = RecordKind::member_added, .node = 0, .job = 1, .payload = added}));
    CHECK(job.members()[0].in());
    CHECK(was_offered(job.members()[0]));
    CHECK_FALSE(was_offered(job.members()[1]));
}

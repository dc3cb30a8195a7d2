// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/plan_job.hpp"
#include "real_fleet.hpp"

#include <array>
#include <utility>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("nodes learn to classify without a server, by every objective, and no mass is lost [invariants 1, 3]") {
    RealFleet fleet(4, make_node_task);
    fleet.set_turn_limit(1'000'000);  // every share is one
    Coordinator& coordinator = fleet.server().coordinator();
    std::uint64_t number = 0;
    // Not for a time, in which a busy machine takes few steps, but until all have taken enough. What one model knows
    // of four tastes swings from report to report, so their mean over the second half counts.
    std::array<double, 4> seen{};
    double sum = 0;
    int reports = 0;
    fleet.each_turn([&] {
        const Job* job = coordinator.state().job(number);
        if (job == nullptr || job->ended() || job->ending()) return;
        bool enough = true;
        for (std::size_t member = 0; member < 4; ++member) {
            const double updates = fleet.results()[member] < 0 ? 0 : fleet.metric(member, "updates");
            enough = enough && updates >= 300;
            if (updates < 150 || std::exchange(seen[member], updates) == updates) continue;
            sum += fleet.results()[member];
            ++reports;
        }
        if (enough) REQUIRE(coordinator.stop(number, false));
    });
    for (const char* method : {"pars-push", "pars-push-maml", "pars-push-me"}) {
        INFO(method);
        auto plan =
            plan_job("kind = \"classification\"\n[data]\nclients = 4\n[federated]\nlocal_rate = 0.02\nmethod = \"" +
                         std::string(method) +
                         "\"\n[push]\nlongest_gap = 1\n[fleet]\nreport_every = 15\ntick_ms = 12\naudit = true\n",
                     "test", 4);
        REQUIRE(plan);
        plan->budget = {};
        ++number;
        seen = {};
        sum = reports = 0;
        REQUIRE(fleet.run_planned(*plan) == number);
        CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
        REQUIRE(reports >= 20);
        CAPTURE(sum / reports);
        // Under sanitizers on a busy machine, where messages take longer than a tick, .73 was seen.
        CHECK(sum / reports > 0.6);
        REQUIRE_FALSE(fleet.ledger().empty());
        CHECK(fleet.ledger().back().lost.nothing());
        CHECK(fleet.ledger().back().after.values.size() == plan->terms.dimension);
    }
}

TEST_CASE(
    "half of the nodes vanish while they learn to classify, and the others go on learning what is theirs "
    "[invariants 1, 2 and 6]") {
    RealFleet fleet(4, make_node_task);
    fleet.set_turn_limit(1'000'000);
    fleet.set_report_limit(20);
    Coordinator& coordinator = fleet.server().coordinator();
    bool off = false;
    double accuracy = 0, before = 0;
    fleet.each_turn([&] {
        const Job& job = coordinator.state().jobs().begin()->second;
        if (job.ended() || job.ending()) return;
        const auto& results = fleet.results();
        accuracy = results[0] < 0 || results[3] < 0 ? 0 : std::min(results[0], results[3]);
        if (accuracy > 0.5 && !off) {
            before = accuracy;
            off = true;
            fleet.power_off(1);
            fleet.power_off(2);
        }
        // On a graph of their own, and for long enough after.
        if (job.epoch() < 2 || std::min(fleet.metric(0, "updates"), fleet.metric(3, "updates")) < 300) return;
        REQUIRE(coordinator.stop(job.number(), false));
    });
    auto plan = plan_job(
        "kind = \"classification\"\n[data]\nclients = 4\n[federated]\nlocal_rate = 0.05\nmethod = \"pars-push\"\n"
        "[push]\nlongest_gap = 1\ngraph = \"directed-ring\"\n[fleet]\nreport_every = 15\ntick_ms = 5\n"
        "regroup_s = 1\naudit = true\n",
        "test", 4);
    REQUIRE(plan);
    plan->budget = {};
    REQUIRE(fleet.run_planned(*plan) == 1);
    const Job& job = coordinator.state().jobs().begin()->second;
    CHECK(job.members()[1].state == MemberState::fenced);
    CHECK(std::min(fleet.results()[0], fleet.results()[3]) >= std::min(before, 0.85));
    CHECK(job.book()->lost().weight > 0);
    CHECK_FALSE(warnings_of(job).empty());
}

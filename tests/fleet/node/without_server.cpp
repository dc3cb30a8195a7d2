// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/job_plan.hpp"
#include "real_fleet.hpp"

#include <numeric>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("nodes learn to classify without a server, by every objective, and no mass is lost [invariants 1, 3]") {
    RealFleet fleet(4, make_node_task);
    fleet.set_turn_limit(1'000'000);  // every share is one
    Coordinator& coordinator = fleet.server().coordinator();
    std::uint64_t number = 0;
    // Not for a time, in which a busy machine takes few steps, but until all have taken enough.
    fleet.each_turn([&] {
        const Job* job = coordinator.state().job(number);
        if (job == nullptr || job->ended() || job->ending()) return;
        for (std::size_t member = 0; member < 4; ++member) {
            if (fleet.results()[member] < 0 || fleet.metric(member, "updates") < 150) return;
        }
        REQUIRE(coordinator.stop(number, false));
    });
    for (const char* method : {"pars-push", "pars-push-maml", "pars-push-me"}) {
        INFO(method);
        auto plan =
            plan_job("kind = \"classification\"\n[data]\nclients = 4\n[federated]\nlocal_rate = 0.05\nmethod = \"" +
                         std::string(method) +
                         "\"\n[push]\nlongest_gap = 1\n[fleet]\nreport_every = 15\ntick_ms = 12\naudit = true\n",
                     "test", 4);
        REQUIRE(plan);
        plan->budget = {};
        ++number;
        REQUIRE(fleet.run_planned(*plan) == number);
        CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
        const auto& accuracies = fleet.results();
        CHECK(std::accumulate(accuracies.begin(), accuracies.end(), 0.0) / 4 > 0.85);
        REQUIRE_FALSE(fleet.ledger().empty());
        CHECK(fleet.ledger().back().lost.nothing());
        CHECK(fleet.ledger().back().after.values.size() == plan->terms.dimension);
    }
}

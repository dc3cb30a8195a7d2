// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/job_plan.hpp"
#include "real_fleet.hpp"

#include <numeric>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("nodes learn to classify without a server, by every objective, and no mass is lost [invariants 1, 3]") {
    RealFleet fleet(4, make_node_task);
    fleet.set_turn_limit(100'000);  // every share is one
    for (const char* method : {"pars-push", "pars-push-maml", "pars-push-me"}) {
        INFO(method);
        const auto plan =
            plan_job("kind = \"classification\"\n[data]\nclients = 4\n[federated]\nlocal_rate = 0.2\nmethod = \"" +
                         std::string(method) + "\"\n[fleet]\nupdates = 30\ntick_ms = 4\naudit = true\n",
                     "test", 4);
        REQUIRE(plan);
        const Job& job = *fleet.server().coordinator().state().job(fleet.run_planned(*plan));
        CHECK(job.ended() == JobEndReason::finished);
        const auto& accuracies = fleet.results();
        CHECK(std::accumulate(accuracies.begin(), accuracies.end(), 0.0) / 4 > 0.85);
        REQUIRE_FALSE(fleet.ledger().empty());
        CHECK(fleet.ledger().back().lost.nothing());
        CHECK(fleet.ledger().back().after.values.size() == plan->terms.dimension);
    }
}

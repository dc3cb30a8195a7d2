// SPDX-License-Identifier: Apache-2.0
#include "real_fleet.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("nodes that are switched off and on again finish the job, without a server exactly at the mean") {
    for (const JobPlan& plan : {federated(), push_sum()}) {
        RealFleet fleet(3);
        fleet.restart_during_jobs(4);
        const std::uint64_t number = fleet.run(plan);
        const Job& job = *fleet.server().coordinator().state().job(number);
        CHECK(job.ended() == JobEndReason::finished);
        CHECK(std::count(fleet.results().begin(), fleet.results().end(), -1.0) <= 1);
        for (const double distance : fleet.results()) CHECK(distance < 1.2);
        if (!job.serverless()) continue;
        // What all hold together is what they began with and their steps, to the bit (invariants 1 and 4).
        REQUIRE(fleet.ledger().size() == 1);
        CHECK(fleet.ledger().back().lost.nothing());
        CHECK(fleet.ledger().back().after.values.size() == plan.terms.dimension);
    }
}

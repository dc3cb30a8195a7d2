// SPDX-License-Identifier: Apache-2.0
#include "round_fleet.hpp"

#include <algorithm>
#include <fstream>

using namespace dunlin;
using namespace dunlin::test;

namespace {

FederatedResult train(const RegressionRunSettings& settings, int threads = 1) {
    return train_rounds(regression_kind(), settings, threads);
}

/// Every node within 2 % of the closed-form minimiser of F^(u), and no unit of mass lost.
void reaches_the_minimiser(int steps, std::uint64_t seed) {
    RegressionRunSettings settings;
    settings.steps = steps;
    settings.seed = seed;
    const FederatedResult outcome = train(settings);
    INFO("u = " << steps << ", seed " << seed);
    CHECK(outcome.complete);
    CHECK(worst_of(outcome) < 0.02);
    CHECK(outcome.mass_error == 0u);
    CHECK(outcome.messages.lost > outcome.messages.sent / 5);
}

/// Test errors after five steps: trained for them over plain.
double personal_ratio(std::uint64_t seed) {
    RegressionRunSettings settings;
    settings.data = RegressionSettings{};
    settings.seed = seed;
    settings.steps = 0;
    const FederatedResult plain = train(settings);
    settings.steps = 5;
    const FederatedResult own = train(settings);
    return personalised_error(settings, own.personal_models, 5) /
           personalised_error(settings, plain.personal_models, 5);
}

std::string refused(const RegressionRunSettings& settings) {
    return refusal(regression_kind(), settings);
}

}  // namespace

TEST_CASE("PARS-Push brings every node to the minimiser, plain and for one step") {
    reaches_the_minimiser(0, 1);
    reaches_the_minimiser(1, 2);
}

TEST_CASE("PARS-Push brings every node to the minimiser for two and three steps") {
    reaches_the_minimiser(2, 3);
    reaches_the_minimiser(3, 4);
}

TEST_CASE("PARS-Push brings every node to the minimiser for four and five steps") {
    reaches_the_minimiser(4, 5);
    reaches_the_minimiser(5, 1);
}

TEST_CASE("PARS-Push brings every node to the minimiser for every budget and seed", "[.slow]") {
    for (int steps = 0; steps <= 5; ++steps) {
        for (std::uint64_t seed = 1; seed <= 5; ++seed) reaches_the_minimiser(steps, seed);
    }
}

TEST_CASE("PARS-Push brings every node to the minimiser of the mean Moreau envelope") {
    RegressionRunSettings settings;
    settings.federated.method.objective = Objective::moreau;
    settings.steps = 3;
    settings.rounds = 4000;
    for (const float prox_weight : {0.3f, 3.0f}) {
        INFO(prox_weight);
        settings.prox_weight = prox_weight;
        const FederatedResult outcome = train(settings);
        CHECK(worst_of(outcome) < 0.02);
        CHECK(outcome.mass_error == 0u);
    }
}

TEST_CASE("with losses plain stochastic gradient push misses the minimiser") {
    RegressionRunSettings settings;
    settings.steps = 0;
    settings.rounds = 2000;
    settings.federated.method.aggregation = AggregationName::sgp;
    settings.loss = 0.0f;
    CHECK(worst_of(train(settings)) < 0.05);  // fine where nothing is lost
    settings.loss = 0.3f;
    const FederatedResult lossy = train(settings);
    CHECK((!lossy.failure.empty() || worst_of(lossy) > 0.2));
    CHECK(lossy.mass_error > 0u);
    settings.federated.method.aggregation = AggregationName::pars_push;
    CHECK(worst_of(train(settings)) < 0.05);
}

TEST_CASE("a regression whose nodes crash still reaches the minimiser") {
    RegressionRunSettings settings;
    settings.crash_gap = 300;
    settings.downtime = 10;
    settings.weight_floor = 0.05f;  // who hears nobody for long must not step far
    settings.rounds = 3000;
    const FederatedResult outcome = train(settings);
    CHECK(outcome.gossip.crashes > 50);
    CHECK(worst_of(outcome) < 0.02);
    CHECK(outcome.mass_error == 0u);
}

TEST_CASE("half of a regression's agents are killed, and all who are there at the end reach their minimiser") {
    RegressionRunSettings settings;
    settings.rounds = 3000;
    settings.absences.share = 0.5f;
    settings.absences.before = 500;
    settings.absences.longest = GENERATE(0, 200);
    settings.absences.forgets = 0.5f;
    const FederatedResult outcome = train(settings);
    CHECK(outcome.gossip.crashes == settings.data.agents / 2);
    CHECK(outcome.gossip.epochs > 0);
    CHECK(worst_of(outcome) < 0.05);
    CHECK(outcome.last.consensus_error < 0.05);
    CHECK(outcome.mass_error == 0u);
}

TEST_CASE("training for five steps pays where feature scales differ") {
    CHECK(personal_ratio(1) < 0.85);
}

TEST_CASE("training for five steps pays where feature scales differ, mean of five seeds", "[.slow]") {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) sum += personal_ratio(seed);
    CHECK(sum / 5 < 0.85);
}

TEST_CASE("a regression is the same run for one thread and for two [invariant 11]") {
    RegressionRunSettings settings;
    settings.rounds = 600;
    const FederatedResult one = train(settings, 1), two = train(settings, 2);
    CHECK(one.trace == two.trace);
    CHECK(one.personal_models == two.personal_models);
    CHECK(one.personal_by_node == two.personal_by_node);
}

TEST_CASE("a regression that diverges names node and round") {
    RegressionRunSettings settings;
    settings.rounds = 600;
    settings.step_scale = 1000.0f;
    settings.step_offset = 1.0f;
    const FederatedResult outcome = train(settings);
    CHECK_FALSE(outcome.complete);
    CHECK_THAT(outcome.failure, Catch::StartsWith("node ") && Catch::Contains(", round "));
}

TEST_CASE("a regression with settings that do not fit is refused, by key") {
    RegressionRunSettings settings;
    settings.graph = "file";
    settings.graph_file = "/nonexistent/graph.txt";
    CHECK_THAT(refused(settings), Catch::StartsWith("network.file: /nonexistent/graph.txt"));
    settings = {};
    settings.graph = "torus";
    CHECK_THAT(refused(settings), Catch::StartsWith("network.graph: torus"));
    settings = {};
    settings.largest_value = 1e6f;
    CHECK_THAT(refused(settings), Catch::Contains("method.fraction_bits"));
    settings = {};
    settings.federated.method.objective = Objective::ditto;
    CHECK_THAT(refused(settings), Catch::StartsWith("objective.name = ditto"));
    settings.federated.method.objective = Objective::moreau;
    settings.steps = 0;
    CHECK_THAT(refused(settings), Catch::StartsWith("adaptation.steps = 0"));
    settings = {};
    settings.kernels = "abacus";
    CHECK_THAT(refused(settings), Catch::StartsWith("kernels"));
}

TEST_CASE("MEMRL without a server adapts every node to its own task, also with two threads") {
    FleetNavigationSettings settings;
    settings.map = "empty-5x5";
    settings.horizon = 20;
    settings.inner.prox_weight = 0.03f;
    settings.inner.inner_rate = 0.7f;
    settings.rounds = 200;
    settings.settling_rounds = 250;
    settings.evaluate_every = 1000;
    settings.centralised = false;
    const FederatedResult one = train_rounds(navigation_fleet_kind(), settings, 1);
    CHECK(one.complete);
    CHECK(*std::ranges::min_element(one.last.by_node) > 0.85);
    CHECK(one.last.consensus_error < 0.01);
    CHECK(one.mass_error == 0u);
    CHECK(one.messages.lost > one.messages.sent / 10);
    const FederatedResult two = train_rounds(navigation_fleet_kind(), settings, 2);
    CHECK(one.trace == two.trace);
    CHECK(one.last.by_node == two.last.by_node);
}

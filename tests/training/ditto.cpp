// SPDX-License-Identifier: Apache-2.0
#include "federated_fixtures.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

FederatedSettings ditto_settings(AggregationName by, float prox_weight) {
    FederatedSettings settings;
    settings.method = {Objective::ditto, by};
    settings.local_rate = 0.05f;
    settings.round_rate = 1.0f;
    settings.ditto = {.prox_weight = prox_weight, .personal_rate = 0.2f, .steps = 5};
    settings.clock.budget_s = 3000.0f;
    settings.clock.speed_spread = 0.0f;
    settings.baseline_steps = 400;
    settings.evaluations = 3;
    return settings;
}

FederatedResult run(const FederatedSettings& settings, const std::vector<std::vector<float>>& centres,
                    int threads = 1, float noise = 0.0f) {
    WorldProblem<BowlWorld> problem({centres, noise}, settings, threads);
    Workers workers(threads);
    FederatedResult result;
    REQUIRE(train_federated(
        problem, settings, 1, workers, RunPauses{}, [](const FederatedResult&) -> Outcome<void> { return {}; },
        result));
    REQUIRE(result.complete);
    return result;
}

}  // namespace

TEST_CASE(
    "every node of Ditto ends between its own optimum and the shared model, by lambda, with any aggregation") {
    const auto centres = spread_centres(4);
    std::vector<double> mean(2);
    for (const auto& centre : centres) {
        for (std::size_t k = 0; k < 2; ++k) mean[k] += static_cast<double>(centre[k]) / 4;
    }
    for (const AggregationName by :
         {AggregationName::fedavg, AggregationName::scaffold, AggregationName::push_pull, AggregationName::gnsd}) {
        INFO(name_of(by));
        for (const float lambda : {0.0f, 1.0f, 3.0f}) {
            const FederatedResult result = run(ditto_settings(by, lambda), centres);
            REQUIRE(result.personal_models.size() == 8);
            const auto l = static_cast<double>(lambda);
            for (std::size_t i = 0; i < 4; ++i) {
                for (std::size_t k = 0; k < 2; ++k) {
                    CHECK(static_cast<double>(result.shared_model[k]) == Approx(mean[k]).margin(0.02));
                    CHECK(static_cast<double>(result.personal_models[2 * i + k]) ==
                          Approx((static_cast<double>(centres[i][k]) + l * mean[k]) / (1 + l)).margin(0.02));
                }
            }
        }
    }
}

TEST_CASE(
    "Ditto's fleets say the same bits whatever its nodes keep, for any number of threads [invariants 10, 11]") {
    for (const AggregationName by :
         {AggregationName::fedavg, AggregationName::persafl, AggregationName::pars_push}) {
        INFO(name_of(by));
        const auto centres = spread_centres(5);
        const FederatedResult loose = run(ditto_settings(by, 0.1f), centres, 1, 0.5f),
                              tight = run(ditto_settings(by, 4.0f), centres, 3, 0.5f);
        CHECK(loose.trace == tight.trace);
        CHECK(loose.shared_model == tight.shared_model);
        CHECK(loose.personal_models != tight.personal_models);
    }
}

TEST_CASE("Ditto is charged for the steps of a node's own model, and refuses what it cannot be") {
    const auto centres = spread_centres(3);
    FederatedSettings settings = ditto_settings(AggregationName::fedavg, 1.0f);
    const std::int64_t with = run(settings, centres).history.back().gradients;
    const std::uint64_t rounds = run(settings, centres).history.back().version;
    CHECK(with == static_cast<std::int64_t>(3 * rounds) * (settings.local_steps + 5));
    settings.method.objective = Objective::plain;
    CHECK(run(settings, centres).history.back().version > rounds);

    settings = ditto_settings(AggregationName::fedavg, 5.0f);
    CHECK(settings.check(3).error().text.find("ditto.personal_rate * ditto.prox_weight") != std::string::npos);
    CHECK_FALSE(refusal_of({Objective::ditto, AggregationName::global}).empty());
    CHECK(refusal_of({Objective::ditto, AggregationName::local}).empty());
}

// SPDX-License-Identifier: Apache-2.0
#include "round_fleet.hpp"
#include "training/problems/decentralised_fleet.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

DecentralisedSettings small() {
    DecentralisedSettings settings;
    settings.data.rows = 600;
    settings.data.split.nodes = 6;
    settings.hidden = {12};
    settings.rounds = 60;
    settings.evaluations = 3;
    settings.step = settings.federated.bilevel.personal_rate = 0.2f;
    return settings;
}

FederatedResult train(const DecentralisedSettings& settings, int threads = 1) {
    FederatedResult result = test::train_rounds(decentralised_kind(), settings, threads);
    CHECK(result.complete);
    CHECK(result.failure.empty());
    return result;
}

/// A metric of all agents' models after a row, by its key.
double at(const FederatedResult& result, const FederatedRow& row, std::string_view key) {
    const auto found = std::ranges::find(result.metric_keys, key);
    REQUIRE(found != result.metric_keys.end());
    return row.personal[static_cast<std::size_t>(found - result.metric_keys.begin())];
}
double at_last(const FederatedResult& result, std::string_view key) {
    return at(result, result.history.back(), key);
}

std::string refused(const DecentralisedSettings& settings) {
    return test::refusal(decentralised_kind(), settings);
}

constexpr Method d2{Objective::plain, AggregationName::spd}, gnsd{Objective::plain, AggregationName::gnsd},
    dsgd{Objective::plain, AggregationName::dsgd};

}  // namespace

TEST_CASE("SPDB sends at most half of what gradient tracking sends, counted in bytes") {
    DecentralisedSettings settings = small();
    const auto bytes = [&](Method method) {
        settings.federated.method = method;
        return static_cast<double>(train(settings).messages.sent_bytes);
    };
    const double tracking = bytes(gnsd), spdb = bytes(preset::spdb);
    CHECK(bytes(d2) == tracking / 2);
    CHECK(bytes(dsgd) == tracking / 2);
    CHECK(bytes(preset::local) == 0);
    const std::size_t shared = 64 * 12 + 12, personal = 12 * 10 + 10;
    CHECK(spdb / tracking == Approx(0.5 * shared / (shared + personal)).epsilon(1e-12));
    settings.personal_for_all = true;
    CHECK(bytes(gnsd) == 2 * spdb);
}

TEST_CASE("a decentralised run is the same for any number of threads, and another for another seed") {
    DecentralisedSettings settings = small();
    const FederatedResult one = train(settings), again = train(settings, 3);
    CHECK(one.trace == again.trace);
    CHECK(one.history.back().personal == again.history.back().personal);
    settings.seed = 2;
    CHECK(train(settings).trace != one.trace);
}

TEST_CASE("where agents name the labels in ways of their own SPDB learns and consensus does not") {
    DecentralisedSettings settings = small();
    settings.data.split.kind = Split::uniform;
    settings.data.split.conflicting = true;
    settings.rounds = 600;
    settings.step = settings.federated.bilevel.personal_rate = 0.5f;
    const double spdb = at_last(train(settings), "accuracy_own");
    CHECK(spdb > 0.6);
    for (const Method method : {d2, gnsd, dsgd}) {
        settings.federated.method = method;
        CHECK(at_last(train(settings), "accuracy_own") < 0.4);
    }
}

TEST_CASE("the Neumann series costs two gradients a term and leads elsewhere where the levels differ") {
    DecentralisedSettings settings = small();
    settings.federated.bilevel.ridge = 0.1f;
    const FederatedResult cheap = train(settings);
    settings.federated.bilevel.hyper_gradient = HyperGradient::neumann;
    settings.federated.bilevel.neumann_terms = 3;
    const FederatedResult exact = train(settings);
    CHECK(cheap.gossip.gradients == 60 * 6 * 2);
    CHECK(exact.gossip.gradients == 60 * 6 * (2 + 2 * 4));
    CHECK(at_last(exact, "train_loss") != at_last(cheap, "train_loss"));
    CHECK(at_last(exact, "train_loss") < at(cheap, cheap.history.front(), "train_loss"));
}

TEST_CASE("an agent's own input transform takes back what its sensors do") {
    DecentralisedSettings settings = small();
    settings.data.rows = 1500;
    settings.data.digits.domains = 5;
    settings.data.digits.domain_shift = 1.0f;
    settings.data.split.kind = Split::users;
    settings.data.split.test_fraction = 0.3f;
    settings.data.standardise = true;
    settings.input_transform = true;
    settings.personal_layers = {"first"};
    settings.graph = "ring";
    settings.mixing = Mixing::metropolis;
    settings.rounds = 300;
    const FederatedResult outcome = train(settings);
    CHECK(outcome.scores.size() == 5);
    CHECK((*decentralised_kind().make(settings, 1))->split().personal_size() == 64 * 64 + 64);
    CHECK(at_last(outcome, "accuracy_own") > at(outcome, outcome.history.front(), "accuracy_own") + 0.3);
}

TEST_CASE("agents alone take one step an iteration from where all begin, and are judged as the others are") {
    DecentralisedSettings settings = small();
    settings.federated.method = preset::local;
    settings.rounds = 5;
    settings.evaluations = 5;
    const FederatedResult alone = train(settings);
    settings.federated.method = dsgd;
    const FederatedResult together = train(settings);
    CHECK(alone.gossip.gradients == 5 * 6);
    CHECK(alone.gossip.wake_ups == 5 * 6);
    REQUIRE(alone.history.size() == 6);
    for (int k = 0; k <= 5; ++k) CHECK(alone.history[static_cast<std::size_t>(k)].round == k);
    CHECK(alone.history[0].personal == together.history[0].personal);
    CHECK(alone.history[1].personal != alone.history[0].personal);
    CHECK(std::isnan(alone.last.consensus_error));
}

TEST_CASE("models are judged once an iteration where that is asked for more often than there are iterations") {
    DecentralisedSettings settings = small();
    settings.rounds = 3;
    settings.evaluations = 7;
    std::vector<std::int64_t> rounds;
    for (const FederatedRow& row : train(settings).history) rounds.push_back(row.round);
    CHECK(rounds == std::vector<std::int64_t>{0, 1, 2, 3});
}

TEST_CASE("decentralised settings that cannot work are refused with the figures") {
    DecentralisedSettings settings = small();
    settings.personal_layers = {"2"};
    CHECK_THAT(refused(settings), Catch::Contains("no layer 2 among 2"));
    settings = small();
    settings.graph = "complete";
    settings.mixing = Mixing::laplacian;
    settings.rho_over_tau = 0.3f;
    CHECK_THAT(refused(settings), Catch::Contains("-0.8000") && Catch::Contains("-0.3333"));
    settings = small();
    settings.graph = "ring";  // of an even number of agents: exactly at the bound
    settings.mixing = Mixing::metropolis;
    CHECK_THAT(refused(settings), Catch::Contains("lazy-metropolis"));
    settings = small();
    settings.data.digits.domains = 3;
    CHECK_THAT(refused(settings), Catch::Contains("data.domains"));
    settings = small();
    settings.data.standardise = true;
    CHECK_THAT(refused(settings), Catch::Contains("data.test_fraction"));
    settings = small();
    settings.hidden = {0};
    CHECK_THAT(refused(settings), Catch::Contains("model.hidden"));
}

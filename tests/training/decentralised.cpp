// SPDX-License-Identifier: Apache-2.0
#include "training/runs/decentralised.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

DecentralisedSettings small() {
    DecentralisedSettings settings;
    settings.data.rows = 600;
    settings.data.split.nodes = 6;
    settings.hidden = {12};
    settings.iterations = 60;
    settings.evaluations = 3;
    settings.step = settings.bilevel.personal_rate = 0.2f;
    return settings;
}

DecentralisedOutcome train(const DecentralisedSettings& settings, int threads = 1) {
    auto training = DecentralisedTraining::make(settings, threads);
    INFO((training ? "" : training.error().text));
    REQUIRE(training);
    auto outcome = (*training)->run({});
    REQUIRE(outcome);
    CHECK(outcome->complete);
    CHECK(outcome->failure.empty());
    return *std::move(outcome);
}

std::string refused(const DecentralisedSettings& settings) {
    const auto training = DecentralisedTraining::make(settings, 1);
    return training ? std::string() : training.error().text;
}

}  // namespace

TEST_CASE("SPDB sends at most half of what gradient tracking sends, counted in bytes") {
    DecentralisedSettings settings = small();
    const auto bytes = [&](DecentralisedMethod method) {
        settings.method = method;
        return train(settings).bytes_per_iteration;
    };
    const double tracking = bytes(DecentralisedMethod::gnsd), spdb = bytes(DecentralisedMethod::spdb);
    CHECK(bytes(DecentralisedMethod::d2) == tracking / 2);
    CHECK(bytes(DecentralisedMethod::dsgd) == tracking / 2);
    CHECK(bytes(DecentralisedMethod::alone) == 0);
    const std::size_t shared = 64 * 12 + 12, personal = 12 * 10 + 10;
    CHECK(spdb / tracking == Approx(0.5 * shared / (shared + personal)).epsilon(1e-12));
    settings.personal_for_all = true;
    CHECK(bytes(DecentralisedMethod::gnsd) == 2 * spdb);
}

TEST_CASE("a decentralised run is the same for any number of threads, and another for another seed") {
    DecentralisedSettings settings = small();
    const DecentralisedOutcome one = train(settings), again = train(settings, 3);
    CHECK(one.trace == again.trace);
    CHECK(one.history.back().train_loss == again.history.back().train_loss);
    CHECK(one.history.back().accuracy_own == again.history.back().accuracy_own);
    settings.seed = 2;
    CHECK(train(settings).trace != one.trace);
}

TEST_CASE("where agents name the labels in ways of their own SPDB learns and consensus does not") {
    DecentralisedSettings settings = small();
    settings.data.split.kind = Split::uniform;
    settings.data.split.conflicting = true;
    settings.iterations = 600;
    settings.step = settings.bilevel.personal_rate = 0.5f;
    const double spdb = train(settings).history.back().accuracy_own;
    CHECK(spdb > 0.6);
    for (const DecentralisedMethod method :
         {DecentralisedMethod::d2, DecentralisedMethod::gnsd, DecentralisedMethod::dsgd}) {
        settings.method = method;
        CHECK(train(settings).history.back().accuracy_own < 0.4);
    }
}

TEST_CASE("the Neumann series costs two gradients a term and leads elsewhere where the levels differ") {
    DecentralisedSettings settings = small();
    settings.bilevel.ridge = 0.1f;
    const DecentralisedOutcome cheap = train(settings);
    settings.bilevel.hyper_gradient = HyperGradient::neumann;
    settings.bilevel.neumann_terms = 3;
    const DecentralisedOutcome exact = train(settings);
    CHECK(cheap.gradients == 60 * 6 * 2);
    CHECK(exact.gradients == 60 * 6 * (2 + 2 * 4));
    CHECK(exact.history.back().train_loss != cheap.history.back().train_loss);
    CHECK(exact.history.back().train_loss < cheap.history.front().train_loss);
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
    settings.iterations = 300;
    const DecentralisedOutcome outcome = train(settings);
    CHECK(outcome.agents == 5);
    CHECK(outcome.personal_parameters == 64 * 64 + 64);
    CHECK(outcome.history.back().accuracy_own > outcome.history.front().accuracy_own + 0.3);
}

TEST_CASE("decentralised settings that cannot work are refused with the figures") {
    DecentralisedSettings settings = small();
    settings.personal_layers = {"2"};
    CHECK_THAT(refused(settings), Catch::Contains("no layer 2 among 2"));
    settings = small();
    settings.graph = "directed-ring";
    CHECK_THAT(refused(settings), Catch::Contains("has no edge back"));
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

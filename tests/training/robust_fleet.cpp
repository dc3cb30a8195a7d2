// SPDX-License-Identifier: Apache-2.0
#include "training/problems/classification_fleet.hpp"
#include "training/runs/federated_training.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin {
namespace {

/// Ten clients with digits of all kinds, in rounds of everybody.
FederatedResult trained(const std::vector<std::string>& assignments, int threads = 1) {
    ClassificationSettings settings;
    Settings list = classification_settings(settings);
    std::vector<std::string> all{
        "federated.method=fedavg", "data.clients=10",          "data.split=uniform",
        "model.hidden=[16]",       "report.evaluations=1",     "clock.budget_s=300",
        "clock.speed_spread=0",    "federated.local_rate=0.3", "limits.factor=0"};  // or they would refuse some
    all.insert(all.end(), assignments.begin(), assignments.end());
    const auto read = list.set(all);
    INFO((read ? "" : read.error().text));
    REQUIRE(read);
    auto problem = make_classification_problem(settings, threads);
    REQUIRE(problem);
    Workers workers(threads);
    FederatedResult result;
    const auto done = train_federated(
        **problem, settings.federated, 3, workers, RunPauses{},
        [](const FederatedResult&) { return Outcome<void>{}; }, result);
    INFO((done ? "" : done.error().text));
    REQUIRE(done);
    return result;
}

double accuracy(const FederatedResult& result) {
    return result.history.back().shared.front();
}

}  // namespace

TEST_CASE("attacks that ruin a mean do not ruin robust sums of the same fleet") {
    const double honest = accuracy(trained({"attack.name=absent"}));
    CHECK(honest > 0.6);
    for (const char* attack : {"gaussian", "inner-product-optimised", "alie-optimised"}) {
        const std::string name = std::string("attack.name=") + attack;
        INFO(attack);
        CHECK(accuracy(trained({name, "attack.strength=3"})) < honest - 0.2);
        for (const char* defence :
             {"median", "trimmed-mean", "geometric-median", "multi-krum", "centred-clipping"}) {
            INFO(defence);
            CHECK(accuracy(trained({name, "attack.strength=3", std::string("defence.name=") + defence})) >
                  honest - 0.12);
        }
    }
}

TEST_CASE("every attack gives one trace for any number of threads [invariant 11]") {
    for (const char* attack :
         {"absent", "sign-flip", "label-flip", "gaussian", "infinity", "inner-product", "alie", "mimic"}) {
        INFO(attack);
        const std::vector<std::string> settings{std::string("attack.name=") + attack, "clock.budget_s=60"};
        const FederatedResult one = trained(settings), two = trained(settings, 2);
        CHECK(one.trace == two.trace);
        CHECK(one.liars == std::vector<std::uint32_t>(two.liars));
        CHECK(one.liars.size() == 2);
        CHECK(one.personal_by_node.size() == 8);  // nobody asks how well liars do
    }
}

TEST_CASE("infinite updates are refused and change nothing [invariant 9]") {
    const FederatedResult attacked = trained({"attack.name=infinity"});
    CHECK(attacked.counters.refused > 0);
    CHECK(accuracy(attacked) > 0.6);
}

TEST_CASE("rounds that a defence cannot decide change nothing and are counted") {
    const FederatedResult result = trained({"attack.name=infinity", "attack.share=0.7", "defence.name=krum"});
    CHECK(result.undefended > 0);
    CHECK(result.history.back().version == 0);
}

TEST_CASE("a defence that is not there for an aggregation is refused by name, and so are too few members") {
    const auto refusal = [](const std::vector<std::string>& assignments) -> std::string {
        ClassificationSettings settings;
        Settings list = classification_settings(settings);
        REQUIRE(list.set(assignments));
        const auto fits = settings.federated.check(10);
        return fits ? "" : fits.error().text;
    };
    CHECK(refusal({"federated.method=persafl", "defence.name=median"}).find("persafl has no sum") !=
          std::string::npos);
    CHECK(refusal({"federated.method=pars-push", "defence.name=krum"}).find("pars-push") != std::string::npos);
    CHECK(refusal({"federated.method=pars-push", "attack.name=alie"}).find("not there") != std::string::npos);
    CHECK(refusal({"federated.method=fedavg", "defence.name=median", "clock.concurrency=0.2"}).find("too few") !=
          std::string::npos);
    CHECK(refusal({"federated.method=fedavg", "defence.name=median"}).empty());
    CHECK(refusal({"federated.method=fedavg", "defence.name=median", "federated.weigh_by_samples=true"})
              .find("alike") != std::string::npos);
    for (const char* attack : {"attack.name=alie", "attack.name=inner-product-optimised", "attack.name=mimic"}) {
        CHECK(refusal({"federated.method=fedbuff", attack}).find("a whole round") != std::string::npos);
        CHECK(refusal({"federated.method=fedavg", "clock.loss=0.1", attack}).find("a whole round") !=
              std::string::npos);
        CHECK(refusal({"federated.method=fedavg", attack}).empty());
    }
    CHECK(refusal({"federated.method=pfedme", "defence.name=krum", "defence.share=0.4"}).empty());
    CHECK(
        refusal({"federated.method=fedavg", "defence.name=krum", "defence.mixing=bucketing", "defence.share=0.45"})
            .find("too few") != std::string::npos);
}

}  // namespace dunlin

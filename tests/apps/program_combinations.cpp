// SPDX-License-Identifier: Apache-2.0
// Every combination of the axes that `dunlin list --combinations` names: what is allowed runs, the rest is refused.
#include "apps/dunlin/kinds.hpp"
#include "program.hpp"
#include "training/axes/combinations.hpp"

#include <cmath>
#include <map>
#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// Settings that make a run of an experiment a matter of milliseconds.
std::vector<std::string> small(std::string_view experiment) {
    static const std::map<std::string_view, std::vector<std::string>> all{
        {"fleet-navigation",
         {"environment.nodes=4", "environment.map=empty-5x5", "environment.horizon=8", "policy.hidden=[6]",
          "adaptation.steps=2", "adaptation.trajectories=4", "method.rounds=4", "method.settling_rounds=2",
          "report.centralised=false", "report.adaptations=1"}},
        {"classification",
         {"data.clients=4", "data.rows=240", "model.hidden=[6]", "federated.local_steps=2", "federated.batch=5",
          "federated.local_rate=0.01", "federated.buffer_size=2", "moreau.inner_steps=2", "clock.budget_s=60",
          "baseline.steps=3", "report.evaluations=1"}},
        {"ranking",
         {"data.users=4", "model.hidden=[6]", "federated.local_steps=2", "federated.batch=3",
          "federated.buffer_size=2", "moreau.inner_steps=2", "clock.budget_s=60", "baseline.steps=3",
          "report.evaluations=1"}},
        {"regression",
         {"environment.agents=5", "environment.dimension=3", "method.rounds=6", "network.probability=0.6",
          "report.personalisation=false", "report.robustness=false"}},
        {"fleet-point-navigation",
         {"environment.nodes=4", "environment.horizon=5", "model.hidden=[6]", "federated.local_steps=2",
          "federated.batch=4", "federated.buffer_size=2", "moreau.inner_steps=2", "clock.budget_s=60",
          "baseline.steps=3", "report.evaluations=1", "report.trajectories=4"}},
        {"characters",
         {"data.speakers=4", "data.characters=60", "model.hidden=[6]", "federated.local_steps=2",
          "federated.batch=5", "federated.local_rate=0.01", "maml.local_rate=0.01", "moreau.local_rate=0.01",
          "data.test_fraction=0.5", "federated.buffer_size=2", "moreau.inner_steps=2", "clock.budget_s=60",
          "baseline.steps=3", "report.evaluations=1"}}};
    return all.at(experiment);
}

app::TrainRequest request_of(const Combination& one) {
    app::TrainRequest request;
    request.experiment = one.task->experiment;
    request.assignments = small(request.experiment);
    if (!one.task->settings.empty()) request.assignments.emplace_back(one.task->settings);
    request.assignments.push_back("objective.name=" + std::string(name_of(one.objective)));
    request.assignments.push_back("aggregation.name=" + std::string(one.aggregation));
    if (one.aggregation == "hgp" && one.allowed()) {  // a whole cycle, and the begin of another
        request.assignments.insert(request.assignments.end(), {"hgp.inner_steps=1", "hgp.neumann_steps=1"});
        if (request.experiment == "fleet-navigation")
            request.assignments.insert(request.assignments.end(), {"network.wake_gap=1", "network.delay_limit=1",
                                                                   "network.loss=0", "method.rounds=8"});
    }
    return request;
}

/// Runs all of a task that are allowed in one process, and checks that the others are refused.
void try_all(std::string_view task) {
    int ran = 0;
    for (const Combination& one : all_combinations()) {
        if (one.task->name != task || one.link != LinkName::simulated) continue;
        INFO(task << ", " << name_of(one.objective) << ", " << one.aggregation);
        const app::TrainRequest request = request_of(one);
        const auto kind = app::kind_of(request);
        REQUIRE(kind);
        const Outcome<app::TrialResult> result = (*kind)->trial(request, [] { return false; });
        if (!one.allowed()) {
            REQUIRE_FALSE(result);
            CHECK_THAT(result.error().text,
                       Catch::Contains("objective.name = " + std::string(name_of(one.objective))));
            continue;
        }
        if (!result) FAIL(result.error().text);
        CHECK(result->complete);
        CHECK(result->failure == "");
        REQUIRE_FALSE(result->measures.empty());
        CHECK(std::isfinite(result->measures.front().value));
        ++ran;
    }
    CHECK(ran > 0);
}

}  // namespace

TEST_CASE("every combination with grid navigation runs or is refused") {
    try_all("grid-navigation");
}
TEST_CASE("every combination with grid navigation by coordinates runs or is refused") {
    try_all("grid-navigation-coordinates");
}
TEST_CASE("every combination with point navigation runs or is refused") {
    try_all("point-navigation");
}
TEST_CASE("every combination with classification runs or is refused") {
    try_all("classification");
}
TEST_CASE("every combination with ranking runs or is refused") {
    try_all("ranking");
}
TEST_CASE("every combination with ranking by reward runs or is refused") {
    try_all("ranking-reward");
}
TEST_CASE("every combination with regression runs or is refused") {
    try_all("regression");
}
TEST_CASE("every combination with characters runs or is refused") {
    try_all("characters");
}

TEST_CASE("list --combinations prints every pair of axes on every link, with why it is refused") {
    const program::Folder folder;
    const program::Ended ended = program::run(folder, {"list", "--combinations", "--json"});
    REQUIRE(ended.code == 0);
    const auto list = nlohmann::json::parse(ended.out);
    std::set<std::string> tasks, aggregations;
    for (const auto& one : list) {
        tasks.insert(one["task"]);
        aggregations.insert(one["aggregation"]);
        CHECK(one["allowed"] == (one["kind"] == ""));
        CHECK(one["allowed"] == (one["reason"] == ""));
    }
    // What stays with a node has a place on its disk, and none on a board.
    const auto kind = [&](const std::string& task, const std::string& objective, const std::string& aggregation,
                          const std::string& link) -> std::string {
        for (const auto& one : list) {
            if (one["task"] == task && one["objective"] == objective && one["aggregation"] == aggregation &&
                one["link"] == link)
                return one["kind"];
        }
        return "none of them";
    };
    for (const char* objective : {"plain", "bilevel", "ditto"}) {
        for (const char* aggregation : {"fedavg", "pars-push", "scaffold"}) {
            for (const char* task : {"classification", "ranking", "point-navigation", "characters"})
                CHECK(kind(task, objective, aggregation, "zeromq") == "");
        }
    }
    CHECK(kind("grid-navigation-coordinates", "plain", "fedavg", "serial") == "");
    CHECK(kind("grid-navigation-coordinates", "plain", "scaffold", "serial") == "memory");
    CHECK(kind("grid-navigation-coordinates", "bilevel", "fedavg", "serial") == "memory");
    CHECK(kind("grid-navigation-coordinates", "bilevel", "fedavg", "zeromq") == "");
    // Only a board lacks what nobody built.
    for (const auto& one : list) CHECK((one["kind"] != "not-built" || one["link"] == "serial"));
    for (const char* link : {"simulated", "zeromq", "mpi"}) {
        CHECK(kind("classification", "bilevel", "hgp", link) == "");
        CHECK(kind("point-navigation", "bilevel", "hgp", link) == "");
        CHECK(kind("ranking-reward", "maml", "hgp", link) == "mathematics");
        CHECK(kind("regression", "bilevel", "hgp", link) == "mathematics");
    }
    CHECK(kind("grid-navigation", "ditto", "local", "mpi") == "");
    CHECK(kind("regression", "maml", "global", "mpi") == "");
    CHECK(kind("classification", "bilevel", "hgp", "serial") == "memory");
    CHECK(aggregations.size() == aggregation_count);
    CHECK(list.size() == tasks.size() * aggregations.size() * all_objectives().size() * 4);
    CHECK_THAT(program::run(folder, {"list", "--combinations"}).out, Catch::Contains("mathematics: "));
}

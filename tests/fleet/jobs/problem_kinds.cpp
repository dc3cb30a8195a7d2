// SPDX-License-Identifier: Apache-2.0
#include "training/problems/problem_kinds.hpp"

#include "fleet/jobs/experiments.hpp"
#include "fleet/jobs/node_task.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "sensors.hpp"
#include "training/runs/federated_training.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Matchers::Contains;

namespace {

/// That of the example, with little to do. A test program registers it once.
ProblemExperiment sensors(const std::string& method, const std::string& more = "") {
    static const Outcome<void> known = register_sensors();
    REQUIRE(known);
    ProblemExperiment experiment(*find_problem("my-sensors"));
    REQUIRE(experiment.list().read("kind = \"my-sensors\"\n[data]\nwindows = 60\n[federated]\nmethod = \"" +
                                       method + "\"\n[clock]\nbudget_s = 1500\n[report]\nevaluations = 3\n" + more,
                                   "a test"));
    return experiment;
}

FederatedResult train(const ProblemExperiment& experiment) {
    const auto problem = experiment.make(1);
    REQUIRE(problem);
    Workers workers(1);
    FederatedResult result;
    REQUIRE(train_federated(
        **problem, experiment.settings().federated, experiment.settings().seed, workers, RunPauses{},
        [](const FederatedResult&) -> Outcome<void> { return {}; }, result));
    return result;
}

struct Small : ProblemSettings {};

ProblemKind<Small> small(const std::string& name) {
    return {.name = name,
            .settings =
                [](Small& s) {
                    Settings list = problem_settings(s);
                    add_federated_settings(list, s.federated);
                    return list;
                },
            .make = [](const Small&, int) -> Outcome<std::unique_ptr<FederatedProblem>> {
                return refuse("nothing to learn");
            }};
}

}  // namespace

TEST_CASE("a problem that a program registers is trained with a server, with neighbours, and by each node alone") {
    for (const char* method : {"persafl-me", "fedavg", "pars-push", "local"}) {
        INFO(method);
        const FederatedResult result = train(sensors(method));
        REQUIRE(result.complete);
        CHECK(result.metric_keys == std::vector<std::string>{"accuracy", "loss"});
        CHECK(result.personal_by_node.size() == 8);
        CHECK(result.history.back().personal[0] > result.history.front().shared[0]);
        if (method == std::string("pars-push")) CHECK(result.mass_error == 0);
    }
}

TEST_CASE("a registered problem becomes a job, with a server or without, and its nodes find their data in it") {
    for (const char* method : {"fedavg", "pars-push"}) {
        INFO(method);
        ProblemExperiment experiment = sensors(method);
        const auto plan = plan_job(experiment.list().write(), "a.toml", 2);
        INFO((plan ? "" : plan.error().text));
        REQUIRE(plan);
        CHECK(plan->name == "my-sensors");
        CHECK((plan->terms.aggregation == Aggregation::push_sum) == (method == std::string("pars-push")));
        CHECK_THAT(plan->experiment, Contains("windows = 60"));
        for (const std::uint32_t member : {0u, 1u}) {
            auto task = make_node_task(plan->member_terms(member));
            REQUIRE(task);
            CHECK((*task)->learner().dimension() == plan->first.size());
            CHECK((*task)->measure(plan->first)[0].name == "accuracy");
            CHECK_FALSE((*task)->personal_file().empty());
        }
        auto settings = read_deployed(plan->experiment, "a.toml");
        REQUIRE(settings);
        const auto model = deployed_model(*settings, plan->first);
        REQUIRE(model);
        CHECK(model->nodes.front() == "machine-0");
    }
}

TEST_CASE("a node that does not know a job's problem says which it lacks, and what it knows") {
    const std::string toml = "kind = \"their-sensors\"\n";
    JobTerms terms;
    terms.experiment = toml;
    const auto task = make_node_task(terms);
    REQUIRE_FALSE(task);
    CHECK_THAT(task.error().text, Contains("\"their-sensors\" is not registered") && Contains("classification"));
}

TEST_CASE("what needs personal layers is refused where a registered problem has none") {
    const auto refused = sensors("fedavg", "[objective]\nname = \"bilevel\"\n").make(1);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().text, Contains("objective.name = bilevel") && Contains("my-sensors has none"));
}

TEST_CASE("a problem's name is its own, and its settings are those of every problem and more") {
    const auto refusal = [](const ProblemKind<Small>& kind) {
        const auto known = register_problem(kind);
        return known ? std::string() : known.error().text;
    };
    CHECK(refusal(small("small_2")).empty());
    for (const char* taken : {"small_2", "classification", "navigation", "pdbo"})
        CHECK_THAT(refusal(small(taken)), Contains(taken) && Contains("taken"));
    for (const char* wrong : {"", "two words", "a\"b", "a\nb"})
        CHECK_THAT(refusal(small(wrong)), Contains("letters, digits"));
    ProblemKind<Small> partial = small("partial");
    partial.settings = [](Small& s) { return problem_settings(s); };
    CHECK_THAT(refusal(partial), Contains("federated.method") && Contains("add_federated_settings"));
    CHECK(find_problem("partial") == nullptr);
}

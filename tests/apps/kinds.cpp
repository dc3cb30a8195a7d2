// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"

#include "program.hpp"
#include "sensors.hpp"
#include "training/problems/classification_fleet.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::app;
using Catch::Matchers::Contains;

TEST_CASE("a registered problem is a kind of experiment, and a kind that is none is refused with all that are") {
    REQUIRE_FALSE(kind_of("kind = \"my-sensors\"\n", "a.toml"));
    REQUIRE(register_sensors());
    const auto kind = kind_of("kind = \"my-sensors\"\n", "a.toml");
    REQUIRE(kind);
    CHECK_THAT((*kind)->help("kind = \"my-sensors\"\n[data]\nmachines = 5\n"),
               Contains("data.machines") && Contains("now 5") && Contains("clock.budget_s"));

    const program::Folder folder;
    TrainRequest request;
    request.config = folder.file("mine.toml", "kind = \"my-sensors\"\n[clock]\nbudget_s = 200\n");
    request.assignments = {"data.machines=5", "data.windows=20", "report.evaluations=2"};
    for (const char* method : {"fedavg", "pars-push"}) {
        INFO(method);
        request.method = method;
        const auto config = (*kind)->resolve(request);
        REQUIRE(config);
        CHECK_THAT(*config, Contains("machines = 5") && Contains(std::string("method = \"") + method));
        const auto trial = (*kind)->trial(request, [] { return false; });
        REQUIRE(trial);
        CHECK(trial->complete);
        CHECK(trial->measures.front().key == "accuracy");
    }
    request.assignments = {"data.machines=0"};
    const auto refused = (*kind)->resolve(request);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().text, Contains("data.machines"));

    const auto unknown = kind_of("kind = \"their-sensors\"\n", "b.toml");
    REQUIRE_FALSE(unknown);
    CHECK_THAT(unknown.error().text, Contains("b.toml") && Contains("their-sensors") && Contains("my-sensors"));
}

TEST_CASE("no problem is registered by the name of another kind of experiment") {
    for (const Kind& kind : kinds()) {
        INFO(kind.name);
        RegisteredProblem same = registered(classification_kind());
        same.name = kind.name;
        const auto refused = register_problem(same);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().text, Contains("taken"));
    }
}

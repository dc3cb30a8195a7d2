// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/asked_experiment.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Matchers::Contains;

TEST_CASE("what a document says for one method is taken by that method alone, and assignments come after it") {
    const std::string toml =
        "kind = \"classification\"\n[federated]\nlocal_rate = 0.3\n"
        "[methods.hgp]\nlocal_rate = 0.01\n\"bilevel.personal_rate\" = 0.5\n";
    const auto rates = [&](const std::vector<std::string>& assignments) {
        auto asked = asked_experiment(toml, "a.toml", assignments);
        INFO((asked ? "" : asked.error().text));
        REQUIRE(asked);
        return asked->list().value("federated.local_rate") + " " + asked->list().value("bilevel.personal_rate");
    };
    CHECK(rates({}) == "0.3 0.02");
    CHECK(rates({"federated.method=spdb"}) == "0.3 0.02");
    CHECK(rates({"federated.method=hgp"}) == "0.01 0.5");
    CHECK(rates({"objective.name=bilevel", "aggregation.name=hgp"}) == "0.01 0.5");
    CHECK(rates({"federated.method=hgp", "federated.local_rate=0.1"}) == "0.1 0.5");
}

TEST_CASE("a document that says something for a method that is none is refused, with the methods that there are") {
    const auto wrong = [](const std::string& section) {
        return asked_experiment("kind = \"ranking\"\n" + section, "a.toml", {}).error().text;
    };
    CHECK_THAT(wrong("[methods.fedagv]\nlocal_rate = 1.0\n"),
               Contains("a.toml: [methods.fedagv]: no method") && Contains("there are") && Contains("fedavg"));
    CHECK_THAT(wrong("[methods]\nfedavg = 3\n"), Contains("a.toml"));
}

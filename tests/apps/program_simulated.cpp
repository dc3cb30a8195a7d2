// SPDX-License-Identifier: Apache-2.0
// Simulated fleets by the command line: what scripts read, and what they are told when something is wrong.
#include "program.hpp"

#include <catch2/catch.hpp>

using namespace dunlin::program;

namespace {

nlohmann::json summary_of(const std::vector<std::string>& options) {
    const Folder folder;
    std::vector<std::string> arguments{"train"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--quiet", "--out", "run"});
    const Ended ended = run(folder, arguments);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(std::filesystem::exists(folder / "run/report.html"));
    CHECK(std::filesystem::exists(folder / "run/metrics.csv"));
    return read_json(folder / "run/summary.json");
}

}  // namespace

TEST_CASE("train regression writes the worst node's error and the mass error") {
    const auto summary = summary_of({"regression", "--set", "adaptation.steps=2", "--set", "method.rounds=1500",
                                     "--set", "environment.dimension=5", "--set", "report.personalisation=false"});
    CHECK(summary["mass_error"] == 0);
    CHECK(summary["max_relative_error"] < 0.2);
}

TEST_CASE("train ranking writes the metrics of personal models on the test split") {
    const auto summary = summary_of({"ranking", "--method", "persafl-me", "--set", "data.users=12", "--set",
                                     "clock.budget_s=40", "--set", "personal.steps=20"});
    CHECK(summary["users"] == 12);
    for (const char* key : {"mrr", "accuracy_at_1", "normalised_mrr"}) {
        INFO(key);
        REQUIRE(summary[key].is_number());
        CHECK(summary[key] <= 1.0);
    }
    CHECK(summary["mrr"] >= summary["accuracy_at_1"]);
}

TEST_CASE("train fleet-navigation writes every node's return and how far nodes are from each other") {
    const auto summary =
        summary_of({"fleet-navigation", "--set", "fleet.updates=3", "--set", "report.centralised=false"});
    REQUIRE(summary["tasks"].size() == 8);
    for (const auto& task : summary["tasks"]) CHECK(task["return_ratio"].is_number());
    CHECK(summary["consensus_error"].is_number());
}

TEST_CASE("steps that ruin a federated fleet's models end with an error code and the key") {
    const Folder folder;
    const Ended ended =
        run(folder, {"train", "classification", "--method", "persafl", "--set", "federated.local_rate=1000",
                     "--set", "clock.budget_s=100", "--quiet", "--out", "run"});
    INFO(ended.err);
    CHECK(ended.code == 1);
    CHECK(ended.err.find("federated.local_rate") != std::string::npos);
}

// SPDX-License-Identifier: Apache-2.0
// Simulated fleets by the command line: what scripts read, and what they are told when something is wrong.
#include "program.hpp"
#include "source_dir.hpp"

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

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

TEST_CASE("every column of every metrics.csv is in docs/files.md") {
    const Folder folder;
    std::ifstream file(DUNLIN_SOURCE_DIR "/docs/files.md");
    const std::string page{std::istreambuf_iterator<char>(file), {}};
    REQUIRE_FALSE(page.empty());
    const std::map<std::string, std::vector<std::string>> kinds{
        {"navigation", {"rl.iterations=1"}},
        {"classification", {"clock.budget_s=2", "data.rows=300", "baseline.steps=1"}},
        {"ranking", {"clock.budget_s=2", "baseline.steps=1", "data.users=40"}},
        {"regression", {"method.rounds=600"}},
        {"fleet-navigation", {"method.rounds=2", "method.settling_rounds=1"}},
        {"spdb-digits", {"data.rows=300", "method.iterations=4", "report.figure=false"}},
        {"pdbo",
         {"data.agents=6", "data.rows=300", "data.side=6", "method.inner_steps=12", "method.outer_steps=2",
          "report.peers=false"}}};
    for (const auto& [experiment, settings] : kinds) {
        std::vector<std::string> arguments{"train", experiment, "--quiet", "--out", experiment};
        for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
        const Ended ended = run(folder, arguments);
        INFO(experiment << ": " << ended.err);
        REQUIRE(ended.code == 0);
        std::ifstream metrics(folder / (experiment + "/metrics.csv"));
        std::string header, column;
        std::getline(metrics, header);
        std::istringstream columns(header);
        while (std::getline(columns, column, ',')) {
            CAPTURE(column);
            // task3_return stands there as taskK_return, personal_mrr as personal_METRIC.
            column = std::regex_replace(column, std::regex("^(task|node)[0-9]+"), "$1K");
            column = std::regex_replace(column, std::regex("^(personal|shared)_.*"), "$1_METRIC");
            CHECK(page.find("`" + column + "`") != std::string::npos);
        }
    }
}

TEST_CASE("a rival that failed is named with why, and has no numbers") {
    const Folder folder;
    const Ended ended =
        run(folder, {"train", "regression", "--method=dpsgd", "--set=method.largest_value=1000000",
                     "--set=method.rounds=300", "--set=network.graph=ring", "--set=network.loss=0",
                     "--set=network.delay_limit=1", "--set=network.wake_gap=1", "--set=network.duplication=0",
                     "--set=network.crash_gap=0", "--set=report.personalisation=false", "--out=run", "--quiet"});
    INFO(ended.err);
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    const std::string page = read(folder / "run/report.html");
    std::size_t failures = 0;
    for (const nlohmann::json& row : summary["robustness"]) {
        const std::string failure = row["failure"];
        INFO(row.dump());
        CHECK(row["max_relative_error"].is_null() == !failure.empty());
        CHECK(row["consensus_error"].is_null() == !failure.empty());
        if (failure.empty()) continue;
        ++failures;
        CHECK(ended.err.find("failed: " + row["name"].get<std::string>()) != std::string::npos);
        CHECK(page.find(row["name"].get<std::string>() + " failed") != std::string::npos);
    }
    CHECK(failures > 0);
    CHECK(summary["failed"].size() == failures);
}

TEST_CASE("network.trace is followed by every kind that has it, and a bad one is wrong input, by its line") {
    const Folder folder;
    const std::string speeds = folder.file("phones.csv", "model,speed\nnew,30\nold,10\n");
    const std::string wrong = folder.file("links.csv", "src,dst,pdr\n0,1,0.5\n0,1,2\n");
    const std::map<std::string, std::string> shortest{{"fleet-navigation", "method.rounds=2"},
                                                      {"regression", "method.rounds=20"},
                                                      {"classification", "clock.budget_s=20"},
                                                      {"ranking", "clock.budget_s=20"}};
    for (const auto& [kind, key] : shortest) {
        INFO(kind);
        std::vector<std::string> train{"train", kind, "--set", key, "--set", "network.trace=" + speeds,
                                       "--out", kind};
        if (kind == "ranking") train.insert(train.end(), {"--set", "data.users=40"});
        const Ended good = run(folder, train);
        INFO(good.err);
        CHECK(good.code == 0);
        CHECK(good.err.find("speeds of 2 devices") != std::string::npos);
        CHECK(read_json(folder / (kind + "/summary.json")).dump().find("trace_repeated_nodes") !=
              std::string::npos);
        const Ended bad = run(folder, {"train", kind, "--set", "network.trace=" + wrong, "--out", "bad"});
        CHECK(bad.code == 2);
        CHECK(bad.err.find("line 3: '2' stands under 'pdr'") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(folder / "bad"));
    }
}

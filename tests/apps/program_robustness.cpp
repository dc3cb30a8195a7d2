// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace dunlin;
using namespace dunlin::program;
using nlohmann::json;

TEST_CASE(
    "a grid of attacks and defences says what counts, what the worst costs, and goes on where it was stopped") {
    const Folder folder;
    const std::vector<std::string> grid{"sweep",   "robustness",
                                        "--grid",  "data.alpha=1",
                                        "--grid",  "defence.name=none,median",
                                        "--grid",  "attack.name=none,absent,sign-flip,mimic",
                                        "--seeds", "1",
                                        "--set",   "clock.budget_s=150",
                                        "--out",   "grid",
                                        "--quiet"};
    const Ended table = run(folder, grid);
    INFO(table.err);
    REQUIRE(table.code == 0);
    CHECK_THAT(table.out, Catch::Contains("honest alone"));
    CHECK_THAT(table.out, Catch::Contains("worst loss"));
    std::filesystem::remove(folder / "grid/trials/0003-seed-1.json");
    const Ended again = run(folder, {"sweep", "--resume", "grid", "--json", "--quiet"});
    REQUIRE(again.code == 0);
    const json rows = json::parse(again.out)["robustness"]["rows"];
    REQUIRE(rows.size() == 2);
    const json& undefended = rows[0];
    const json& median = rows[1];
    CHECK(undefended["defence"] == "none");
    CHECK(undefended["honest_alone"] == median["honest_alone"]);
    // Three times the opposite of two members in ten leaves little of the mean, and much of the median.
    CHECK(undefended["attacks"]["sign-flip"]["counts"] == true);
    CHECK(undefended["attacks"]["mimic"]["counts"] == false);
    CHECK_THAT(table.out, Catch::Contains("("));
    CHECK(undefended["worst_loss"].get<double>() >= 0.2);
    CHECK(median["worst"] == median["attacks"]["sign-flip"]["mean"]);
    CHECK(median["worst"].get<double>() > undefended["worst"].get<double>() + 0.1);
}

TEST_CASE("a run with noise says what it tells of a member, against whom, and what is not counted") {
    const Folder folder;
    const Ended ended =
        run(folder, {"train", "classification", "--method", "fedavg", "--set", "clock.budget_s=200", "--set",
                     "privacy.clip=0.5", "--set", "privacy.noise=1", "--set", "clock.concurrency=0.2", "--set",
                     "report.evaluations=1", "--out", "run", "--quiet"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const json summary = json::parse(read(folder / "run/summary.json"));
    const json& privacy = summary["privacy"];
    CHECK(privacy["rounds"].get<int>() > 0);
    CHECK(privacy["delta"].get<double>() == Approx(1e-5));
    CHECK_THAT(privacy["unit"].get<std::string>(), Catch::Contains("one member"));
    CHECK_THAT(privacy["against"].get<std::string>(), Catch::Contains("server is trusted"));
    // As the accountants by themselves say it of so many rounds.
    const Ended accounted = run(folder, {"privacy", "--noise", "1", "--rate", "0.2", "--steps",
                                         privacy["rounds"].dump(), "--delta", "1e-5", "--json"});
    REQUIRE(accounted.code == 0);
    const json told = json::parse(accounted.out);
    CHECK(privacy["epsilon_pld"].get<double>() == Approx(told["epsilon_pld"].get<double>()).epsilon(1e-3));
    CHECK(privacy["epsilon"] ==
          std::min(privacy["epsilon_pld"].get<double>(), privacy["epsilon_rdp"].get<double>()));
}

TEST_CASE("an audit recovers rows of single updates in clear, and fewer of sums") {
    const Folder folder;
    REQUIRE(run(folder, {"train", "classification", "--set", "data.rows=300", "--set", "data.clients=6", "--set",
                         "clock.budget_s=60", "--out", "run", "--quiet"})
                .code == 0);
    const Ended audit =
        run(folder, {"audit", "run", "--set", "federated.batch=1", "--set", "federated.local_steps=1", "--json"});
    INFO(audit.err);
    REQUIRE(audit.code == 0);
    const json told = json::parse(audit.out);
    REQUIRE(told.at("leaks").size() > 2);
    CHECK(told.at("leaks").at(0).at("observer") == "coordinator");
    CHECK(told.at("leaks").at(0).at("rows") > 0.9);
    CHECK(told.at("leaks").at(2).at("rows") < told.at("leaks").at(0).at("rows"));
    CHECK(run(folder, {"audit", "nowhere"}).code == 2);
}

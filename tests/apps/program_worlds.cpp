// SPDX-License-Identifier: Apache-2.0
// Worlds beyond one map with four directions, and users whom training never met.
#include "program.hpp"

#include <filesystem>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

std::vector<std::string> set_to(std::vector<std::string> arguments, const std::vector<std::string>& settings) {
    for (const std::string& setting : settings) arguments.push_back("--set=" + setting);
    return arguments;
}

const std::vector<std::string> small{"rl.iterations=2",
                                     "rl.horizon=8",
                                     "rl.trajectories=4",
                                     "rl.task_batch=2",
                                     "rl.inner_steps=1",
                                     "report.adaptation_steps=1",
                                     "rl.baseline=none",
                                     "policy.hidden=[8]",
                                     "environment.training_tasks=6",
                                     "environment.held_out_tasks=4"};

}  // namespace

TEST_CASE("several maps are trained on, others are held out, and a task is named by its map") {
    const Folder folder;
    std::filesystem::create_directory(folder / "maps");
    folder.file("maps/bend.map", "type octile\nheight 3\nwidth 4\nmap\n....\n.@@.\n....\n");
    folder.file("maps/long.map", "type octile\nheight 2\nwidth 9\nmap\n.........\n.........\n");
    std::vector<std::string> settings = small;
    settings.insert(settings.end(), {R"(environment.maps=["maps","empty-4x4"])", "environment.largest_side=8",
                                     R"(environment.held_out_maps=["empty-3x5"])"});
    const Ended ended = run(folder, set_to({"train", "navigation-goals", "--out", "run"}, settings));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.err.find("left out: 1 of the maps") != std::string::npos);  // the long one is left out
    const auto summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("held_out").at("distinct_tasks") == 4);
    CHECK(summary.at("tasks").at(0).dump().find("map") == std::string::npos);  // a name, not a path
    CHECK(ended.out.find("bend, goal") != std::string::npos);

    const Ended adapted = run(folder, {"adapt", "run", "--task", "map=empty-3x5;goal=2,4"});
    INFO(adapted.err);
    CHECK(adapted.code == 0);
    const Ended nowhere = run(folder, {"adapt", "run", "--task", "goal=2,4"});
    CHECK(nowhere.code == 2);
    CHECK(nowhere.err.find("map=NAME") != std::string::npos);
}

TEST_CASE("moves to eight neighbours are learned, explained and refused where only four are known") {
    const Folder folder;
    std::vector<std::string> settings = small;
    settings.push_back("environment.diagonal_moves=true");
    settings.push_back("rl.baseline=leave-one-out");
    const Ended ended = run(folder, set_to({"train", "navigation", "--out", "run"}, settings));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(run(folder, {"inspect", "run"}).out.find("action 8: down right") != std::string::npos);
    CHECK(run(folder, {"adapt", "run", "--task", "goal=2,4;moves=8,7,6,5,4,3,2,1,0"}).code == 0);
    CHECK(run(folder, {"adapt", "run", "--task", "goal=2,4;moves=4,3,2,1,0"}).code == 2);
    const Ended board = run(folder, {"export", "run", "--format", "header"});
    CHECK(board.code == 2);
    CHECK(board.err.find("environment.diagonal_moves") != std::string::npos);
}

TEST_CASE("the plane has obstacles, drift and ends, which its pictures and its model tell") {
    const Folder folder;
    std::vector<std::string> settings = small;
    settings.insert(settings.end(), {"environment.obstacles=3", "environment.drift_limit=0.02",
                                     "environment.goal_radius=0.01", "environment.point_reward=distance"});
    const Ended ended = run(folder, set_to({"train", "point-navigation", "--out", "run"}, settings));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out.find("drift (") != std::string::npos);
    CHECK(read(folder / "run/navigation-end.svg").find("obstacle") != std::string::npos);
    const std::string model = run(folder, {"inspect", "run"}).out;
    for (const char* told : {"minus the distance", "within 0.01", "3 round obstacles", "drift of up to 0.02"})
        CHECK(model.find(told) != std::string::npos);
    CHECK(run(folder, {"adapt", "run", "--task", "goal=0.2,-0.3;drift=0.01,0"}).code == 0);
    const Ended wrong = run(folder, set_to({"train", "point-navigation", "--out", "other"},
                                           {"environment.obstacles=8", "environment.obstacle_radius=0.25"}));
    CHECK(wrong.code == 2);
    CHECK(wrong.err.find("environment.obstacles = 8") != std::string::npos);
}

TEST_CASE("users who took no part in training are met at its end, in the summary, the report and comparisons") {
    const Folder folder;
    const std::vector<std::string> settings{"data.domains=5",      "data.split=users",       "data.rows=1000",
                                            "clock.budget_s=40",   "newcomers.count=2",      "newcomers.rows=[1,4]",
                                            "newcomers.repeats=1", "newcomers.own_steps=50", "model.hidden=[16]"};
    const Ended ended = run(folder, set_to({"train", "classification", "--out", "run"}, settings));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out.find("2 users who were never met, 4 rows a class") != std::string::npos);
    const auto newcomers = read_json(folder / "run/summary.json").at("newcomers");
    for (const char* key : {"before", "adapted", "own"}) CHECK(newcomers.at(key).size() == 2);
    CHECK(read(folder / "run/report.html").find("Users who were never met") != std::string::npos);

    const Ended compared = run(
        folder, set_to({"compare", "classification", "--methods", "fedavg,local", "--seeds", "2", "--out", "both"},
                       settings));
    INFO(compared.err);
    CHECK(compared.code == 0);
    CHECK(read(folder / "both/comparison.csv").find("newcomers_4") != std::string::npos);
}

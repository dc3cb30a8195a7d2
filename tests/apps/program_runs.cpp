// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/experiments.hpp"
#include "program.hpp"
#include "program_path.hpp"

#include <csignal>
#include <memory>
#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

constexpr const char* small_map = "type octile\nheight 2\nwidth 3\nmap\n...\n.@.\n";

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// What two runs with the same settings have in common.
nlohmann::json numbers(const std::filesystem::path& run) {
    nlohmann::json all = read_json(run / "summary.json");
    for (const char* key : {"seconds", "env_steps_per_second", "threads", "central_seconds"}) all.erase(key);
    return all;
}

std::size_t runs_in(const Folder& folder) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "runs")) {
        ++count;
        INFO(entry.path());
        CHECK(std::filesystem::exists(entry.path() / "summary.json"));
        CHECK_FALSE(std::filesystem::exists(entry.path() / ".in-use"));
    }
    return count;
}

}  // namespace

TEST_CASE("runs and comparisons that start together have a directory each") {
    const Folder folder;
    std::vector<std::unique_ptr<Running>> all;
    for (int seed = 1; seed <= 8; ++seed) {
        all.push_back(std::make_unique<Running>(
            folder, small_run("train", {"--quiet", "--seed", std::to_string(seed), "--set=rl.iterations=1"})));
    }
    for (int seed = 1; seed <= 3; ++seed) {
        all.push_back(std::make_unique<Running>(
            folder, small_run("compare", {"--quiet", "--methods=memrl", "--seeds=1", "--threads=1", "--seed",
                                          std::to_string(100 * seed), "--set=rl.iterations=1"})));
    }
    for (auto& one : all) {
        const Ended ended = one->wait();
        INFO(ended.err);
        CHECK(ended.code == 0);
    }
    CHECK(runs_in(folder) == 11);
    std::set<int> seeds;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "runs")) {
        const std::string config = read(entry.path() / "config.toml");
        const bool one = std::filesystem::exists(entry.path() / "metrics.csv");
        const int seed = one ? read_json(entry.path() / "summary.json")["seed"].get<int>()
                             : read_json(entry.path() / "plan.json")["first_seed"].get<int>();
        if (one) CHECK(contains(config, "seed = " + std::to_string(seed) + " "));
        seeds.insert(seed);
    }
    CHECK(seeds.size() == 11);
}

TEST_CASE("a directory in use is refused with who holds it, and a killed run leaves no lock") {
    const Folder folder;
    Running first(folder, small_run("train", {"--out=run", "--set=rl.iterations=100000000"}));
    REQUIRE(first.wait_for_error_text("iteration"));
    const std::string holder = "process " + std::to_string(first.process()) + " on ";
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"train", "--resume", "run"},
                                               small_run("train", {"--out=run"}),
                                               small_run("compare", {"--out=run"}),
                                               small_run("sweep", {"--out=run", "--grid=rl.horizon=5,6"})}) {
        const Ended refused = run(folder, arguments);
        INFO(refused.err);
        CHECK(refused.code == 1);
        CHECK(contains(refused.err, "run: in use by " + holder));
        CHECK(contains(refused.err, "train navigation"));
        CHECK(lines(refused.err).size() == 1);
    }
    first.send(SIGKILL);
    first.wait();
    Running again(folder, {"train", "--resume", "run"});
    REQUIRE(again.wait_for_error_text("iteration"));
    again.send(SIGINT);
    CHECK(again.wait().code == 130);
    CHECK_FALSE(std::filesystem::exists(folder / "run/.in-use"));
}

TEST_CASE("exports and adaptations into a run wait for its writer, and are refused where it goes on") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out=run", "--quiet"})).code == 0);
    std::string config = read(folder / "run/config.toml");
    config.replace(config.find("iterations = 4"), 14, "iterations = 900000000");
    folder.file("run/config.toml", config);
    Running goes_on(folder, {"train", "--resume", "run"});
    REQUIRE(goes_on.wait_for_error_text("iteration"));
    Running adapts(folder, {"adapt", "run", "--steps=1"}), exports(folder, {"export", "run", "--format=c"});
    for (Running* writer : {&adapts, &exports}) {
        const Ended ended = writer->wait();
        INFO(ended.err);
        CHECK(ended.code != 0);
        CHECK(contains(ended.err, "in use by process"));
    }
    CHECK(run(folder, {"adapt", "run", "--steps=1", "--no-plot"}).code == 0);
    CHECK(run(folder, {"export", "run", "--format=c", "--out=elsewhere"}).code == 0);
}

TEST_CASE("a run whose settings name files goes on, adapts, exports and is made again from any folder") {
    const Folder folder;
    std::filesystem::create_directories(folder / "a b");
    folder.file("a b/my.map", small_map);
    const std::vector<std::string> short_run{"--set=rl.iterations=1",
                                             "--set=environment.training_tasks=1",
                                             "--set=environment.held_out_tasks=1",
                                             "--set=rl.horizon=5",
                                             "--set=rl.trajectories=2",
                                             "--set=rl.task_batch=1",
                                             "--quiet"};
    std::vector<std::string> arguments{
        "-C",       "a b", DUNLIN_PROGRAM, "train", "navigation-goals", "--set=environment.map=../a b/my.map",
        "--out=run"};
    arguments.insert(arguments.end(), short_run.begin(), short_run.end());
    REQUIRE(Running(folder, arguments, "env ").wait().code == 0);
    CHECK(contains(read(folder / "a b/run/config.toml"), "map = \"" + (folder / "a b/my.map").string() + "\""));
    CHECK(run(folder, {"adapt", "a b/run"}).code == 0);
    CHECK(run(folder, {"train", "--resume", "a b/run"}).code == 0);
    CHECK(run(folder, {"export", "a b/run", "--trajectories", "--count=1"}).code == 0);

    const Ended again = run(folder, {"train", "--config", "a b/run/config.toml"});
    INFO(again.err);
    REQUIRE(again.code == 0);
    CHECK(numbers(folder / "runs/navigation-goals") == numbers(folder / "a b/run"));
    CHECK(read(folder / "runs/navigation-goals/config.toml") == read(folder / "a b/run/config.toml"));
    CHECK(
        run(folder, {"compare", "--config", "a b/run/config.toml", "--methods=memrl,reptile", "--seeds=1"}).code ==
        0);
}

TEST_CASE("config.toml alone makes a run of any kind again") {
    const std::vector<std::vector<std::string>> runs{
        {"point-navigation", "--set=rl.iterations=1", "--set=rl.horizon=5", "--set=rl.trajectories=4", "--seed=7",
         "--method=fomaml"},
        {"classification", "--set=data.rows=200", "--set=clock.budget_s=20", "--set=report.evaluations=2",
         "--seed=3"},
        {"regression", "--set=method.rounds=200", "--set=report.robustness=false",
         "--set=report.personalisation=false", "--seed=5"},
        {"fleet-navigation", "--set=method.rounds=4", "--set=method.settling_rounds=2",
         "--set=report.centralised=false"}};
    for (const auto& one : runs) {
        const Folder folder;
        std::vector<std::string> arguments{"train", "--out=first", "--quiet"};
        arguments.insert(arguments.end(), one.begin(), one.end());
        const Ended first = run(folder, arguments);
        INFO(one[0] << ": " << first.err);
        REQUIRE(first.code != 2);
        const Ended second = run(folder, {"train", "--out=second", "--quiet", "--config=first/config.toml"});
        INFO(second.err);
        CHECK(second.code == first.code);
        CHECK(numbers(folder / "first") == numbers(folder / "second"));
        CHECK(read(folder / "first/config.toml") == read(folder / "second/config.toml"));
    }
}

TEST_CASE("commands that are printed work in a shell as they stand") {
    const Folder folder;
    const std::string odd = "a b'c\n$HOME \"d\" (e) *";
    std::filesystem::create_directories(folder / odd);
    folder.file(odd + "/more.toml", "[rl]\nhorizon = 9\n");
    Running interrupted(folder,
                        small_run("train", {"--out", odd + "/run", "--config", odd + "/more.toml",
                                            "--set=rl.iterations=100000000", "--set", "experiment=it's $a"}));
    REQUIRE(interrupted.wait_for_error_text("iteration"));
    interrupted.send(SIGINT);
    const Ended stopped = interrupted.wait();
    INFO(stopped.err);
    REQUIRE(stopped.code == 130);
    const auto pasted = [&](std::string command) {
        const std::string program = std::filesystem::path(DUNLIN_PROGRAM).parent_path().string();
        folder.file("pasted.sh", "PATH=" + program + ":$PATH\n" + command + "\n");
        return std::make_unique<Running>(folder, std::vector<std::string>{"pasted.sh"}, "/bin/sh");
    };
    const std::string hint = "go on with: ";
    auto resumed = pasted("exec " + stopped.err.substr(stopped.err.find(hint) + hint.size()));
    REQUIRE(resumed->wait_for_error_text("iteration"));
    resumed->send(SIGINT);
    const Ended again = resumed->wait();
    INFO(again.err);
    CHECK(again.code == 130);
}

TEST_CASE("the help of an experiment shows that experiment's settings, and the general one how to get there") {
    const Folder folder;
    for (const char* command : {"train", "compare", "sweep"}) {
        const Ended general = run(folder, {command, "--help"});
        CHECK(general.code == 0);
        CHECK(contains(general.out, "EXPERIMENT --help"));
        CHECK(lines(general.out).size() < 84);
        for (const app::Experiment& experiment : app::experiments()) {
            if (std::string(command) != "train" && experiment.name != "navigation" &&
                experiment.name != "regression")
                continue;
            const Ended help = run(folder, {command, std::string(experiment.name), "--help"});
            INFO(experiment.name);
            CHECK(help.code == 0);
            CHECK(help.err.empty());
            CHECK(contains(help.out, "Settings of " + std::string(experiment.name) + ","));
            CHECK(lines(help.out).size() < 170);
            std::size_t kinds = 0;
            for (const char* own : {"rl.prox_weight", "push.graph", "method.step_scale", "method.neumann_terms",
                                    "method.outer_steps", "network.wake_gap"})
                kinds += contains(help.out, own) ? 1 : 0;
            CHECK(kinds >= 1);
        }
    }
    const Ended navigation = run(folder, {"train", "navigation", "--help"});
    CHECK(contains(navigation.out, "rl.prox_weight"));
    CHECK_FALSE(contains(navigation.out, "federated.method"));
    CHECK(contains(run(folder, {"train", "navigaton", "--help"}).out, "no experiment \"navigaton\""));
}

TEST_CASE("quiet commands print their result and nothing else") {
    const Folder folder;
    const auto is_quiet = [&](const std::vector<std::string>& arguments, bool prints) {
        const Ended ended = run(folder, arguments);
        INFO(arguments[0]);
        CHECK(ended.code == 0);
        CHECK(ended.err.empty());
        CHECK(ended.out.empty() != prints);
    };
    is_quiet(small_run("train", {"--quiet", "--out=run"}), true);
    is_quiet(small_run("compare", {"--quiet", "--methods=memrl", "--seeds=1"}), true);
    is_quiet(small_run("sweep", {"--quiet", "--grid=rl.task_batch=1,2", "--seeds=1"}), true);
    is_quiet({"adapt", "run", "--quiet"}, true);
    is_quiet({"export", "run", "--format=c", "--quiet"}, false);
    is_quiet({"train", "regression", "--quiet", "--set=method.rounds=200", "--set=report.robustness=false",
              "--set=report.personalisation=false"},
             true);
    is_quiet({"fleet", "init", "--store=fleet", "--quiet"}, true);
    is_quiet({"fleet", "jobs", "--store=fleet", "--quiet"}, true);
}

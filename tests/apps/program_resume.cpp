// SPDX-License-Identifier: Apache-2.0
// Runs of every kind that are killed, or have ended, and go on.
#include "program.hpp"
#include "training/host/array_file.hpp"

#include <algorithm>
#include <csignal>
#include <regex>

#include <catch2/catch.hpp>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

using namespace dunlin::program;

namespace {

using Words = std::vector<std::string>;

Words operator+(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Words set(const Words& assignments) {
    Words words;
    for (const std::string& assignment : assignments) words = words + Words{"--set", assignment};
    return words;
}

nlohmann::json timeless(nlohmann::json summary) {
    for (const char* key : {"seconds", "threads", "env_steps_per_second"}) summary.erase(key);
    return summary;
}

/// metrics.csv without the seconds, which are navigation's.
std::vector<std::vector<std::string>> timeless_metrics(const std::filesystem::path& directory) {
    auto rows = csv(read(directory / "metrics.csv"));
    const auto seconds = std::ranges::find(rows.front(), "seconds") - rows.front().begin();
    if (seconds == std::ssize(rows.front())) return rows;
    for (auto& row : rows) row.erase(row.begin() + seconds);
    return rows;
}

void same_runs(const Folder& folder, const std::string& one, const std::string& other) {
    CHECK(timeless(read_json(folder / one / "summary.json")) ==
          timeless(read_json(folder / other / "summary.json")));
    CHECK(timeless_metrics(folder / one) == timeless_metrics(folder / other));
    CHECK(read(folder / one / "config.toml") == read(folder / other / "config.toml"));
    for (const char* model : {"model.dunlin", "policy.dunlin"}) {
        REQUIRE(std::filesystem::exists(folder / one / model) == std::filesystem::exists(folder / other / model));
        if (std::filesystem::exists(folder / one / model))
            CHECK(read(folder / one / model) == read(folder / other / model));
    }
}

/// Starts what never ends, and kills it when it has a checkpoint.
void kill_in_the_midst(const Folder& folder, const Words& endless) {
    std::filesystem::create_directory(folder / "run");
    const int watch = ::inotify_init1(IN_CLOEXEC);
    REQUIRE(::inotify_add_watch(watch, (folder / "run").c_str(), IN_MOVED_TO) >= 0);
    Running running(folder, endless + Words{"--out", "run", "--quiet"});
    while (!std::filesystem::exists(folder / "run/checkpoint.dunlin")) {
        pollfd wait{watch, POLLIN, 0};
        REQUIRE(::poll(&wait, 1, 60'000) == 1);  // else it ended without one, or hangs
        alignas(inotify_event) char events[4096];
        REQUIRE(::read(watch, events, sizeof events) > 0);  // a file of the run has its name now
    }
    ::close(watch);
    running.send(SIGKILL);
    REQUIRE(running.wait().signal == SIGKILL);
    REQUIRE_FALSE(std::filesystem::exists(folder / "run/summary.json"));
}

/// How much of `key` a run has done, as it says when it is told to go on with less.
std::int64_t done(const Folder& folder, const std::string& key) {
    const std::string before = read(folder / "run/config.toml");
    const Ended refused = run(folder, {"train", "--resume", "run", "--set", key + "=1"});
    INFO(refused.err);
    CHECK(refused.code == 1);
    CHECK(refused.err.find(key) != std::string::npos);
    CHECK(read(folder / "run/config.toml") == before);
    std::smatch found;
    REQUIRE(std::regex_search(refused.err, found, std::regex("([0-9]+) are done already")));
    return std::stoll(found[1]);
}

/// An endless run that is killed goes on to a length, perhaps with more threads, and is what a run of that length is.
void killed_run_goes_on(const Words& experiment, const std::string& key, const std::string& endless,
                        std::int64_t more, const std::string& threads = "1") {
    const Folder folder;
    kill_in_the_midst(folder, Words{"train"} + experiment + set({key + "=" + endless}));
    const std::string length = key + "=" + std::to_string(done(folder, key) + more);
    const Ended resumed =
        run(folder, {"train", "--resume", "run", "--set", length, "--threads", threads, "--quiet"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    const Ended whole =
        run(folder, Words{"train"} + experiment + set({length}) + Words{"--out", "whole", "--quiet"});
    REQUIRE(whole.code == 0);
    same_runs(folder, "run", "whole");
}

const Words navigation =
    Words{"fleet-navigation"} + set({"environment.nodes=4", "environment.map=empty-4x4", "environment.horizon=10",
                                     "policy.hidden=[8]", "adaptation.trajectories=4", "report.adaptations=2",
                                     "report.evaluate_every=20", "method.settling_rounds=0"});
const Words classification = Words{"classification"} + set({"data.rows=400", "data.clients=8", "model.hidden=[8]",
                                                            "personal.steps=3", "report.evaluations=1"});
const Words regression = Words{"regression"} + set({"environment.dimension=5", "report.personalisation=false",
                                                    "report.robustness=false", "report.evaluate_every=1000"});
const Words digits = Words{"spdb-digits"} +
                     set({"data.rows=300", "model.hidden=[6]", "report.figure=false", "report.evaluations=1"});
const Words pdbo =
    Words{"pdbo"} + set({"data.agents=6", "data.rows=300", "data.side=6", "model.hidden=[6]", "model.predictors=2",
                         "method.inner_steps=30", "method.neumann_steps=3", "report.peers=false"});

}  // namespace

TEST_CASE("a fleet that learns navigation without a server is killed, goes on, and ends as if nothing had been") {
    killed_run_goes_on(navigation + set({"report.centralised=false"}), "method.rounds", "1000000", 30);
}

TEST_CASE("the same with nodes that crash, and with the run in one process that it is compared with") {
    killed_run_goes_on(navigation + set({"network.crash_gap=20"}), "method.rounds", "1000000", 30);
}

TEST_CASE("a fleet whose policies keep layers at home is killed, and goes on with them") {
    killed_run_goes_on(navigation + set({"adaptation.trajectories=200"}) + Words{"--method", "spdb"},
                       "method.rounds", "1000000", 30);
}

TEST_CASE("a fleet whose nodes keep policies of their own is killed, and goes on with them") {
    killed_run_goes_on(
        navigation + set({"adaptation.trajectories=200", "objective.name=ditto", "aggregation.name=fedavg"}),
        "method.rounds", "1000000", 30);
}

TEST_CASE("a fleet that learns navigation with a server is killed and goes on") {
    killed_run_goes_on(navigation + set({"report.centralised=false"}) + Words{"--method", "persafl-me"},
                       "method.rounds", "1000000", 30);
}

TEST_CASE("classification with a server is killed and goes on, in spite of losses") {
    killed_run_goes_on(classification + set({"clock.loss=0.2"}), "clock.budget_s", "100000000", 50, "2");
}

TEST_CASE("classification without a server, and with a personal layer, is killed and goes on") {
    killed_run_goes_on(classification + set({"model.personal_layers=[last]"}) + Words{"--method", "pars-push-me"},
                       "clock.budget_s", "100000000", 50);
}

TEST_CASE("ranking is killed and goes on") {
    killed_run_goes_on(Words{"ranking", "--method", "persafl-me"} +
                           set({"data.users=12", "report.evaluations=1", "personal.steps=3"}),
                       "clock.budget_s", "100000000", 50);
}

TEST_CASE("clients that learn alone are killed and go on") {
    killed_run_goes_on(classification + Words{"--method", "local"}, "baseline.steps", "10000000", 50);
}

TEST_CASE("regression is killed and goes on") {
    killed_run_goes_on(regression, "method.rounds", "1000000000", 700);
}

TEST_CASE("spdb is killed and goes on") {
    killed_run_goes_on(digits, "method.iterations", "100000000", 100);
}

TEST_CASE("pdbo is killed and goes on") {
    killed_run_goes_on(pdbo, "method.outer_steps", "10000", 2);
}

TEST_CASE("a run that has ended goes on to what one run of that length is") {
    const Folder folder;
    const auto goes_on = [&](const Words& experiment, const Words& shorter, const Words& longer) {
        INFO(experiment.front());
        for (const char* name : {"run", "whole"}) std::filesystem::remove_all(folder / name);
        run(folder, Words{"train"} + experiment + set(shorter) + Words{"--out", "run", "--quiet"});
        const Ended resumed = run(folder, Words{"train", "--resume", "run", "--quiet"} + set(longer));
        const Ended whole =
            run(folder, Words{"train"} + experiment + set(longer) + Words{"--out", "whole", "--quiet"});
        // What is so short may have learned nothing, which is said by an exit code.
        CHECK(resumed.code == whole.code);
        CHECK(resumed.err == whole.err);
        REQUIRE(std::filesystem::exists(folder / "run/summary.json"));
        same_runs(folder, "run", "whole");
    };
    goes_on(navigation, {"method.rounds=30"}, {"method.rounds=70"});
    goes_on(classification, {"clock.budget_s=40"}, {"clock.budget_s=80", "report.evaluations=2"});
    goes_on(classification + Words{"--method", "pars-push"}, {"clock.budget_s=40"},
            {"clock.budget_s=80", "report.evaluations=2"});
    goes_on(classification + Words{"--method", "global"}, {"baseline.steps=40"},
            {"baseline.steps=80", "report.evaluations=2"});
    goes_on(regression, {"method.rounds=700"}, {"method.rounds=900"});
    goes_on(digits, {"method.iterations=60"}, {"method.iterations=120", "report.evaluations=2"});
    goes_on(pdbo, {"method.outer_steps=1"}, {"method.outer_steps=3"});
    goes_on(Words{"navigation"} +
                set({"environment.training_tasks=2", "rl.horizon=8", "rl.trajectories=4", "policy.hidden=[8]"}),
            {"rl.iterations=4"}, {"rl.iterations=8"});
}

TEST_CASE("a run that goes on refuses by name what would make another run of it, and takes what does not") {
    const Folder folder;
    REQUIRE(run(folder, Words{"train"} + navigation + set({"method.rounds=4", "report.centralised=false"}) +
                            Words{"--out", "run", "--quiet"})
                .code == 0);
    const std::string before = read(folder / "run/config.toml");
    for (const std::string assignment : {"environment.map=empty-5x5", "policy.hidden=[9]", "seed=2",
                                         "method.interpolation=0.1", "aggregation.name=dpsgd", "method.name=sgp",
                                         "network.loss=0.1", "adaptation.steps=3", "kernels=reference"}) {
        const Ended refused = run(folder, {"train", "--resume", "run", "--set", assignment});
        INFO(assignment << "\n" << refused.err);
        CHECK(refused.code == 2);
        CHECK(refused.err.find(assignment.substr(0, assignment.find('='))) != std::string::npos);
        CHECK(refused.err.find("without --resume") != std::string::npos);
        CHECK(lines(refused.err).size() == 1);
    }
    CHECK(run(folder, {"train", "--resume", "run", "--set", "method.runds=5"}).code == 2);
    CHECK(read(folder / "run/config.toml") == before);
    const Ended taken = run(folder, {"train", "--resume", "run", "--quiet", "--threads", "2", "--set",
                                     "report.evaluate_every=3", "--set", "seed=1", "--set", "method.rounds=7"});
    INFO(taken.err);
    CHECK(taken.code == 0);
    CHECK(read_json(folder / "run/summary.json").at("complete") == true);
    const std::string after = read(folder / "run/config.toml");
    CHECK(after.find("\nrounds = 7 ") != std::string::npos);
    CHECK(after.find("\nevaluate_every = 3 ") != std::string::npos);
    // Who edits the file instead of saying --set is told the same.
    std::string edited = after;
    edited.replace(edited.find("\nseed = 1"), 9, "\nseed = 3");
    folder.file("run/config.toml", edited);
    const Ended refused = run(folder, {"train", "--resume", "run"});
    CHECK(refused.code == 2);
    CHECK(refused.err.find("seed: the run was made with 1") != std::string::npos);
}

TEST_CASE("a checkpoint that is cut off, damaged, foreign or of another format is refused with what to do") {
    const Folder folder;
    REQUIRE(run(folder, Words{"train"} + navigation + set({"method.rounds=3", "report.centralised=false"}) +
                            Words{"--out", "run", "--quiet"})
                .code == 0);
    const std::string whole = read(folder / "run/checkpoint.dunlin"), summary = read(folder / "run/summary.json");
    std::string damaged = whole;
    damaged[whole.size() / 2] ^= 1;
    dunlin::ArrayFile older = *dunlin::ArrayFile::parse(whole, "run-checkpoint");
    older.fields["format"] = "1";
    for (const auto& [bytes, why] :
         {std::pair{whole.substr(0, whole.size() - 7), "cut off"}, std::pair{damaged, "damaged"},
          std::pair{older.bytes(), "an older Dunlin"}, std::pair{std::string("nothing"), "not a file"},
          std::pair{read(folder / "run/policy.dunlin"), "not a file"}}) {
        folder.file("run/checkpoint.dunlin", bytes);
        const Ended refused = run(folder, {"train", "--resume", "run", "--set", "method.rounds=5"});
        INFO(refused.err);
        CHECK(refused.code != 0);
        CHECK(refused.err.find("run/checkpoint.dunlin") != std::string::npos);
        CHECK(refused.err.find(why) != std::string::npos);
        CHECK(refused.err.find("begins again from its seed") != std::string::npos);
        CHECK(read(folder / "run/summary.json") == summary);
    }
    std::filesystem::remove(folder / "run/checkpoint.dunlin");
    REQUIRE(run(folder, {"train", "--resume", "run", "--quiet"}).code == 0);
    CHECK(timeless(read_json(folder / "run/summary.json")) == timeless(nlohmann::json::parse(summary)));
}

TEST_CASE("a fleet's run that Ctrl-C stopped keeps what there is and goes on") {
    const Folder folder;
    const Words words = Words{"train"} + navigation + set({"report.centralised=false", "method.rounds=10000"});
    Running running(folder, words + Words{"--out", "run"});
    REQUIRE(running.wait_for_error_text("round"));
    running.send(SIGINT);
    const Ended ended = running.wait();
    INFO(ended.err);
    CHECK(ended.code == 130);
    CHECK(ended.err.find("go on with: dunlin train --resume run") != std::string::npos);
    CHECK(read_json(folder / "run/summary.json").at("complete") == false);
    REQUIRE(run(folder, {"train", "--resume", "run", "--quiet"}).code == 0);
    REQUIRE(run(folder, words + Words{"--out", "whole", "--quiet"}).code == 0);
    same_runs(folder, "run", "whole");
}

// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"
#include "training/host/array_file.hpp"

#include <functional>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

/// One line on stderr that holds all of `parts`, nothing on stdout, exit code 2.
void is_refused(const Ended& ended, const std::vector<std::string>& parts) {
    INFO(ended.err);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    const std::vector<std::string> said = lines(ended.err);
    REQUIRE(said.size() == 1);
    CHECK(said[0].rfind("dunlin: ", 0) == 0);
    for (const std::string& part : parts) {
        INFO(part);
        CHECK(said[0].find(part) != std::string::npos);
    }
}

/// The same, and no run directory was begun.
void refuses(const std::vector<std::string>& options, const std::vector<std::string>& parts) {
    const Folder folder;
    is_refused(run(folder, small_run("train", options)), parts);
    CHECK(std::filesystem::is_empty(folder.path()));
}

void refuses_map(const std::string& text, const std::vector<std::string>& parts) {
    const Folder folder;
    const std::string map = folder.file("bad.map", text);
    is_refused(run(folder, {"train", "navigation", "--out", "run", "--set", "environment.map=" + map}), parts);
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

void refuses_config(const std::string& text, const std::vector<std::string>& parts) {
    const Folder folder;
    folder.file("bad.toml", text);
    is_refused(run(folder, {"train", "navigation", "--out", "run", "--config", "bad.toml"}), parts);
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

/// `adapt` on a run whose policy file was changed.
void refuses_policy(const std::function<void(std::string&)>& change, const std::vector<std::string>& parts) {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run"})).code == 0);
    std::string bytes = read(folder / "run/policy.dunlin");
    change(bytes);
    folder.file("run/policy.dunlin", bytes);
    is_refused(run(folder, {"adapt", "run"}), parts);
    CHECK_FALSE(std::filesystem::exists(folder / "run/adapt.svg"));
}

}  // namespace

TEST_CASE("an unknown key is refused with the key that was probably meant") {
    refuses({"--set", "rl.horizn=30"}, {"rl.horizn", "did you mean rl.horizon?"});
    refuses_config("seed = 3\n[rl]\nhorizn = 30\n", {"bad.toml:3", "rl.horizn", "did you mean rl.horizon?"});
    refuses_config("[rn]\nhorizon = 30\n", {"bad.toml:1", "[rn]"});
}

TEST_CASE("a value of the wrong type or out of its range is refused with what is expected") {
    refuses({"--set", "rl.horizon=soon"}, {"rl.horizon=soon", "expected a whole number"});
    refuses({"--set", "rl.horizon=-5"}, {"rl.horizon=-5", "at least 0"});
    refuses({"--set", "rl.inner_rate=nan"}, {"rl.inner_rate=nan", "expected a number"});
    refuses({"--set", "rl.method=mamel"},
            {"rl.method=mamel", "one of memrl, maml, fomaml, reptile, anil, meta-sgd, imaml, scratch, rl2, joint"});
    refuses({"--set", "rl.horizon"}, {"rl.horizon", "KEY=VALUE"});
    refuses_config("[rl]\nhorizon = -5\n", {"bad.toml:2", "rl.horizon = -5", "at least 0"});
    refuses_config("[rl]\nhorizon = \"long\"\n", {"bad.toml:2", "rl.horizon = ", "expected a whole number"});
    refuses_config("[rl\n", {"bad.toml:1"});
}

TEST_CASE("settings that do not fit each other are refused by their keys") {
    refuses({"--set", "rl.task_batch=9"}, {"rl.task_batch = 9", "3 training tasks"});
    refuses({"--set", "rl.prox_weight=2"}, {"rl.inner_rate", "rl.prox_weight = 2"});
    refuses({"--set", "kernels=sse"}, {"kernels = \"sse\"", "use fast, reference"});
}

TEST_CASE("a map that cannot be used is refused with its file and line") {
    refuses({"--set", "environment.map=nowhere.map"}, {"environment.map: nowhere.map", "built-in map: empty-RxC"});
    refuses_map("type octile\nheight 3\nwidth 3\nmap\n...\n.@.\n", {"bad.map", "ends after 2 of 3 rows"});
    refuses_map("type octile\nheight 2\nwidth 3\nmap\n@@@\n@@@\n", {"bad.map", "no free cell"});
    refuses_map("type octile\nheight 2\nwidth 3\nmap\n...\n.?.\n", {"bad.map", "line 6, column 2"});
    refuses_map("type octile\nheight many\n", {"bad.map", "line 2"});
    refuses({"--set", "environment.rows=['...','##']"}, {"environment.rows", "2"});
}

TEST_CASE("a goal or a start inside a wall or off the map is refused with its place") {
    const std::string rows = "environment.rows=['..#','...','...']";
    refuses({"--set", rows, "--set", "environment.goals=['0,2']"},
            {"environment.goals", "row 0, column 2", "wall"});
    refuses({"--set", rows, "--set", "environment.goals=['5,5']"}, {"environment.goals", "row 5, column 5"});
    refuses({"--set", rows, "--set", "environment.goals=['a,b']"}, {"environment.goals", "a,b"});
    refuses({"--set", rows, "--set", "environment.start=[0, 2]"}, {"start (row 0, column 2)", "wall"});
}

TEST_CASE("an unknown experiment, command or option is refused with where to look") {
    const Folder folder;
    is_refused(run(folder, {"train", "navigaton"}), {"navigaton", "navigation"});
    is_refused(run(folder, {"trian", "navigation"}), {"trian", "--help"});
    is_refused(run(folder, {"train", "navigation", "--sed", "3"}), {"--sed", "dunlin train --help"});
    is_refused(run(folder, {"train", "navigation", "--threads", "none"}), {"--threads", "dunlin train --help"});
    is_refused(run(folder, {"train"}), {"experiment", "dunlin list"});
    is_refused(run(folder, {"train", "navigation", "--config", "nowhere.toml"}), {"nowhere.toml"});
    is_refused(run(folder, {"train", "--resume", "nowhere"}), {"nowhere", "not a run directory"});
    is_refused(run(folder, {"sweep", "navigation"}), {"--grid"});
    is_refused(run(folder, {"sweep", "navigation", "--grid", "rl.prox_wight=1,2"}),
               {"rl.prox_wight", "prox_weight"});
    is_refused(run(folder, {"sweep", "navigation", "--grid", "rl.prox_weight=0.1,much"}), {"rl.prox_weight=much"});
    is_refused(run(folder, {"compare", "navigation", "--methods", "memrl,mamel"}), {"rl.method=mamel", "memrl"});
    is_refused(run(folder, {"compare", "--resume", "nowhere"}), {"nowhere", "plan.json"});
    is_refused(run(folder, {"adapt", "nowhere"}), {"nowhere", "no such run directory"});
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("an output directory that cannot be written is refused before anything runs") {
    const Folder folder;
    folder.file("taken", "a file where a directory should be\n");
    for (const char* command : {"train", "compare"}) {
        is_refused(run(folder, small_run(command, {"--out", "taken/run"})), {"taken/run", "cannot be written"});
        is_refused(run(folder, small_run(command, {"--out", "taken"})), {"taken", "cannot be written"});
    }
    CHECK(read(folder / "taken") == "a file where a directory should be\n");
}

TEST_CASE("a directory that holds a run is not written over") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run"})).code == 0);
    const std::string before = read(folder / "run/summary.json");
    is_refused(run(folder, small_run("train", {"--out", "run"})), {"run", "--resume run"});
    is_refused(run(folder, small_run("compare", {"--out", "run"})), {"run", "another --out"});
    is_refused(run(folder, {"train", "--resume", "run", "--seed", "4"}), {"--seed", "--resume"});
    CHECK(read(folder / "run/summary.json") == before);
}

TEST_CASE("a damaged, truncated, foreign or newer policy is refused by name") {
    refuses_policy([](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; },
                   {"run/policy.dunlin", "checksum", "damaged"});
    refuses_policy([](std::string& bytes) { bytes.resize(bytes.size() / 2); }, {"run/policy.dunlin", "cut off"});
    refuses_policy([](std::string& bytes) { bytes.resize(3); }, {"run/policy.dunlin"});
    refuses_policy([](std::string& bytes) { bytes += "more"; }, {"run/policy.dunlin", "header promises"});
    refuses_policy([](std::string& bytes) { bytes = "PK\x03\x04 a zip archive, say"; },
                   {"run/policy.dunlin", "not a file of this kind"});
    refuses_policy([](std::string& bytes) { bytes[8] = 9; }, {"run/policy.dunlin", "version 9", "update Dunlin"});
    refuses_policy(
        [](std::string& bytes) {
            bytes = ArrayFile{"checkpoint", {}, {}}.bytes();
        },
        {"run/policy.dunlin", "not a file of this kind"});
}

TEST_CASE("a policy of another shape than its run is refused") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run"})).code == 0);
    REQUIRE(run(folder, small_run("train", {"--out", "other", "--set", "policy.hidden=[8]"})).code == 0);
    folder.file("run/policy.dunlin", read(folder / "other/policy.dunlin"));
    is_refused(run(folder, {"adapt", "run"}), {"run/policy.dunlin", "another shape"});
}

TEST_CASE("a task that cannot be is refused with what is expected") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run"})).code == 0);
    is_refused(run(folder, {"adapt", "run", "--task", "gaol=1,2"}), {"gaol=1,2", "goal=R,C"});
    is_refused(run(folder, {"adapt", "run", "--task", "goal=1"}), {"goal=1", "goal=R,C"});
    is_refused(run(folder, {"adapt", "run", "--task", "goal=9,9"}), {"row 9, column 9", "not on the map"});
    is_refused(run(folder, {"adapt", "run", "--task", "goal=1,1;wind=2"}), {"wind=2"});
    is_refused(run(folder, {"adapt", "run", "--task", "goal=1.5,1"}), {"goal=1.5,1"});
    is_refused(run(folder, {"adapt", "run", "--task", "wind=0.1"}), {"wind=0.1", "goal"});
    is_refused(run(folder, {"export", "run"}), {"--trajectories"});
}

TEST_CASE("help on every level names an example, and the version is there") {
    const Folder folder;
    for (const std::vector<std::string>& level : std::vector<std::vector<std::string>>{{"--help"},
                                                                                       {"train", "--help"},
                                                                                       {"compare", "--help"},
                                                                                       {"sweep", "--help"},
                                                                                       {"adapt", "--help"},
                                                                                       {"export", "--help"},
                                                                                       {"list", "--help"}}) {
        const Ended ended = run(folder, level);
        INFO(level[0]);
        CHECK(ended.code == 0);
        CHECK(ended.err.empty());
        const std::string command = level.size() > 1 ? level[0] : "train";
        CHECK(ended.out.find("Example:\n  dunlin " + command) != std::string::npos);
    }
    CHECK(run(folder, {"--version"}).out.rfind("dunlin ", 0) == 0);
    const std::string listed = run(folder, {"list"}).out;
    for (const char* name : {"navigation", "memrl", "persafl-me", "pars-push,sgp"})
        CHECK(listed.find(name) != std::string::npos);
    CHECK(run(folder, {}).code == 2);
}

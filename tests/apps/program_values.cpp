// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"
#include "program_path.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

constexpr const char* small_map = "type octile\nheight 2\nwidth 3\nmap\n...\n.@.\n";

std::vector<std::string> tiny(const std::vector<std::string>& more) {
    std::vector<std::string> all{"train",
                                 "navigation-goals",
                                 "--out=run",
                                 "--quiet",
                                 "--set=rl.iterations=0",
                                 "--set=environment.training_tasks=1",
                                 "--set=environment.held_out_tasks=0",
                                 "--set=rl.horizon=5",
                                 "--set=rl.trajectories=2",
                                 "--set=rl.task_batch=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace

TEST_CASE("a text setting takes what was typed, whatever it looks like") {
    const Folder folder;
    std::filesystem::create_directories(folder / "in");
    std::filesystem::create_directories(folder / ".hid");
    for (const char* name : {"m.map", ".hid/m.map", "1", "010", "true", "1e3", "nan", "1979-05-27", "it's.map",
                             "a b", "[1].map", "[x]", "#x", "-.5", "0x10", "a=b"}) {
        INFO(name);
        folder.file(name, small_map);
        for (const std::string& path :
             std::vector<std::string>{std::string(name), "./" + std::string(name), "in/../" + std::string(name)}) {
            std::filesystem::remove_all(folder / "run");
            const Ended ended = run(folder, tiny({"--set", "environment.map=" + path}));
            INFO(path << ": " << ended.err);
            CHECK(ended.code == 0);
        }
    }
}

TEST_CASE("options and settings read numbers as decimal, or refuse them by name") {
    const Folder folder;
    const auto seed_of = [&](const std::vector<std::string>& more) {
        std::filesystem::remove_all(folder / "run");
        const Ended ended = run(folder, tiny(more));
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        return read_json(folder / "run/summary.json")["seed"].get<int>();
    };
    CHECK(seed_of({"--seed", "010"}) == 10);
    CHECK(seed_of({"--seed=0100"}) == 100);
    CHECK(seed_of({"--seed", "08"}) == 8);
    CHECK(seed_of({"--set", "seed=010"}) == 10);
    CHECK(seed_of({"--threads", "010"}) == 1);
    CHECK(read_json(folder / "run/summary.json")["threads"] == 10);
    REQUIRE(run(folder, {"export", "run", "--trajectories", "--count", "010", "--steps", "00"}).code == 0);
    CHECK(read(folder / "run/trajectories/trajectories.csv").find(",9,0,") != std::string::npos);
    CHECK(read(folder / "run/trajectories/trajectories.csv").find(",10,0,") == std::string::npos);

    // What is refused is shown in one line, wherever it came from.
    folder.file("value.toml", "experiment = \"a\\nb\"\n");
    folder.file("choice.toml", "rl.method = \"me\\nmrl\"\n");
    folder.file("key.toml", "\"no\\nkey\" = 1\n");
    folder.file("section.toml", "[\"no\\nsection\"]\nkey = 1\n");
    folder.file("two\nlines.toml", "experiment =\n");
    const std::vector<std::vector<std::string>> wrong{
        {"train", "navigation", "--seed", ""},
        {"train", "navigation", "--seed", "-1"},
        {"train", "navigation", "--seed", "0x10"},
        {"train", "navigation", "--seed", "1e3"},
        {"train", "navigation", "--seed", "3x"},
        {"train", "navigation", "--seed", "18446744073709551615"},
        {"train", "navigation", "--threads", ""},
        {"train", "navigation", "--threads", "0x2"},
        {"train", "navigation", "--out", ""},
        {"train", "navigation", "--config", ""},
        {"train", "navigation", "--method", ""},
        {"train", "navigation", "--set", "seed="},
        {"train", "navigation", "--set", "seed=-1"},
        {"train", "navigation", "--set", "seed=0x10"},
        {"train", "navigation", "--set", "rl.horizon=1e1"},
        {"train", "navigation", "--set", "rl.horizon=99999999999"},
        {"train", "navigation", "--set", "rl.inner_rate=inf"},
        {"train", "navigation", "--set", "rl.inner_rate="},
        {"train", "navigation", "--set", "environment.map="},
        {"train", "navigation", "--set", "environment.permute_actions=1"},
        {"train", "navigation", "--set", "experiment=a\nb"},
        {"train", "navigation", "--set", "no equals\nsign"},
        {"train", "navigation", "--set", "no.such\nkey=1"},
        {"train", "navigation", "--set", "rl.horizon=1\n2"},
        {"train", "navigation", "--set", "rl.method=me\nmrl"},
        {"train", "navigation", "--set", "environment.goals=[\"a\nb\"]"},
        {"train", "navigation", "--config", "value.toml"},
        {"train", "navigation", "--config", "choice.toml"},
        {"train", "navigation", "--config", "key.toml"},
        {"train", "navigation", "--config", "section.toml"},
        {"train", "navigation", "--config", "two\nlines.toml"},
        {"train", "navigation", "--set", "environment.map=\xff"},
        {"train", "navigation", "--set", "policy.hidden=[8,0x8]"},
        {"train", "navigation", "--set", "policy.hidden=[8,,8]"},
        {"compare", "navigation", "--seeds", "0x2"},
        {"sweep", "navigation", "--grid", "rl.horizon=5,"},
        {"sweep", "navigation", "--grid", "rl.horizon=5,0x6"},
        {"adapt", "run", "--steps", "0x1"},
        {"export", "run", "--format", "c", "--count", "1e1"},
        {"export", "run", "--trajectories", "--count", ""},
        {"export", "run", "--trajectories", "--count", "0xa"},
        {"export", "run", "--format", "header", "--steps", ""},
        {"export", "run", "--format", "header", "--steps", "0x1"},
        {"adapt", "run", "--steps", ""},
        {"adapt", "run", "--threads", ""},
        {"footprint", "--hidden", "8,0x8"},
        {"footprint", "--inputs", "0x2"},
        {"footprint", "--cells", ""},
        {"privacy", "--noise", "0x1"},
        {"privacy", "--noise", "0"},
        {"privacy", "--noise", "1", "--rate", "nan"},
        {"privacy", "--noise", "1", "--steps", "1e9"},
        {"privacy", "--epsilon", "-1"},
        {"fleet", "stop", ""},
        {"fleet", "stop", "--job", "0x1"},
        {"fleet", "wait", "--for", "nodes="},
        {"fleet", "wait", "--for", "nodes=0x1"},
        {"fleet", "wait", "--for", "nodes=99999999999999999999"},
        {"fleet", "demo", "--rounds", "0x10"},
        {"fleet", "logs", "--lines", "1e1"},
        {"fleet", "wait", "--for", "ended", "--timeout", "nan"},
        {"gateway", "--baud", "0x2580"}};
    for (const auto& arguments : wrong) {
        std::string shown;
        for (const std::string& argument : arguments) shown += argument + " ";
        INFO(shown);
        const Ended ended = run(folder, arguments);
        INFO(ended.err);
        CHECK(ended.code == 2);
        CHECK(lines(ended.err).size() == 1);
        CHECK(ended.out.empty());
    }
    CHECK_FALSE(std::filesystem::exists(folder / "runs"));

    for (const char* memory : {"", "0x10", "1e1", "-1"}) {
        const Ended node =
            Running(folder, {"run", "--join", "tcp://127.0.0.1:1", "--memory-mb", memory}, "dunlin-node").wait();
        INFO(memory << ": " << node.err);
        CHECK(node.code == 2);
        CHECK(node.err.find("--memory-mb") != std::string::npos);
    }
}

TEST_CASE("a grid splits its values and reads each as the setting does") {
    const Folder folder;
    folder.file("it's.map", small_map);
    std::vector<std::string> arguments = tiny({"--seeds=1", "--grid", "environment.map=./it's.map, empty-2x3"});
    arguments[0] = "sweep";
    const Ended ended = run(folder, arguments);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const std::vector<std::string> table = lines(ended.out);  // names, a rule, and one line a combination
    REQUIRE(table.size() == 4);
    CHECK(table[0].starts_with("environment.map "));
    CHECK(table[2].starts_with("./it's.map "));
    CHECK(table[3].starts_with("empty-2x3 "));
}

TEST_CASE("a tilde stands for the home folder in options and in settings of paths") {
    const Folder folder;
    folder.file("m.map", small_map);
    const std::string home = "HOME=" + folder.path().string();
    std::vector<std::string> arguments = tiny({"--set", "environment.map=~/m.map", "--out=~/there"});
    arguments.erase(arguments.begin() + 2);
    arguments.insert(arguments.begin(), {home, DUNLIN_PROGRAM});
    const Ended ended = Running(folder, arguments, "env ").wait();
    INFO(ended.err);
    CHECK(ended.code == 0);
    CHECK(std::filesystem::exists(folder / "there/summary.json"));
}

TEST_CASE("what is typed breaks no line of a message, and no escape sequence gets through") {
    const Folder folder;
    const std::string bad = "a\nb\x1b[31m";
    folder.file("file", "");
    const std::vector<std::vector<std::string>> all{{bad},
                                                    {"--" + bad},
                                                    {"train", bad},
                                                    {"train", "navigation", bad},
                                                    {"train", "navigation", "--seed", bad},
                                                    {"train", "navigation", "--set", bad + "=3"},
                                                    {"train", "navigation", "--set", "environment.map=" + bad},
                                                    {"train", "navigation", "--out", "file/" + bad},
                                                    {"train", "--config", bad},
                                                    {"compare", "navigation", "--seeds", bad},
                                                    {"sweep", "navigation", "--param", bad + "=1,2"},
                                                    {"adapt", bad},
                                                    {"inspect", bad},
                                                    {"export", bad, "--format", "c"},
                                                    {"footprint", bad},
                                                    {"list", bad},
                                                    {"fleet", "status", bad},
                                                    {"fleet", "run", bad}};
    for (const auto& arguments : all) {
        const Ended ended = run(folder, arguments);
        INFO(arguments.front() << " " << arguments.back() << ": " << ended.err);
        CHECK(ended.code != 0);
        CHECK(ended.err.find('\x1b') == std::string::npos);
        CHECK(ended.err.find("a\nb") == std::string::npos);
    }
    // A directory may be called so, and is then shown as it must be.
    const Ended ended = run(folder, {"train", "navigation-goals", "--set=rl.iterations=1", "--out", "run" + bad});
    CHECK(ended.code == 0);
    CHECK((ended.out + ended.err).find('\x1b') == std::string::npos);
}

// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

/// Arguments of a run on a map that ends at once.
std::vector<std::string> on_map(const std::string& map, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"train", "navigation-goals"};
    for (const std::string& setting :
         {"environment.map=" + map, std::string("environment.training_tasks=2"),
          std::string("environment.held_out_tasks=1"), std::string("rl.iterations=1"), std::string("rl.horizon=3"),
          std::string("rl.trajectories=2"), std::string("rl.task_batch=1"), std::string("rl.inner_steps=1"),
          std::string("rl.baseline=none"), std::string("report.adaptation_steps=1"),
          std::string("policy.input=coordinates"), std::string("policy.hidden=[4]")}) {
        all.insert(all.end(), {"--set", setting});
    }
    all.insert(all.end(), {"--out", "run"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// Returns when the program has said that it will keep what there is at Ctrl-C, or false when it ended before.
bool wait_until_it_can_be_stopped(const Running& running) {
    const std::string path = "/proc/" + std::to_string(running.process()) + "/status";
    while (true) {
        const std::string status = read(path);
        const std::size_t caught = status.find("SigCgt:\t");
        if (caught == std::string::npos || status.find("State:\tZ") != std::string::npos) return false;
        if ((std::stoull(status.substr(caught + 8, 16), nullptr, 16) >> (SIGINT - 1) & 1) != 0) return true;
        std::this_thread::yield();
    }
}

/// Ends it, and checks that it does so soon and with what there is.
void interrupt(Running& running) {
    const auto begin = std::chrono::steady_clock::now();
    running.send(SIGINT);
    const Ended ended = running.wait();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    INFO(ended.err);
    CHECK(ended.code == 130);
    CHECK(taken.count() < 6.0);  // one second and a bit; the rest is for a loaded machine
}

}  // namespace

TEST_CASE("a map of a thousand cells a side is trained on and drawn, and its pictures stay small") {
    const Folder folder;
    std::string map = "type octile\nwidth 1000\nheight 700\nmap\n";
    for (int row = 0; row < 700; ++row) {
        for (int column = 0; column < 1000; ++column) map += row % 7 == 3 && column % 5 != 0 ? 'T' : '.';
        map += " \r\n";
    }
    folder.file("large.map", map);
    const Ended ended = run(folder, on_map("large.map"));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(std::filesystem::file_size(folder / "run/navigation-end.svg") < 1'000'000);
    CHECK(read_json(folder / "run/summary.json").at("evaluated_iteration") == 1);

    const Ended one_hot = run(folder, on_map("large.map", {"--set", "policy.input=one-hot"}));
    CHECK(one_hot.code == 2);
    CHECK(one_hot.err.find("65536") != std::string::npos);
    CHECK(one_hot.err.find("700000 cells") != std::string::npos);
    CHECK(one_hot.err.find("coordinates") != std::string::npos);
}

TEST_CASE("a map that is refused: the line, what stands there, what is expected, the limit that was met") {
    const Folder folder;
    const auto refusal = [&](const std::string& contents) {
        const Ended ended = run(folder, on_map(folder.file("wrong.map", contents)));
        CHECK(ended.code == 2);
        return ended.err;
    };
    const std::string header = "type octile\nheight 2\nwidth 3\nmap\n";
    for (const auto& [contents, words] :
         {std::pair{header + "..x\n...\n", std::vector<std::string>{"line 5, column 3", "\"x\"", "expected '.'"}},
          std::pair{header + "....\n...\n",
                    std::vector<std::string>{"line 5", "4 characters", "\"....\"", "expected"}},
          std::pair{std::string("type octile\nheight 2\nheigth 3\n"),
                    std::vector<std::string>{"line 3", "\"heigth 3\"", "expected"}},
          std::pair{std::string("type octile\nheight 2049\nwidth 3\nmap\n"),
                    std::vector<std::string>{"2049 x 3", "at most 2048"}}}) {
        const std::string error = refusal(contents);
        for (const std::string& word : words) {
            INFO(error << " lacks " << word);
            CHECK(error.find(word) != std::string::npos);
        }
    }
}

TEST_CASE("held-out tasks are distinct and never trained on, and the summary counts them") {
    const Folder folder;
    const Ended ended = run(folder, on_map("empty-5x5", {"--set", "environment.training_tasks=100", "--set",
                                                         "environment.held_out_tasks=20", "--json"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.err.find("4 held-out tasks instead of environment.held_out_tasks = 20") != std::string::npos);
    CHECK(ended.err.find("100 training tasks are 21 different ones") != std::string::npos);
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("distinct_tasks") == 21);
    CHECK(summary.at("held_out").at("distinct_tasks") == 4);
    std::set<std::string> trained, held_out;
    const auto goal = [](const nlohmann::json& task) {
        const auto name = task.at("name").get<std::string>();
        return name.substr(name.find("goal"));
    };
    for (const nlohmann::json& task : summary.at("tasks")) trained.insert(goal(task));
    for (const nlohmann::json& task : summary.at("held_out").at("tasks")) {
        held_out.insert(goal(task));
        CHECK(trained.count(goal(task)) == 0);
    }
    CHECK(held_out.size() == 4);

    // A task that is named for `adapt` may well be one of training: then it says so.
    const std::string name = *trained.begin();
    const std::string task =
        "goal=" + name.substr(name.find('(') + 1, 1) + "," + name.substr(name.find(',') + 2, 1);
    const Ended adapted = run(folder, {"adapt", "run", "--task", task, "--json"});
    CHECK(adapted.err.find("trained on") != std::string::npos);
    CHECK(nlohmann::json::parse(adapted.out).at("tasks")[0].at("trained_on") == true);
}

TEST_CASE("Ctrl-C ends a run on a large map soon, with what there is, wherever it is") {
    const std::vector<std::string> heavy{"train", "navigation-goals",
                                         "--set", "environment.map=empty-200x200",
                                         "--set", "policy.input=coordinates",
                                         "--set", "report.evaluation_share=0.1",
                                         "--out", "run"};
    {
        const Folder folder;  // in the first pictures and evaluation
        Running running(folder, heavy);
        REQUIRE(running.wait_for_error_text("evaluated every"));
        REQUIRE(wait_until_it_can_be_stopped(running));
        interrupt(running);
        CHECK(read_json(folder / "run/summary.json").at("complete") == false);
        CHECK_FALSE(read_json(folder / "run/summary.json").contains("held_out"));
    }
    const Folder folder;
    std::vector<std::string> comparison{"compare",       "navigation-goals", "--methods",
                                        "memrl,scratch", "--seeds",          "1"};
    comparison.insert(comparison.end(), heavy.begin() + 2, heavy.end());
    Running running(folder, comparison);
    REQUIRE(wait_until_it_can_be_stopped(running));
    interrupt(running);
}

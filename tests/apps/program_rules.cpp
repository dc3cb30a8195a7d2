// SPDX-License-Identifier: Apache-2.0
// Rule worlds and policies with a memory, as a researcher meets them.
#include "program.hpp"
#include "training/models/model_file.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

using Words = std::vector<std::string>;

Words operator+(Words first, const Words& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

/// A short run of rule worlds.
Words rules(const std::string& command, const Words& more) {
    Words all{command, "rule-worlds"};
    for (const char* setting :
         {"environment.training_tasks=20", "environment.held_out_tasks=3", "environment.distractors=1",
          "environment.distractor_rules=0", "environment.side=4", "policy.hidden=[8]", "rl.environment_steps=0",
          "rl.iterations=2", "rl.task_batch=3", "rl.trajectories=4", "rl2.trials=32", "rl2.encoder=8",
          "rl2.units=8", "rl.horizon=12", "rl.inner_steps=2", "report.adaptation_steps=2"})
        all = all + Words{"--set", setting};
    return all + more;
}

void succeeds(const Ended& ended) {
    INFO(ended.err);
    REQUIRE(ended.code == 0);
}

}  // namespace

TEST_CASE("rule worlds are learned by gradients and by a memory, saved, adapted and shown") {
    for (const std::string method : {"fomaml", "reptile", "rl2", "joint"}) {
        const Folder folder;
        CAPTURE(method);
        succeeds(run(folder, rules("train", {"--method", method, "--out", "run", "--quiet"})));
        const auto summary = read_json(folder / "run/summary.json");
        CHECK(summary.at("tasks").size() == 16);
        for (const char* key : {"return_ratio", "untrained_return_ratio", "success"})
            CHECK(summary.at("tasks").at(0).contains(key));
        CHECK(summary.at("held_out").at("distinct_tasks") == 3);
        CHECK(summary.at("held_out").at("success").is_number());
        CHECK(summary.at("held_out").at("untrained_success").is_number());
        CHECK(summary.at("env_steps").get<int>() > 0);
        CHECK(summary.at("evaluation") == "per-step");

        const auto model = TrainedModel::read(folder / "run/policy.dunlin");
        REQUIRE(model);
        const bool memory = method == "rl2" || method == "joint";
        CHECK(model->network.has_value() == memory);
        CHECK(model->task == "rule-worlds");

        const Ended adapted =
            run(folder, {"adapt", "run", "--task", "number=5;seed=3", "--steps", "2", "--json", "--quiet"});
        succeeds(adapted);
        const auto json = nlohmann::json::parse(adapted.out);
        CHECK(json.at("tasks").at(0).at("steps").size() == 3);
        CHECK(json.at("tasks").at(0).at("trained_on") == false);
        const Ended exported = run(folder, {"export", "run", "--format", "c"});
        CHECK(exported.code == (memory ? 2 : 0));
        if (memory) CHECK(exported.err.find("memory") != std::string::npos);
        CHECK(run(folder, {"export", "run", "--format", "header"}).code == 2);
    }
}

TEST_CASE(
    "the generator's seed chooses the rule worlds, and settings that cannot be are refused with what to change") {
    const Folder folder;
    const auto names = [&](const std::string& out, const Words& more) {
        succeeds(run(folder, rules("train", Words{"--method", "scratch", "--out", out, "--quiet"} + more)));
        const auto summary = read_json(folder / (out + "/summary.json"));
        std::string all;
        for (const auto& task : summary.at("held_out").at("tasks")) all += task.at("name").get<std::string>();
        return all;
    };
    const std::string one = names("a", {"--set", "environment.seed=7"});
    CHECK(one == names("b", {"--set", "environment.seed=7", "--seed", "5"}));
    CHECK(one != names("c", {"--set", "environment.seed=8"}));
    CHECK(one != names("d", {"--set", "environment.seed=7", "--set", "environment.held_out_part=validation"}));
    for (const char* wrong : {"environment.rooms=2", "environment.locked_doors=1", "environment.things=3",
                              "environment.window=4", "rl.baseline=linear"}) {
        const Ended refused = run(folder, rules("train", {"--method", "fomaml", "--out", "x", "--set", wrong}));
        INFO(wrong << refused.err);
        CHECK(refused.code == 2);
        CHECK(refused.err.find(std::string(wrong).substr(12, 4)) != std::string::npos);
    }
    CHECK(run(folder, rules("train", {"--method", "rl2", "--out", "x", "--set", "rl2.trials=40"})).code == 2);
}

TEST_CASE("methods on rule worlds are compared after equally many environment steps") {
    const Folder folder;
    const Ended compared = run(folder, rules("compare", {"--methods", "rl2,fomaml", "--seeds", "2", "--out", "both",
                                                         "--json", "--set", "rl.environment_steps=4000"}));
    succeeds(compared);
    const auto json = nlohmann::json::parse(compared.out);
    REQUIRE(json.at("methods").size() == 2);
    for (const auto& method : json.at("methods"))
        CHECK(method.at("env_steps").get<double>() == Approx(4000).epsilon(0.25));
}

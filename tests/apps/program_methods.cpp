// SPDX-License-Identifier: Apache-2.0
// Methods of meta-learning, estimators and optimisers by their settings, from training to an adaptation.
#include "program.hpp"
#include "training/models/model_file.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& settings) {
    for (const std::string& one : settings) arguments.insert(arguments.end(), {"--set", one});
    return arguments;
}

const std::vector<std::vector<std::string>> kinds{
    {"rl.method=anil"},
    {"rl.method=meta-sgd"},
    {"rl.method=meta-sgd", "maml.first_order=true", "rl.outer_step=momentum"},
    {"rl.method=imaml", "rl.inner_rate=0.7"},
    {"rl.method=fomaml", "rl.outer_step=dog"},
    {"rl.method=reptile", "rl.baseline=value", "rl.entropy=0.01", "rl.bootstrap=true"},
    {"rl.method=memrl", "rl.surrogate=ppo", "rl.batch_steps=3"},
    {"rl.method=fomaml", "rl.surrogate=spo", "rl.outer_epochs=2", "rl.baseline=value"},
    {"rl.method=fomaml", "rl.surrogate=ppo", "rl.outer_step=trpo"},
};

}  // namespace

TEST_CASE("each method and estimator trains, goes on to the bit, and is adapted from what was saved") {
    for (const auto& settings : kinds) {
        INFO(settings.front() << " " << settings.back());
        const Folder folder;
        const Ended whole = run(folder, with(small_run("train", {"--out", "whole"}), settings));
        INFO(whole.err);
        REQUIRE(whole.code == 0);
        std::vector<std::string> half = settings;
        half.push_back("rl.iterations=2");
        REQUIRE(run(folder, with(small_run("train", {"--out", "half"}), half)).code == 0);
        const Ended resumed = run(folder, {"train", "--resume", "half", "--set", "rl.iterations=4", "--quiet"});
        INFO(resumed.err);
        REQUIRE(resumed.code == 0);
        const auto one = TrainedModel::read(folder / "whole/policy.dunlin"),
                   other = TrainedModel::read(folder / "half/policy.dunlin");
        REQUIRE(one);
        REQUIRE(other);
        CHECK(one->parameters == other->parameters);
        CHECK(one->weights == other->weights);
        const Ended adapted = run(folder, {"adapt", "whole", "--json", "--quiet", "--steps", "2"});
        INFO(adapted.err);
        REQUIRE(adapted.code == 0);
        const auto tasks = nlohmann::json::parse(adapted.out).at("tasks");
        CHECK(tasks.at(0).at("steps").size() == 3);
    }
}

TEST_CASE(
    "the model file of Meta-SGD holds its step sizes, an adaptation uses them, and one without them is refused") {
    const Folder folder;
    REQUIRE(run(folder, with(small_run("train", {"--out", "run"}), {"rl.method=meta-sgd", "maml.outer_rate=0.1"}))
                .code == 0);
    auto model = TrainedModel::read(folder / "run/policy.dunlin");
    REQUIRE(model);
    REQUIRE(model->weights.size() == model->parameters.size());
    CHECK(std::ranges::any_of(model->weights, [](float size) { return std::abs(size - 1.0f) > 0.05f; }));
    const auto adapted = [&] {
        const Ended ended = run(folder, {"adapt", "run", "--json", "--quiet", "--no-plot"});
        return ended.code == 0 ? ended.out : ended.err;
    };
    const std::string learned = adapted();
    const std::vector<float> sizes = model->weights;
    std::ranges::fill(model->weights, 1.0f);
    folder.file("run/policy.dunlin", model->bytes());
    CHECK(adapted() != learned);
    model->weights = sizes;
    folder.file("run/policy.dunlin", model->bytes());
    CHECK(adapted() == learned);
    model->weights.clear();
    folder.file("run/policy.dunlin", model->bytes());
    CHECK(adapted().find("step sizes are missing") != std::string::npos);
    // Boards take steps of one size.
    model->weights = sizes;
    folder.file("run/policy.dunlin", model->bytes());
    const Ended board = run(folder, {"export", "run", "--format", "header"});
    CHECK(board.code != 0);
    CHECK(board.err.find("learned step sizes") != std::string::npos);
}

TEST_CASE("compare sets the methods beside each other, with equal steps and adaptation") {
    const Folder folder;
    const Ended ended =
        run(folder, small_run("compare", {"--methods", "anil,meta-sgd,imaml,fomaml", "--seeds", "2", "--set",
                                          "rl.inner_rate=0.7", "--json", "--quiet", "--out", "both"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto methods = nlohmann::json::parse(ended.out).at("methods");
    REQUIRE(methods.size() == 4);
    for (const auto& method : methods) {
        CHECK(method.at("inner_steps") == methods.at(0).at("inner_steps"));
        CHECK(method.at("trajectories") == methods.at(0).at("trajectories"));
    }
}

TEST_CASE("combinations that mathematics or memory do not give are refused with what to change") {
    const Folder folder;
    const struct {
        std::vector<std::string> settings;
        const char* says;
    } cases[] = {
        {{"rl.surrogate=ppo", "rl.method=maml"}, "second derivatives"},
        {{"rl.surrogate=ppo", "rl.method=imaml", "rl.inner_rate=0.7"}, "imaml.conjugate_steps = 0"},
        {{"rl.batch_steps=2"}, "rl.surrogate"},
        {{"rl.outer_epochs=2", "rl.method=fomaml"}, "rl.surrogate"},
        {{"rl.outer_step=trpo", "rl.method=fomaml"}, "rl.surrogate"},
        {{"rl.outer_step=trpo", "rl.surrogate=ppo"}, "first-order MAML"},
        {{"rl.outer_epochs=2", "rl.surrogate=spo"}, "only the MAMLs"},
        {{"rl.batch_steps=2", "rl.surrogate=ppo", "rl.method=anil", "maml.first_order=true"}, "not differentiated"},
        {{"rl.evaluation=per-state", "rl.baseline=value"}, "per-step"},
        {{"rl.method=anil", "policy.hidden=[]"}, "one layer"},
        {{"rl.method=imaml", "rl.inner_rate=2", "imaml.prox_weight=0.6"}, "overshoots"},
    };
    for (const auto& wrong : cases) {
        INFO(wrong.settings.front() << ": " << wrong.says);
        const Ended ended = run(folder, with(small_run("train", {"--out", "run"}), wrong.settings));
        CHECK(ended.code != 0);
        CHECK(ended.err.find(wrong.says) != std::string::npos);
        INFO(ended.err);
    }
}

TEST_CASE("horizon and trajectories follow the map, and sparse rewards that nobody finds are said") {
    const Folder folder;
    REQUIRE(run(folder, {"train", "navigation", "--set", "environment.map=empty-9x12", "--set", "rl.iterations=1",
                         "--out", "run", "--quiet"})
                .code == 0);
    const std::string config = read(folder / "run/config.toml");
    CHECK(config.find("horizon = 44") != std::string::npos);
    CHECK(config.find("trajectories = 65") != std::string::npos);
    const Ended far = run(
        folder, {"train", "navigation", "--set", "environment.map=empty-20x20", "--set", "environment.start=[0,0]",
                 "--set", "environment.goals=[\"19,19\"]", "--set", "rl.task_batch=1", "--set", "rl.horizon=45",
                 "--set", "rl.trajectories=20", "--set", "rl.iterations=1", "--out", "far"});
    INFO(far.err);
    REQUIRE(far.code == 0);
    CHECK(far.err.find("see no reward to learn from") != std::string::npos);
}

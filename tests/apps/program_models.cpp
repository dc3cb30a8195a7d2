// SPDX-License-Identifier: Apache-2.0
// Every kind of run leaves its model, and `inspect`, `adapt` and `export` work on each.
#include "core/mlp.hpp"
#include "envs/regression.hpp"
#include "program.hpp"
#include "training/models/model_file.hpp"

#include <cmath>
#include <cstdlib>
#include <sstream>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;
using nlohmann::json;

namespace {

struct Kind {
    std::string experiment;
    std::vector<std::string> settings;
    std::string file, task;
    bool personal;  ///< nodes' own models are in the file
};

std::vector<Kind> all_kinds() {
    return {
        {"classification",
         {"data.clients=4", "data.rows=400", "model.hidden=[6]", "clock.budget_s=200", "report.evaluations=2"},
         "model.dunlin",
         "classification",
         true},
        {"ranking",
         {"data.users=5", "model.hidden=[6]", "clock.budget_s=200", "report.evaluations=2"},
         "model.dunlin",
         "ranking",
         true},
        {"spdb-digits",
         {"data.rows=400", "model.hidden=[6]", "method.iterations=20", "report.evaluations=2",
          "report.figure=false"},
         "model.dunlin",
         "classification",
         true},
        {"spdb-transform",
         {"data.rows=400", "model.hidden=[6]", "method.iterations=20", "report.evaluations=2",
          "report.figure=false"},
         "model.dunlin",
         "classification",
         true},
        {"pdbo",
         {"data.agents=4", "data.rows=400", "method.inner_steps=4", "report.peers=false", "method.outer_steps=1"},
         "model.dunlin",
         "classification",
         true},
        {"regression",
         {"method.rounds=30", "report.personalisation=false", "report.robustness=false"},
         "model.dunlin",
         "regression",
         true},
        {"fleet-navigation",
         {"environment.nodes=3", "environment.map=empty-4x4", "policy.hidden=[6]", "method.rounds=4",
          "method.settling_rounds=2", "report.centralised=false", "report.adaptations=1"},
         "policy.dunlin",
         "grid-navigation",
         true},
        {"fleet-navigation-server",
         {"environment.nodes=3", "environment.map=empty-4x4", "policy.hidden=[6]", "method.rounds=4",
          "report.centralised=false", "report.adaptations=1"},
         "policy.dunlin",
         "grid-navigation",
         false},
        {"point-navigation",
         {"rl.iterations=1", "rl.task_batch=2", "rl.trajectories=4", "environment.training_tasks=2",
          "environment.held_out_tasks=1", "policy.hidden=[6]"},
         "policy.dunlin",
         "point-navigation",
         false},
        {"navigation",
         {"rl.iterations=1", "environment.map=empty-4x4", "policy.hidden=[6]"},
         "policy.dunlin",
         "grid-navigation",
         false}};
}

void train(const Folder& folder, const Kind& kind) {
    std::vector<std::string> arguments{"train", kind.experiment, "--out",
                                       "run",   "--quiet",       "--set=kernels=reference"};
    for (const std::string& setting : kind.settings) arguments.push_back("--set=" + setting);
    const Ended trained = run(folder, arguments);
    INFO(kind.experiment << ": " << trained.err);
    REQUIRE(trained.code == 0);
}

/// What the model gives for raw inputs, by the reference kernels: outputs, or a mixture's probabilities.
std::vector<float> forward(const TrainedModel& model, std::vector<float> input, std::int32_t state) {
    for (std::size_t k = 0; k < model.centre.size(); ++k) input[k] = (input[k] - model.centre[k]) * model.scale[k];
    const auto outputs = static_cast<std::size_t>(model.shape.outputs());
    std::vector<float> sum(outputs), tape(static_cast<std::size_t>(model.shape.units()));
    const Mlp<float> network{model.shape};
    for (int n = 0; n < model.networks; ++n) {
        const float* own = model.parameters.data() + static_cast<std::size_t>(n) * model.shape.parameters();
        network.forward(own, {{input.data(), 1}, model.shape.one_hot ? &state : nullptr}, {tape.data(), 1}, 1);
        std::vector<float> out(tape.end() - model.shape.outputs(), tape.end());
        if (model.head != ModelHead::mixture) return out;
        double total = 0;
        for (const float logit : out) total += std::exp(static_cast<double>(logit));
        for (std::size_t k = 0; k < outputs; ++k)
            sum[k] += model.weights[static_cast<std::size_t>(n)] *
                      static_cast<float>(std::exp(static_cast<double>(out[k])) / total);
    }
    return sum;
}

int shell(const Folder& folder, const std::string& command) {
    return std::system(("cd " + folder.path().string() + " && " + command).c_str());
}

}  // namespace

TEST_CASE("every kind of run leaves a model that says what it is for, and computes in C what it computes here") {
    for (const Kind& kind : all_kinds()) {
        CAPTURE(kind.experiment);
        const Folder folder;
        train(folder, kind);
        const auto model = TrainedModel::read(folder / ("run/" + kind.file));
        REQUIRE(model);
        CHECK(model->task == kind.task);
        CHECK_FALSE(model->input.empty());
        CHECK_FALSE(model->output.empty());
        CHECK_FALSE(model->personal_is.empty());
        CHECK(model->config.find("kind = ") != std::string::npos);
        CHECK(model->parameters.size() == model->count());
        CHECK(model->personal.empty() != kind.personal);
        CHECK(TrainedModel::read(folder.file("again.dunlin", model->bytes()))->bytes() == model->bytes());

        const json told = json::parse(run(folder, {"inspect", "run", "--json"}).out);
        CHECK(told["task"] == kind.task);
        CHECK(told["parameters"] == model->count());
        const Ended inspected = run(folder, {"inspect", "run/" + kind.file});
        CHECK(inspected.code == 0);
        CHECK(inspected.out.find("Input: ") != std::string::npos);

        for (const char* format : {"npy", "csv", "onnx"})
            CHECK(run(folder, {"export", "run", "--format", format}).code == 0);
        const int header = run(folder, {"export", "run", "--format", "header", "--out", "h"}).code;
        if (kind.task != "grid-navigation")
            CHECK(header == (model->networks > 1 ? 2 : 0));  // a mixture does not learn there
        const bool own = kind.personal;
        std::vector<std::string> arguments{"export", "run", "--format", "c", "--name", "it", "--out", "."};
        if (own) arguments.insert(arguments.end(), {"--node", "1"});
        REQUIRE(run(folder, arguments).code == 0);
        const TrainedModel chosen = own ? *model->of_node(1) : *model;
        std::string rows;
        std::vector<float> expected;
        for (int row = 0; row < 5; ++row) {
            std::vector<float> input(static_cast<std::size_t>(chosen.shape.one_hot ? 1 : chosen.shape.inputs));
            for (std::size_t k = 0; k < input.size(); ++k)
                input[k] = std::sin(static_cast<float>(3 * row + 1) * static_cast<float>(k + 1));
            if (chosen.shape.one_hot) {
                rows += "    it_forward(" + std::to_string(row) + ", out);\n";
            } else {
                rows += "    {\n    const float in[] = {";
                for (const float value : input) rows += std::to_string(value) + "f,";
                rows += "};\n    it_forward(in, out);\n    }\n";
                for (float& value : input) value = std::stof(std::to_string(value));
            }
            rows += "    for (k = 0; k < IT_OUTPUTS; ++k) printf(\"%a\\n\", (double)out[k]);\n";
            const std::vector<float> answer = forward(chosen, input, row);
            expected.insert(expected.end(), answer.begin(), answer.end());
        }
        folder.file(
            "main.c",
            "#include \"it.h\"\n#include <stdio.h>\nint main(void) {\n    int k;\n    float out[IT_OUTPUTS];\n" +
                rows + "    return 0;\n}\n");
        REQUIRE(shell(folder, "cc -std=c99 -Wall -Wextra -Werror main.c it.c -lm -o it && ./it > answers.txt") ==
                0);
        std::istringstream text(read(folder / "answers.txt"));
        std::vector<float> answers;
        for (std::string word; text >> word;) answers.push_back(std::strtof(word.c_str(), nullptr));
        REQUIRE(answers.size() == expected.size());
        for (std::size_t k = 0; k < answers.size(); ++k)
            CHECK(answers[k] == Approx(expected[k]).epsilon(1e-5).margin(1e-5));
    }
}

TEST_CASE("a model is made its own by the run's nodes, beside the untrained one") {
    for (const Kind& kind : all_kinds()) {
        CAPTURE(kind.experiment);
        const Folder folder;
        train(folder, kind);
        if (kind.file == "policy.dunlin") {
            CHECK(run(folder, {"adapt", "run", "--steps", "1", "--no-plot"}).code == 0);
            continue;
        }
        const Ended adapted = run(folder, {"adapt", "run", "--json"});
        INFO(adapted.err);
        REQUIRE(adapted.code == 0);
        const json told = json::parse(adapted.out);
        REQUIRE(told["nodes"].size() > 1);
        for (const char* stage : {"untrained", "untrained_adapted", "before", "after"})
            CHECK(told["together"][stage].size() > 0);
        if (kind.experiment == "regression")
            CHECK(told["together"]["before"]["squared_error"] < told["together"]["untrained"]["squared_error"]);
        CHECK(json::parse(run(folder, {"adapt", "run", "--node", "1", "--json"}).out)["nodes"].size() == 1);
        // Without a step nothing changes.
        const json still = json::parse(run(folder, {"adapt", "run", "--steps", "0", "--json"}).out);
        CHECK(still["together"]["before"] == still["together"]["after"]);
        for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
                 {"--task", "goal=1,2"}, {"--kernels", "fast"}, {"--node", "nobody"}, {"--threads", "2"}}) {
            std::vector<std::string> arguments{"adapt", "run"};
            arguments.insert(arguments.end(), wrong.begin(), wrong.end());
            const Ended refused = run(folder, arguments);
            CHECK(refused.code == 2);
            CHECK(refused.err.find(wrong[0]) != std::string::npos);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// A model goes out as ONNX and comes back, and nodes adapt what of it is not frozen.
#include "program.hpp"
#include "training/models/model_file.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;
using nlohmann::json;

TEST_CASE("a model that was exported as ONNX is imported, adapted but for its frozen layers, and exported again") {
    const Folder folder;
    const std::vector<std::string> data{"--set=data.clients=4", "--set=data.rows=400"};
    std::vector<std::string> train{"train",
                                   "classification",
                                   "--out",
                                   "run",
                                   "--quiet",
                                   "--set=model.hidden=[6,5]",
                                   "--set=clock.budget_s=200",
                                   "--set=report.evaluations=2"};
    train.insert(train.end(), data.begin(), data.end());
    REQUIRE(run(folder, train).code == 0);
    REQUIRE(run(folder, {"export", "run", "--format", "onnx", "--out", "."}).code == 0);

    const auto was = TrainedModel::read(folder / "run/model.dunlin");
    REQUIRE(was);
    std::vector<std::string> import{"import", "model.onnx", "--experiment", "classification", "-o"};
    const auto imported = [&](const std::string& file, const std::vector<std::string>& more) {
        std::vector<std::string> arguments = import;
        arguments.push_back(file);
        arguments.insert(arguments.end(), data.begin(), data.end());
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Ended ended = run(folder, arguments);
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        CHECK(ended.out == file + "\n");
        return *TrainedModel::read(folder / file);
    };
    const TrainedModel whole = imported("whole.dunlin", {});
    CHECK(whole.shape == was->shape);
    CHECK(whole.parameters == was->parameters);
    CHECK(whole.output_names == was->output_names);
    const TrainedModel frozen = imported("frozen.dunlin", {"--freeze", "2"});
    CHECK(frozen.frozen == 2);
    CHECK(json::parse(run(folder, {"inspect", "frozen.dunlin", "--json"}).out)["frozen"] == 2);

    const auto adapted = [&](const std::string& file) {
        const Ended ended = run(folder, {"adapt", file, "--json", "--steps", "6"});
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        return json::parse(ended.out)["together"];
    };
    const json all = adapted("whole.dunlin"), some = adapted("frozen.dunlin");
    CHECK(all["before"] == adapted("run")["before"]);
    CHECK(all["before"] == some["before"]);
    CHECK(all["untrained_adapted"] == some["untrained_adapted"]);
    CHECK(all["after"] != some["after"]);
    CHECK(some["before"] != some["after"]);

    REQUIRE(run(folder, {"export", "frozen.dunlin", "--format", "onnx", "--name", "again", "--out", "."}).code ==
            0);
    REQUIRE(run(folder, {"import", "again.onnx", "-o", "again.dunlin", "--quiet"}).code == 0);
    CHECK(TrainedModel::read(folder / "again.dunlin")->parameters == was->parameters);

    const auto refused = [&](const std::vector<std::string>& arguments, const std::string& why) {
        const Ended ended = run(folder, arguments);
        CAPTURE(ended.err, why);
        CHECK(ended.code == 2);
        CHECK(ended.err.find(why) != std::string::npos);
    };
    refused({"import", "model.onnx", "-o", "x", "--freeze", "3"}, "--freeze 3");
    refused({"import", "model.onnx", "-o", "x", "--experiment", "navigation"}, "kind navigation");
    refused({"import", "model.onnx", "-o", "x", "--set", "data.rows=5"}, "--experiment");
    refused({"import", "model.onnx", "-o", "x", "--experiment", "classification", "--set=model.hidden=[9]"},
            "parameters");
    refused({"import", "run/model.dunlin", "-o", "x"}, "run/model.dunlin");
    refused({"import", "nothing.onnx", "-o", "x"}, "nothing.onnx");
    refused({"adapt", "again.dunlin"}, "experiment");
}

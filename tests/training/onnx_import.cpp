// SPDX-License-Identifier: Apache-2.0
// ONNX files become models: those that were exported here, those that others write, and those that nobody should.
#include "training/models/onnx_import.hpp"

#include "core/mlp.hpp"
#include "network_folder.hpp"
#include "source_dir.hpp"
#include "training/models/model_export.hpp"
#include "training/models/onnx_graph.hpp"

#include <cmath>
#include <sstream>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;
using Catch::Contains;

namespace {

std::vector<float> run(const TrainedModel& model, const std::vector<float>& row) {
    std::vector<std::int32_t> tokens;
    for (const float value : row) tokens.push_back(static_cast<std::int32_t>(value));
    if (model.network) return outputs_of(model, row, tokens);
    std::vector<float> tape(static_cast<std::size_t>(model.shape.units())), input = row;
    for (std::size_t k = 0; k < model.centre.size(); ++k) input[k] = (input[k] - model.centre[k]) * model.scale[k];
    Mlp<float>{model.shape}.forward(model.parameters.data(),
                                    {{input.data(), 1}, model.shape.one_hot ? tokens.data() : nullptr},
                                    {tape.data(), 1}, 1);
    return {tape.end() - model.shape.outputs(), tape.end()};
}

/// The largest difference between what the model gives for the rows of a text and the rows of another.
double difference(const TrainedModel& model, const Lines& lines, bool probabilities = false) {
    std::istringstream inputs(lines.in), outputs(lines.out);
    double worst = 0;
    int rows = 0;
    for (std::string in, out; std::getline(inputs, in) && std::getline(outputs, out);) {
        std::istringstream words(in), wanted(out);
        std::vector<float> row, expected;
        for (float value = 0; words >> value;) row.push_back(value);
        for (float value = 0; wanted >> value;) expected.push_back(value);
        std::vector<float> given = run(model, row);
        REQUIRE(given.size() == expected.size());
        ++rows;
        float sum = 0;
        for (float& value : given) sum += value = probabilities ? std::exp(value) : value;
        for (std::size_t k = 0; k < given.size(); ++k)
            worst = std::max(worst,
                             static_cast<double>(std::abs(given[k] / (probabilities ? sum : 1.0f) - expected[k])));
    }
    CHECK(rows == 3);
    return worst;
}

TrainedModel imported(const std::string& bytes) {
    const auto model = import_onnx(bytes, "it.onnx");
    if (!model) FAIL(model.error().text);
    CHECK(model->parameters.size() == model->count());
    return *model;
}

std::string refusal(const std::string& bytes) {
    const auto model = import_onnx(bytes, "it.onnx");
    REQUIRE_FALSE(model);
    CHECK_THAT(model.error().text, Contains("it.onnx"));
    return model.error().text;
}

/// A graph around nodes: rows of 4 numbers in, whatever "y" is out.
std::string file_of(const std::function<void(onnx::Graph&)>& fill, const onnx::Sizes& input = {4}) {
    onnx::Graph graph;
    graph.add(11, onnx::value("x", onnx::float32, true, input));
    fill(graph);
    graph.add(12, onnx::value("y", onnx::float32, true, {2}));
    onnx::Message out, opset;
    opset.add(2, 13);
    out.add(1, 7);
    out.add(7, graph.message());
    out.add(8, opset);
    return out.bytes();
}

}  // namespace

TEST_CASE("what was exported as ONNX comes back as the same network, to 1e-5") {
    for (const NetworkSample& sample : network_samples()) {
        CAPTURE(sample.name);
        TrainedModel model = scaled(model_of(sample));
        model.task = "classification";
        for (int k = 0; k < model.outputs(); ++k) model.output_names.push_back(fmt::format("class {}", k));
        const TrainedModel back = imported(model_onnx(model, sample.name));
        CHECK(difference(back, lines_of(model)) < 1e-5);
        CHECK(back.head == ModelHead::classes);
        CHECK(back.task == model.task);
        CHECK(back.output_names == model.output_names);
        CHECK(back.inputs() == model.inputs());
        CHECK(back.centre.size() == model.centre.size());
        if (back.network) CHECK(back.signature() == imported(model_onnx(back, "again")).signature());
    }
    for (const bool one_hot : {false, true}) {
        for (const bool bias : {false, true}) {
            TrainedModel model{
                .experiment = "p",
                .shape = *MlpShape::make(5, std::vector<int>{4, 3}, 2, Activation::tanh, one_hot, bias),
                .head = one_hot ? ModelHead::classes : ModelHead::gaussian,
                .parameters = {}};
            model.shape.linear_input = !one_hot;
            model.parameters.resize(model.count());
            Stream random(8, 0, Purpose::evaluate);
            for (float& value : model.parameters) value = random.normal();
            const TrainedModel back = imported(model_onnx(model, "p"));
            CHECK(back.shape == model.shape);
            CHECK(back.head == model.head);
            CHECK(back.parameters == model.parameters);
        }
    }
}

TEST_CASE("models as PyTorch and Keras write them compute here what they compute there, to 1e-5") {
    if (!has_onnx()) return;
    const Folder folder;
    REQUIRE(folder.shell("cd " DUNLIN_SOURCE_DIR
                         "/tests/training && PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 onnx_models.py " +
                         folder.path()) == 0);
    const std::pair<std::string, std::vector<std::string>> models[] = {
        {"vision",
         {"conv 3x3 6 stride=2x1 pad=1x1 relu", "conv 3x3 6 pad=1x1 groups=3 leaky-relu", "conv 1 6", "add 2 relu",
          "max-pool 2x2", "average-pool 2x2 stride=1x1", "dense 5 relu", "dense 3"}},
        {"norms", {"depthwise 3x3", "group-norm 2 tanh", "flatten", "layer-norm", "dense 3 sigmoid"}},
        {"speech", {"conv 1 5 tanh", "lstm 6 every-step both-ways", "gru 5", "dense 3"}},
        {"sensors", {"conv 5 6 stride=1x2 pad=0x2 relu", "depthwise 1", "max-pool 2", "global-average", "dense 3"}},
        {"characters", {"embedding 4", "lstm 5", "dense 3"}},
        {"rows", {"conv 3x3 4 pad=1x1 relu", "global-average", "dense 3"}},
        {"perceptron", {}}};
    for (const auto& [name, layers] : models) {
        CAPTURE(name);
        const TrainedModel model = imported(folder.read(name + ".onnx"));
        if (model.network)
            CHECK(layer_texts(*model.network) == layers);
        else
            CHECK(layers.empty());
        CHECK(difference(model, {folder.read(name + ".in"), folder.read(name + ".out")}, name == "sensors") < 1e-5);
    }
}

TEST_CASE("what no layer is is refused by its operator and its node") {
    const std::vector<float> eight(8, 0.5f);
    const auto with = [&](std::string_view type, const std::vector<onnx::Message>& attributes) {
        return file_of([&](onnx::Graph& graph) {
            graph.add_weights("w", eight, {4, 2});
            graph.add_node("MatMul", {"x", "w"}, {"z"});
            graph.add_node(type, {"z"}, {"y"}, attributes);
        });
    };
    CHECK_THAT(refusal(with("Erf", {})), Contains("Erf \"y by Erf\"") && Contains("Gemm, MatMul, Conv"));
    CHECK_THAT(refusal(with("LeakyRelu", {onnx::attribute("alpha", 0.2f)})),
               Contains("LeakyRelu") && Contains("0.2"));
    CHECK_THAT(refusal(with("MaxPool", {onnx::attribute("kernel_shape", onnx::Sizes{2})})), Contains("MaxPool"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_weights("w", eight, {2, 4});
                   graph.add_node("MatMul", {"x", "w"}, {"y"});
               })),
               Contains("MatMul") && Contains("weights for 2 numbers, and 4 come in"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_node("MatMul", {"x", "w"}, {"y"});
               })),
               Contains("no numbers in the file"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_weights("w", eight, {4, 2});
                   graph.add_node("MatMul", {"x", "w"}, {"a"});
                   graph.add_node("MatMul", {"x", "w"}, {"b"});
                   graph.add_node("Add", {"a", "b"}, {"y"});
               })),
               Contains("follow one another"));
    // What comes in is scaled for one reader, and another reads it as it is; or it loses its fractions.
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_weights("f", std::vector<float>(4, 5.0f), {4});
                   graph.add_weights("w", eight, {4, 2});
                   graph.add_node("Mul", {"x", "f"}, {"a"});
                   graph.add_node("Relu", {"a"}, {"unused"});
                   graph.add_node("MatMul", {"x", "w"}, {"y"});
               })),
               Contains("MatMul") && Contains("without the scale"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_weights("w", eight, {4, 2});
                   graph.add_node("Cast", {"x"}, {"i"}, {onnx::attribute("to", std::int64_t{7})});
                   graph.add_node("Cast", {"i"}, {"f"}, {onnx::attribute("to", std::int64_t{1})});
                   graph.add_node("MatMul", {"f", "w"}, {"y"});
               })),
               Contains("cast to whole ones"));
    CHECK_THAT(
        refusal(file_of(
            [&](onnx::Graph& graph) {
                graph.add_weights("w", eight, {1, 2, 2, 2});
                graph.add_node("Conv", {"x", "w"}, {"y"}, {onnx::attribute("pads", onnx::Sizes{0, 0, 1, 1})});
            },
            {2, 4, 4})),
        Contains("padded differently"));
    for (const bool resets : {false, true}) {
        const std::string text = refusal(file_of(
            [&](onnx::Graph& graph) {
                graph.add_weights("w", std::vector<float>(12), {1, 6, 2});
                graph.add_node("Transpose", {"x"}, {"t"}, {onnx::attribute("perm", onnx::Sizes{1, 0, 2})});
                graph.add_node(
                    "GRU", {"t", "w", "w"}, {"", resets ? "y" : "h"},
                    resets ? std::vector<onnx::Message>{}
                           : std::vector<onnx::Message>{onnx::attribute("linear_before_reset", std::int64_t{1})});
                if (!resets) graph.add_node("Sqrt", {"h"}, {"y"});
            },
            {3, 2}));
        CHECK_THAT(text, resets ? Contains("reset_after") : Contains("Sqrt"));
    }
    CHECK_THAT(refusal("no model"), Contains("it.onnx"));
    CHECK_THAT(refusal(""), Contains("no ONNX model"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   graph.add_weights("w", eight, {4000000000, 4000000000});
                   graph.add_node("MatMul", {"x", "w"}, {"y"});
               })),
               Contains("not what its sizes say"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) { graph.add_node("Relu", {"x"}, {"y"}); }, {65536, 65536})),
               Contains("numbers"));
    CHECK_THAT(refusal(file_of([&](onnx::Graph& graph) {
                   std::string from = "x";
                   graph.add_weights("w", std::vector<float>(16, 0.1f), {4, 4});
                   for (int l = 0; l < 40; ++l) {
                       const std::string to = fmt::format("z{}", l);
                       graph.add_node("MatMul", {from, "w"}, {to});
                       graph.add_node("Tanh", {to}, {from = to + "t"});
                   }
                   graph.add_node("Identity", {from}, {"y"});
               })),
               Contains("at most 32"));
}

TEST_CASE("whatever an ONNX file's bytes become, importing it ends with a model that fits or an error") {
    Stream random(6, 0, Purpose::evaluate);
    const auto below = [&](std::size_t bound) { return random.below(static_cast<std::uint32_t>(bound)); };
    int refused = 0, taken = 0;
    for (const NetworkSample& sample : network_samples()) {
        TrainedModel model = scaled(model_of(sample));
        const std::string whole = model_onnx(model, sample.name);
        for (int round = 0; round < 300; ++round) {
            std::string bytes = whole;
            for (std::uint32_t change = below(4); change-- > 0;)
                bytes[below(bytes.size())] = static_cast<char>(random.bits());
            if (round % 3 == 0) bytes.resize(below(bytes.size()));
            if (round % 7 == 0) {
                const std::size_t from = below(bytes.size() + 1);
                bytes = fmt::format("{}{}", bytes.substr(0, below(bytes.size() + 1)), bytes.substr(from));
            }
            const auto back = import_onnx(bytes, "it.onnx");
            ++(back ? taken : refused);
            if (back && back->parameters.size() != back->count()) FAIL(sample.name << ", round " << round);
        }
    }
    CHECK(refused > 1000);
    CHECK(taken > 100);
}

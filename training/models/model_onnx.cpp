// SPDX-License-Identifier: Apache-2.0
#include "training/models/model_export.hpp"
#include "training/models/onnx_graph.hpp"

#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

using onnx::float32, onnx::int64, onnx::Message, onnx::value;

/// Adds the networks of a model to a graph.
class Graph : public onnx::Graph {
public:
    explicit Graph(const TrainedModel& model) : model_(model), shape_(model.shape) {}

    /// One network from `input` to `output`; `before` begins the names of what is in between.
    void add_network(int network, const std::string& input, const std::string& output, const std::string& before) {
        const std::size_t count = model_.network_parameters();
        const std::span<const float> own =
            std::span<const float>(model_.parameters).subspan(static_cast<std::size_t>(network) * count, count);
        if (model_.network) return onnx::add_network(*this, *model_.network, own, input, output, before);
        std::string from = input;
        for (int l = 0; l < shape_.layers; ++l) {
            const bool last = l + 1 == shape_.layers;
            const std::string sum = last ? output : fmt::format("{}sum_{}", before, l);
            add_layer(own, l, from, sum, before);
            if (last) break;
            from = fmt::format("{}hidden_{}", before, l);
            add_node(onnx::operator_of(shape_.activation(l)), {sum}, {from});
        }
    }

private:
    void add_layer(std::span<const float> own, int l, const std::string& input, const std::string& output,
                   const std::string& before) {
        const auto width = static_cast<std::size_t>(shape_.width(l));
        const std::string weights = fmt::format("{}weights_{}", before, l),
                          bias = fmt::format("{}bias_{}", before, l);
        add_weights(weights, own.subspan(shape_.weights_at(l), static_cast<std::size_t>(shape_.fan_in(l)) * width),
                    {shape_.fan_in(l), shape_.width(l)});
        if (shape_.bias) add_weights(bias, own.subspan(shape_.bias_at(l), width), {shape_.width(l)});
        const std::string product = shape_.bias ? fmt::format("{}product_{}", before, l) : output;
        if (l == 0 && shape_.one_hot)
            add_node("Gather", {weights, input}, {product});
        else
            add_node("MatMul", {input, weights}, {product});
        if (shape_.bias) add_node("Add", {product, bias}, {output});
    }

    const TrainedModel& model_;
    const MlpShape& shape_;
};

/// The networks' probabilities, averaged by the mixture's weights.
void add_mixture(Graph& graph, const TrainedModel& model, const std::string& input, const std::string& output) {
    std::string sum;
    for (int n = 0; n < model.networks; ++n) {
        const std::string before = fmt::format("network_{}_", n);
        graph.add_network(n, input, before + "logits", before);
        graph.add_node("Softmax", {before + "logits"}, {before + "probabilities"});
        graph.add_weights(before + "weight",
                          std::span<const float>(model.weights).subspan(static_cast<std::size_t>(n), 1), {1});
        const bool first = n == 0, last = n + 1 == model.networks;
        const std::string part = first && last ? output : before + "part";
        graph.add_node("Mul", {before + "probabilities", before + "weight"}, {part});
        const std::string next = last ? output : before + "sum";
        if (!first) graph.add_node("Add", {sum, part}, {next});
        sum = first ? part : next;
    }
}

std::string result_of(ModelHead head) {
    switch (head) {
        case ModelHead::actions:
        case ModelHead::classes:
            return "logits";
        case ModelHead::gaussian:
            return "mean";
        case ModelHead::mixture:
            return "probabilities";
        default:
            return "output";
    }
}

}  // namespace

std::string model_onnx(const TrainedModel& described, const std::string& name) {
    const int inputs = described.inputs(), outputs = described.outputs();
    const std::string result = result_of(described.head);
    const bool tokens = described.tokens(), steps = tokens && described.steps() > 1;
    std::string from = steps ? "tokens" : tokens ? "state" : "observation";
    Graph graph(described);
    graph.add(11, steps    ? value(from, int64, true, {described.steps()})
                  : tokens ? value(from, int64, true, {})
                           : value(from, float32, true, {inputs}));
    if (!described.centre.empty()) {
        graph.add_weights("centre", described.centre, {inputs});
        graph.add_weights("scale", described.scale, {inputs});
        graph.add_node("Sub", {from, "centre"}, {"centred"});
        graph.add_node("Mul", {"centred", "scale"}, {"scaled"});
        from = "scaled";
    }
    if (described.head == ModelHead::mixture)
        add_mixture(graph, described, from, result);
    else
        graph.add_network(0, from, result, "");
    graph.add(12, value(result, float32, true, {outputs}));
    if (described.gaussian()) {
        const std::span<const float> all(described.parameters);
        graph.add_weights("log_sigma_parameters", all.subspan(described.network_parameters()), {outputs});
        graph.add_node("Identity", {"log_sigma_parameters"}, {"log_sigma"});
        graph.add(12, value("log_sigma", float32, false, {outputs}));
    } else if (result == "logits") {
        // Softmax runs along the last axis, which is its default since opset 13.
        graph.add_node("Softmax", {result}, {"probabilities"});
        graph.add(12, value("probabilities", float32, true, {outputs}));
    }
    const std::vector<std::string> lines = about(described);
    graph.add(2, !name.empty() ? name : described.experiment.empty() ? "policy" : described.experiment);
    graph.add(10, fmt::format("{}", fmt::join(lines, "\n")));

    // ModelProto: ir_version 1, producer_name 2, doc_string 6, graph 7, opset_import 8, metadata_props 14
    Message out, opset;
    opset.add(1, "");
    opset.add(2, 13);
    out.add(1, 7);
    out.add(2, "dunlin");
    out.add(6, fmt::format("{}", fmt::join(lines, "\n")));
    out.add(7, graph.message());
    out.add(8, opset);
    const auto tell = [&out](std::string_view key, const std::vector<std::string>& names) {
        if (names.empty()) return;
        Message property;  // StringStringEntryProto: key 1, value 2
        property.add(1, key);
        property.add(2, fmt::format("{}", fmt::join(names, "\n")));
        out.add(14, property);
    };
    tell("task", described.task.empty() ? std::vector<std::string>{} : std::vector<std::string>{described.task});
    tell("input_names", described.input_names);
    tell("output_names", described.output_names);
    return out.bytes();
}

}  // namespace dunlin

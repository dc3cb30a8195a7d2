// SPDX-License-Identifier: Apache-2.0
// A model in ONNX is a Protocol Buffers message (onnx.proto3 of the ONNX project, IR version 7). It is small, so it
// is written here field by field.
#include "training/models/model_export.hpp"

#include <bit>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

/// A message of Protocol Buffers under construction.
class Message {
public:
    void add(int field, std::uint64_t number) {
        varint(static_cast<std::uint64_t>(field) << 3);
        varint(number);
    }
    void add(int field, std::string_view bytes) {
        varint(static_cast<std::uint64_t>(field) << 3 | 2);
        varint(bytes.size());
        bytes_ += bytes;
    }
    void add(int field, const Message& message) { add(field, std::string_view(message.bytes_)); }
    const std::string& bytes() const { return bytes_; }

private:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
        bytes_ += static_cast<char>(value);
    }
    std::string bytes_;
};

// TensorProto.DataType
constexpr std::uint64_t float32 = 1, int64 = 7;

/// TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little-endian).
Message tensor(const std::string& name, std::span<const float> numbers, std::initializer_list<int> sizes) {
    static_assert(std::endian::native == std::endian::little);
    Message out;
    for (const int size : sizes) out.add(1, static_cast<std::uint64_t>(size));
    out.add(2, float32);
    out.add(8, name);
    std::string raw(numbers.size_bytes(), '\0');
    std::memcpy(raw.data(), numbers.data(), raw.size());
    out.add(9, raw);
    return out;
}

/// ValueInfoProto of a tensor whose first size is any "batch", the others as given.
Message value(const std::string& name, std::uint64_t type, bool batched, std::initializer_list<int> sizes) {
    Message shape;
    if (batched) {
        Message dimension;
        dimension.add(2, "batch");
        shape.add(1, dimension);
    }
    for (const int size : sizes) {
        Message dimension;
        dimension.add(1, static_cast<std::uint64_t>(size));
        shape.add(1, dimension);
    }
    Message in_tensor, in_type, out;
    in_tensor.add(1, type);
    in_tensor.add(2, shape);
    in_type.add(1, in_tensor);
    out.add(1, name);
    out.add(2, in_type);
    return out;
}

/// NodeProto: input 1, output 2, name 3, op_type 4.
Message node(std::string_view type, std::initializer_list<std::string> inputs, const std::string& output) {
    Message out;
    for (const std::string& input : inputs) out.add(1, input);
    out.add(2, output);
    out.add(3, output + " by " + std::string(type));
    out.add(4, type);
    return out;
}

std::string_view operator_of(Activation activation) {
    switch (activation) {
        case Activation::relu:
            return "Relu";
        case Activation::tanh:
            return "Tanh";
        case Activation::sigmoid:
            return "Sigmoid";
        default:
            return "Identity";
    }
}

/// Adds nodes and weights to a graph.
class Graph {
public:
    explicit Graph(const TrainedModel& model) : model_(model), shape_(model.shape) {}

    void add(int field, const Message& message) { graph_.add(field, message); }
    void add(int field, std::string_view bytes) { graph_.add(field, bytes); }
    void add_node(std::string_view type, std::initializer_list<std::string> inputs, const std::string& output) {
        graph_.add(1, node(type, inputs, output));
    }
    void add_weights(const std::string& name, std::span<const float> numbers, std::initializer_list<int> sizes) {
        graph_.add(5, tensor(name, numbers, sizes));
    }
    const Message& message() const { return graph_; }

    /// One network from `input` to `output`; `before` begins the names of what is in between.
    void add_network(int network, const std::string& input, const std::string& output, const std::string& before) {
        const std::span<const float> own = std::span<const float>(model_.parameters)
                                               .subspan(static_cast<std::size_t>(network) * shape_.parameters());
        std::string from = input;
        for (int l = 0; l < shape_.layers; ++l) {
            const bool last = l + 1 == shape_.layers;
            const std::string sum = last ? output : fmt::format("{}sum_{}", before, l);
            add_layer(own, l, from, sum, before);
            if (last) break;
            from = fmt::format("{}hidden_{}", before, l);
            add_node(operator_of(shape_.activation(l)), {sum}, from);
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
            add_node("Gather", {weights, input}, product);
        else
            add_node("MatMul", {input, weights}, product);
        if (shape_.bias) add_node("Add", {product, bias}, output);
    }

    const TrainedModel& model_;
    const MlpShape& shape_;
    Message graph_;  // GraphProto: node 1, name 2, initializer 5, doc_string 10, input 11, output 12
};

/// The networks' probabilities, averaged by the mixture's weights.
void add_mixture(Graph& graph, const TrainedModel& model, const std::string& input, const std::string& output) {
    std::string sum;
    for (int n = 0; n < model.networks; ++n) {
        const std::string before = fmt::format("network_{}_", n);
        graph.add_network(n, input, before + "logits", before);
        graph.add_node("Softmax", {before + "logits"}, before + "probabilities");
        graph.add_weights(before + "weight",
                          std::span<const float>(model.weights).subspan(static_cast<std::size_t>(n), 1), {1});
        const bool first = n == 0, last = n + 1 == model.networks;
        const std::string part = first && last ? output : before + "part";
        graph.add_node("Mul", {before + "probabilities", before + "weight"}, part);
        const std::string next = last ? output : before + "sum";
        if (!first) graph.add_node("Add", {sum, part}, next);
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
    const MlpShape& shape = described.shape;
    const std::string result = result_of(described.head);
    std::string from = shape.one_hot ? "state" : "observation";
    Graph graph(described);
    graph.add(11, shape.one_hot ? value(from, int64, true, {}) : value(from, float32, true, {shape.inputs}));
    if (!described.centre.empty()) {
        graph.add_weights("centre", described.centre, {shape.inputs});
        graph.add_weights("scale", described.scale, {shape.inputs});
        graph.add_node("Sub", {from, "centre"}, "centred");
        graph.add_node("Mul", {"centred", "scale"}, "scaled");
        from = "scaled";
    }
    if (described.head == ModelHead::mixture)
        add_mixture(graph, described, from, result);
    else
        graph.add_network(0, from, result, "");
    graph.add(12, value(result, float32, true, {shape.outputs()}));
    if (described.gaussian()) {
        const std::span<const float> all(described.parameters);
        graph.add_weights("log_sigma_parameters", all.subspan(shape.parameters()), {shape.outputs()});
        graph.add_node("Identity", {"log_sigma_parameters"}, "log_sigma");
        graph.add(12, value("log_sigma", float32, false, {shape.outputs()}));
    } else if (result == "logits") {
        // Softmax runs along the last axis, which is its default since opset 13.
        graph.add_node("Softmax", {result}, "probabilities");
        graph.add(12, value("probabilities", float32, true, {shape.outputs()}));
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

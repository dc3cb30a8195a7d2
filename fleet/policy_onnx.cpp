// SPDX-License-Identifier: Apache-2.0
// A model in ONNX is a Protocol Buffers message (onnx.proto3 of the ONNX project, IR version 7). It is small, so it
// is written here field by field.
#include "fleet/policy_export.hpp"

#include <bit>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

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

/// The nodes and weights of one layer from `input` to `output`.
void add_layer(Message& graph, const PolicyFile& policy, int l, const std::string& input,
               const std::string& output) {
    const MlpShape& shape = policy.shape;
    const std::span<const float> all(policy.parameters);
    const auto width = static_cast<std::size_t>(shape.width(l));
    const std::string weights = fmt::format("weights_{}", l), bias = fmt::format("bias_{}", l);
    graph.add(5,
              tensor(weights, all.subspan(shape.weights_at(l), static_cast<std::size_t>(shape.fan_in(l)) * width),
                     {shape.fan_in(l), shape.width(l)}));
    if (shape.bias) graph.add(5, tensor(bias, all.subspan(shape.bias_at(l), width), {shape.width(l)}));
    const std::string product = shape.bias ? fmt::format("product_{}", l) : output;
    graph.add(1, node(l == 0 && shape.one_hot ? "Gather" : "MatMul",
                      l == 0 && shape.one_hot ? std::initializer_list<std::string>{weights, input}
                                              : std::initializer_list<std::string>{input, weights},
                      product));
    if (shape.bias) graph.add(1, node("Add", {product, bias}, output));
}

}  // namespace

std::string policy_onnx(const PolicyFile& policy) {
    const MlpShape& shape = policy.shape;
    const std::string result = policy.gaussian ? "mean" : "logits";
    std::string from = shape.one_hot ? "state" : "observation";
    Message graph;  // GraphProto: node 1, name 2, initializer 5, input 11, output 12
    graph.add(11, shape.one_hot ? value(from, int64, true, {}) : value(from, float32, true, {shape.inputs}));
    for (int l = 0; l < shape.layers; ++l) {
        const bool last = l + 1 == shape.layers;
        const std::string sum = last ? result : fmt::format("sum_{}", l);
        add_layer(graph, policy, l, from, sum);
        if (last) break;
        from = fmt::format("hidden_{}", l);
        graph.add(1, node(operator_of(shape.hidden), {sum}, from));
    }
    graph.add(12, value(result, float32, true, {shape.outputs()}));
    if (policy.gaussian) {
        const std::span<const float> all(policy.parameters);
        graph.add(5, tensor("log_sigma_parameters", all.subspan(shape.parameters()), {shape.outputs()}));
        graph.add(1, node("Identity", {"log_sigma_parameters"}, "log_sigma"));
        graph.add(12, value("log_sigma", float32, false, {shape.outputs()}));
    } else {
        // Softmax runs along the last axis, which is its default since opset 13.
        graph.add(1, node("Softmax", {result}, "probabilities"));
        graph.add(12, value("probabilities", float32, true, {shape.outputs()}));
    }
    graph.add(2, policy.experiment.empty() ? std::string_view("policy") : std::string_view(policy.experiment));

    Message model, opset;  // ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8
    opset.add(1, "");
    opset.add(2, 13);
    model.add(1, 7);
    model.add(2, "dunlin");
    model.add(7, graph);
    model.add(8, opset);
    return model.bytes();
}

}  // namespace dunlin

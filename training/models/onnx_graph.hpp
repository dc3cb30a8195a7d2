// SPDX-License-Identifier: Apache-2.0
// A model in ONNX is a Protocol Buffers message (onnx.proto3 of the ONNX project, IR version 7). It is small, so it
// is written here field by field.
#pragma once

#include "core/kernels.hpp"
#include "core/network/network_shape.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::onnx {

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
    void add_float(int field, float number) {
        varint(static_cast<std::uint64_t>(field) << 3 | 5);
        char raw[4];
        std::memcpy(raw, &number, sizeof raw);
        bytes_.append(raw, sizeof raw);
    }
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

using Sizes = std::vector<std::int64_t>;

/// TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little-endian).
template <class T>
Message tensor(const std::string& name, std::span<const T> numbers, const Sizes& sizes) {
    static_assert(std::endian::native == std::endian::little);
    Message out;
    for (const std::int64_t size : sizes) out.add(1, static_cast<std::uint64_t>(size));
    out.add(2, std::is_same_v<T, float> ? float32 : int64);
    out.add(8, name);
    std::string raw(numbers.size_bytes(), '\0');
    std::memcpy(raw.data(), numbers.data(), raw.size());
    out.add(9, raw);
    return out;
}

/// ValueInfoProto of a tensor whose first size is any "batch", the others as given.
inline Message value(const std::string& name, std::uint64_t type, bool batched, const Sizes& sizes) {
    Message shape;
    if (batched) {
        Message dimension;
        dimension.add(2, "batch");
        shape.add(1, dimension);
    }
    for (const std::int64_t size : sizes) {
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

/// AttributeProto: name 1, f 2, i 3, s 4, ints 8, type 20 (1 float, 2 int, 3 string, 7 ints).
inline Message attribute(std::string_view name, std::int64_t number) {
    Message out;
    out.add(1, name);
    out.add(3, static_cast<std::uint64_t>(number));
    out.add(20, 2);
    return out;
}
inline Message attribute(std::string_view name, float number) {
    Message out;
    out.add(1, name);
    out.add_float(2, number);
    out.add(20, 1);
    return out;
}
inline Message attribute(std::string_view name, std::string_view text) {
    Message out;
    out.add(1, name);
    out.add(4, text);
    out.add(20, 3);
    return out;
}
inline Message attribute(std::string_view name, const Sizes& numbers) {
    Message out;
    out.add(1, name);
    for (const std::int64_t number : numbers) out.add(8, static_cast<std::uint64_t>(number));
    out.add(20, 7);
    return out;
}

inline std::string_view operator_of(Activation activation) {
    switch (activation) {
        case Activation::relu:
            return "Relu";
        case Activation::leaky_relu:
            return "LeakyRelu";
        case Activation::tanh:
            return "Tanh";
        case Activation::sigmoid:
            return "Sigmoid";
        default:
            return "Identity";
    }
}

/// GraphProto: node 1, name 2, initializer 5, doc_string 10, input 11, output 12.
class Graph {
public:
    void add(int field, const Message& message) { graph_.add(field, message); }
    void add(int field, std::string_view bytes) { graph_.add(field, bytes); }
    /// NodeProto: input 1, output 2, name 3, op_type 4, attribute 5.
    void add_node(std::string_view type, const std::vector<std::string>& inputs,
                  const std::vector<std::string>& outputs, const std::vector<Message>& attributes = {}) {
        Message out;
        for (const std::string& input : inputs) out.add(1, input);
        for (const std::string& output : outputs) out.add(2, output);
        out.add(3, (outputs.front().empty() ? outputs.back() : outputs.front()) + " by " + std::string(type));
        out.add(4, type);
        for (const Message& attribute : attributes) out.add(5, attribute);
        graph_.add(1, out);
    }
    void add_weights(const std::string& name, std::span<const float> numbers, const Sizes& sizes) {
        graph_.add(5, tensor(name, numbers, sizes));
    }
    void add_integers(const std::string& name, const Sizes& numbers) {
        graph_.add(
            5, tensor(name, std::span<const std::int64_t>(numbers), {static_cast<std::int64_t>(numbers.size())}));
    }
    const Message& message() const { return graph_; }

private:
    Message graph_;
};

/// A network with these parameters, from `input` (batch x numbers, or of tokens batch x steps, one step: batch) to
/// `output` (batch x numbers); `before` begins the names of what is in between.
void add_network(Graph& graph, const NetworkShape& shape, std::span<const float> parameters,
                 const std::string& input, const std::string& output, const std::string& before);

}  // namespace dunlin::onnx

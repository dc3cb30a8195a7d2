// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What of an ONNX file is needed to make a network of it (onnx.proto3 of the ONNX project).
namespace dunlin::onnx {

/// A constant tensor: of numbers, or of whole numbers.
struct Tensor {
    std::string name;
    std::vector<std::int64_t> sizes;
    bool whole = false;
    std::vector<float> numbers;
    std::vector<std::int64_t> integers;
};

struct Attribute {
    std::int64_t integer = 0;
    float number = 0;
    std::string text;
    std::vector<std::int64_t> integers;
    std::optional<Tensor> tensor;
};

struct Node {
    std::string name, type, domain;
    std::vector<std::string> inputs, outputs;
    std::map<std::string, Attribute, std::less<>> attributes;

    std::int64_t integer(std::string_view key, std::int64_t missing) const;
    float number(std::string_view key, float missing) const;
    std::string text(std::string_view key, std::string_view missing) const;
    std::vector<std::int64_t> integers(std::string_view key) const;  ///< empty where there are none
    /// For people: the operator, and the node's name or what it gives.
    std::string shown() const;
};

/// An input or an output; a size that is not said, or is a name, is -1.
struct Port {
    std::string name;
    bool whole = false;
    bool sized = false;
    std::vector<std::int64_t> sizes;
};

struct File {
    static constexpr std::size_t size_limit = std::size_t{1} << 30;
    static constexpr std::size_t count_limit = 10000;  ///< of nodes, of tensors
    static constexpr std::size_t rank_limit = 8;

    std::int64_t opset = 0;
    std::string name;
    std::vector<Node> nodes;
    std::vector<Tensor> tensors;
    std::vector<Port> inputs, outputs;
    std::map<std::string, std::string> properties;

    /// Errors: bytes that are no such message, or more than is read here; tensors of other types, or outside the file.
    static Outcome<File> parse(std::string_view bytes);
};

}  // namespace dunlin::onnx

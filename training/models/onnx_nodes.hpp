// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/models/onnx_file.hpp"
#include "training/models/onnx_stack.hpp"

#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dunlin::onnx {

/// Walks over the nodes of a graph and makes layers of them.
class Nodes {
public:
    explicit Nodes(const File& file) : file_(file) {}

    Made<void> walk();

    Stack& stack() { return stack_; }
    std::size_t input() const { return input_; }  ///< the number of the graph's input
    /// The network sees (x - centre) * scale; both empty: x. In the order of the graph's input.
    const std::vector<float>& centre() const { return centre_; }
    const std::vector<float>& scale() const { return scale_; }
    bool chooses() const { return chooses_; }  ///< a softmax is at the end
    const std::vector<float>& log_sigma() const { return log_sigma_; }

private:
    struct Value {
        enum Kind : std::uint8_t { view, constant, sizes, zeros, part } kind = view;
        View seen;                          ///< view
        const Tensor* tensor = nullptr;     ///< constant
        std::vector<std::int64_t> numbers;  ///< sizes: of a tensor, `any` for the batch
    };
    static constexpr std::int64_t any = INT64_MIN;

    Made<void> take_input();
    Made<void> take_outputs();
    Made<Value> of(const Node& node);
    /// Of what is known before a sample comes in: nothing where the node is not of that.
    std::optional<Value> of_sizes(const Node& node) const;
    /// Of the steps that a normalisation is written as: nothing where the node is none.
    std::optional<Value> of_parts(const Node& node) const;
    Made<View> of_view(const Node& node, const View& x);

    // One for each family of operators (onnx_nodes.cpp, onnx_node_layers.cpp, onnx_node_scales.cpp).
    Made<View> rearranged(const Node& node, const View& x);
    Made<View> picked(const Node& node, const View& x);
    Made<View> activated(const Node& node, const View& x);
    Made<View> pooled(const Node& node, const View& x);
    Made<View> convolved(const Node& node, const View& x);
    Made<View> multiplied(const Node& node, const View& x);
    Made<View> looked_up(const Node& node, const View& x);
    Made<View> walked(const Node& node, const View& x);
    Made<View> normalised(const Node& node, const View& x);
    Made<View> divided_by_deviation(const Node& node);
    Made<View> with_constant(const Node& node, const View& x, const Tensor& tensor);
    Made<View> summed(const Node& node);
    Made<View> scaled(const View& x, std::vector<float> factor, std::vector<float> shift);
    Made<View> normal(const View& x, int groups, float epsilon);

    Made<LayerSpec> window(const Node& node, LayerKind kind, std::size_t sides) const;
    const Value* value(const Node& node, std::size_t input) const;
    Made<const Tensor*> weights(const Node& node, std::size_t input) const;
    const Node* maker(const std::string& name, std::string_view type) const;
    Made<void> spend(std::uint64_t numbers);
    Made<void> settle(const View& x);
    std::optional<std::vector<std::int64_t>> whole(const Node& node, std::size_t input) const;
    std::optional<std::vector<std::int64_t>> axes_of(const Node& node, const View& x) const;
    Made<std::vector<float>> along(const View& x, std::size_t axis, const Tensor& tensor);
    /// A tensor's numbers at each place of what the view shows.
    Made<std::vector<float>> spread(const View& x, const Tensor& tensor);

    const File& file_;
    std::map<std::string, Value> values_;
    std::map<std::string, const Node*> makers_;
    std::map<std::string, int> uses_;
    std::list<Tensor> made_;  ///< constants that nodes hold as numbers
    Stack stack_;
    std::size_t input_ = 0;
    std::vector<float> centre_, scale_, log_sigma_;
    int scalings_ = 0;  ///< of what comes in
    bool chooses_ = false;
    std::uint64_t spent_ = 0;
};

}  // namespace dunlin::onnx

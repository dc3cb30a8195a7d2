// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"
#include "training/models/onnx_view.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace dunlin::onnx {

/// Something, or why there is none: a sentence that follows the node's name.
template <class T>
using Made = tl::expected<T, std::string>;
inline tl::unexpected<std::string> no(std::string why) {
    return tl::unexpected(std::move(why));
}

/// The layers of a network that is built from a graph, each on top of the one before. The first one says how the graph's
/// input lies in the network's.
class Stack {
public:
    struct Layer {
        LayerSpec spec;
        std::vector<float>
            weights;  ///< as Dunlin orders them; of a normalisation a scale and a shift for every number
        bool biased = false;
        bool closed = false;  ///< others have what it gives: it stays as it is
    };

    bool empty() const { return layers_.empty(); }
    int top() const { return static_cast<int>(layers_.size()) - 1; }
    Layer& last() { return layers_.back(); }
    Layer& layer(int l) { return layers_[static_cast<std::size_t>(l)]; }
    Extent out() const { return extents_.empty() ? input_ : extents_.back(); }
    Extent out(int l) const { return extents_[static_cast<std::size_t>(l)]; }
    bool tokens() const { return tokens_; }
    /// The first layer takes tokens of so many kinds.
    void take_tokens(int kinds, int steps) {
        tokens_ = true;
        input_ = {1, steps, kinds};
    }
    /// Of each number of the network's input the place in the graph's; empty of tokens.
    const std::vector<std::int32_t>& input_order() const { return order_; }

    /// Is the view what the last layer gives, with axes of height, width and channels as `axes` names them ("nchw", "nwc",
    /// "wnc")? Else why not.
    Made<Extent> seen_as(const View& view, std::string_view axes);
    /// Is it a row of what the last layer gives? Of each number of the row its place there.
    Made<std::vector<std::int32_t>> row(const View& view);
    /// May what the last layer gives be changed, and does the view show it?
    bool open(const View& view) const;

    Made<void> append(LayerSpec spec, std::vector<float> weights, bool biased = true);
    /// A recurrent layer on top gives its last state alone.
    void keep_last_step();
    /// The network and all parameters, with a scale a channel for normalisations.
    Made<NetworkShape> finish(Extent& input, std::vector<float>& parameters, bool& biases);

private:
    Made<void> on_top(const View& view) const;
    Made<NetworkShape> shape() const;
    /// Does a layer that takes any extent follow, or none?
    bool row_follows(std::size_t l) const;

    std::vector<Layer> layers_;
    std::vector<Extent> extents_;
    Extent input_{};
    std::vector<std::int32_t> order_;
    bool tokens_ = false;
};

}  // namespace dunlin::onnx

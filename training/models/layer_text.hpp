// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"
#include "training/host/failure.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A layer as a user writes it: its kind, sizes, options, and its activation at the end.
///
///     dense 10                  conv 3x3 8 stride=2 pad=1 groups=2 relu       depthwise 3x3 relu
///     max-pool 2x2              average-pool 3x3 stride=1                     global-average
///     gru 64 every-step         lstm 64 both-ways                             embedding 8
///     layer-norm                group-norm 4 relu                             add 2 relu
///     dropout 0.2               flatten
///
/// Sizes are height x width; one number is a width, over time. A window's stride is 1 for a convolution and its own size
/// for a pool; `pad=same` keeps the size at stride 1. `add N` adds what the layer N before the last one gave.
/// Activations: relu, leaky-relu, tanh, sigmoid, linear.
/// `in` is what comes into it.
std::string layer_text(const LayerSpec& spec, Extent in);

/// "28 x 28 x 1", or "20 steps of 13 numbers".
std::string extent_text(Extent extent);

/// A network of layers written so, `key` the setting that they come from ("model.layers"). `outputs`: how many numbers
/// the last one has to give; 0: any. Errors: which layer, what comes into it, what it wants.
Outcome<NetworkShape> read_layers(std::string_view key, Extent input, bool tokens,
                                  const std::vector<std::string>& layers, int outputs);

/// The layers of a shape, in words.
std::vector<std::string> layer_texts(const NetworkShape& shape);

}  // namespace dunlin

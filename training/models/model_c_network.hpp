// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"

#include <string>

/// Networks of every kind of layer in C99, for model_c.cpp: the sums of the reference kernels, in their order.
namespace dunlin::c_network {

/// Does a layer need `exponential`?
bool curved(const NetworkShape& shape);
/// The functions of those kinds of layers that the network has.
std::string functions(const NetworkShape& shape);
/// Declarations of what is between the layers, for a function's beginning.
std::string buffers(const NetworkShape& shape);
/// Statements that go from `input` (numbers, or `tokens`, or `state`) to `result`. `weights` begins the names of the layers'
/// arrays of parameters, which end in the layer's number.
std::string statements(const NetworkShape& shape, const std::string& weights, const std::string& input,
                       const std::string& result);

}  // namespace dunlin::c_network

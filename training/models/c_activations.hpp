// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"

#include <string>
#include <string_view>

namespace dunlin {

/// `exponential` in C99, as portable::exp computes it.
extern const std::string_view c_exponential;

/// An activation in C99 as a function of this name, with the reference kernels' bits; tanh and sigmoid call
/// `exponential`. Empty for the identity.
std::string c_activation(Activation activation, std::string_view name);

}  // namespace dunlin

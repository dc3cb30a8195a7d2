// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"
#include "training/host/footprint.hpp"

namespace dunlin {

/// What a network of layers takes on a Cortex-M4F as a FixedNetwork (core/network/fixed_network.hpp) of one sample with its
/// parameters in flash, or where it is trained in RAM too: memory by the formulas by which a firmware declares it, code as
/// GCC 12 links it at -Os, without start-up and drivers. Measured images are in docs/boards.md.
Footprint footprint(const NetworkShape& shape, bool trains);

}  // namespace dunlin

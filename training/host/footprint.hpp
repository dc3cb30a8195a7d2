// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/mlp.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace dunlin {

enum class DeviceMethod : std::uint8_t {
    adapt,     ///< MEMRL's inner loop on a meta-policy in flash
    one_body,  ///< one real body: device::BodyLearner
    pars_push  ///< a node of a fleet behind its serial line, for jobs of PARS-Push without an audit, and of
               ///< PersA-FL
};

/// A learner on a microcontroller, before it is built.
struct DeviceSettings {
    DeviceMethod method = DeviceMethod::adapt;
    MlpShape shape;
    int neighbours = 3;     ///< of PARS-Push, that send to this node
    int cells = 49;         ///< of the grid that it navigates
    int trajectories = 48;  ///< D
    int horizon = 30;       ///< H
};

struct FootprintPart {
    std::string what;
    std::size_t bytes = 0;
};
struct Footprint {
    std::vector<FootprintPart> flash, ram;
    std::size_t flash_bytes() const;
    std::size_t ram_bytes() const;  ///< the stack, whose depth is a part of its own, included
};

/// What it takes on a Cortex-M4F, as firmware-targets/ builds it: memory by the formulas by which the images
/// declare it, code as it was measured there. A test holds it against the map files to 5 percent (tests/firmware).
Footprint footprint(const DeviceSettings& settings);

}  // namespace dunlin

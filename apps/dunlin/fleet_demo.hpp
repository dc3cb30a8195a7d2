// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>

namespace dunlin::app {

struct FleetDemoRequest {
    int nodes = 8;
    std::uint64_t seed = 1;
    int rounds = 0;  ///< 0: as the experiments say
    bool json = false, quiet = false;
};

/// A fleet of real processes on this machine: a coordinator in this one and `nodes` times dunlin-node, over ZeroMQ
/// with CURVE on loopback. They learn navigation by MEMRL, with a server (PersA-FL) and then without (PARS-Push).
/// Whatever happens, even a kill of this process, nothing is left behind. Returns the exit code.
Outcome<int> run_fleet_demo(const FleetDemoRequest& request);

}  // namespace dunlin::app

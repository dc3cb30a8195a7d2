// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/federated_settings.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <cstdint>

namespace dunlin {

/// The simulated clock of FederatedSettings for nodes among themselves: what the median node takes for one gradient
/// of its objective is `median_ticks` ticks. Where nobody waits, a step makes up for the ticks since the last one,
/// so that of the median node is eta; a round's step is eta.
struct GossipClock {
    static constexpr int median_ticks = 16;
    static constexpr simulation::Time longest_way = simulation::Time{1} << 20;

    double tick_s = 0;

    explicit GossipClock(const FederatedSettings& settings);
    /// How many ticks begin within so many seconds.
    simulation::Time ticks(double seconds) const;
    /// What the fleet is told, with the trace that `settings` hold.
    GossipSettings settings_of(const FederatedSettings& settings, std::uint64_t seed, float weight_floor) const;
};

/// Reads the trace that the settings name, if they do, and lays it on their fleet of so many nodes. Errors:
/// read_trace's.
Outcome<void> follow_trace(FederatedSettings& settings, std::uint32_t nodes, DataNotes* notes = nullptr);
/// Says that nodes that learn alone use nothing of it.
DataNote trace_is_unused(const std::string& path);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/simulation/gossip_fleet.hpp"

namespace dunlin {

/// Nodes that say nothing, driven and looked at as a fleet: in every tick each takes a step of its own, or, together,
/// one model for all takes a step along the mean of all nodes' gradients. They start at the z in `start` (n d
/// floats, or d for one model). The same seed gives the same run for any number of threads and ranks: each rank takes
/// the gradients of its block of nodes, which all are told, and then all take all steps.
Outcome<std::unique_ptr<GossipFleet>> make_alone_fleet(std::uint32_t nodes, bool together,
                                                       const GossipSettings& settings, std::span<const float> start,
                                                       LearnerOf learner_of, int threads,
                                                       RankGroup& ranks = RankGroup::alone());

}  // namespace dunlin

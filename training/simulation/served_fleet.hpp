// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/simulation/federated_fleet.hpp"
#include "training/simulation/gossip_fleet.hpp"

namespace dunlin {

/// A fleet with a server, driven and looked at as one without: a tick is as many updates as there are nodes, and
/// every node's estimate is the server's model.
Outcome<std::unique_ptr<GossipFleet>> make_served_fleet(const FederatedSettings& settings, std::uint64_t seed,
                                                        ConstVector<float> first, std::uint32_t nodes,
                                                        LearnerOf learner_of, Workers& workers);

}  // namespace dunlin

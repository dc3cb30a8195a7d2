// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"
#include "training/axes/federated_settings.hpp"
#include "training/host/workers.hpp"
#include "training/simulation/gossip_fleet.hpp"

namespace dunlin {

/// How a simulated fleet is to be made, whatever its aggregation is; what belongs to others is not looked at.
struct FleetRecipe {
    AggregationName by = AggregationName::pars_push;
    std::string_view section = "network";  ///< of the settings that `graph` comes from
    GraphRecipe graph = {};
    GossipSettings gossip = {};        ///< with neighbours, and for nodes alone
    FederatedSettings federated = {};  ///< with a server
    std::string trace = {};            ///< a file of NetworkTrace; empty: none
    float tick_ms = 50.0f;             ///< a tick among neighbours, as a trace of round trips counts it
};

/// A fleet of `nodes` that all start at `first`, by rounds: without a server a round is a tick, with one it is as many
/// updates as there are nodes. The graph is taken both ways where the method wants that. `notes`, where given, are
/// told what its file says that is not used, what was added, and what of a trace
/// was taken and filled in. With a server and a trace of round trips a task gradient takes `tick_ms`, and a message
/// what the trace says. `workers` belongs to the caller. Errors: those of
/// read_graph, of read_trace and of the fleets.
Outcome<std::unique_ptr<GossipFleet>> make_any_fleet(const FleetRecipe& recipe, ConstVector<float> first,
                                                     std::uint32_t nodes, LearnerOf learner_of, Workers& workers,
                                                     DataNotes* notes = nullptr);

}  // namespace dunlin

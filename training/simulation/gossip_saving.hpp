// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/simulation/gossip_simulation.hpp alone: how its fleets are saved and go on.

#include "training/host/archive.hpp"
#include "training/simulation/gossip_simulation.hpp"
#include "transport/simulation/network_state.hpp"

namespace dunlin {

/// What all threads counted is one sum, whoever counted it.
template <GossipNode Node>
void SimulatedGossip<Node>::save(Saver& saver) const {
    std::vector<Mass> applied(desks_.front().applied.size());
    for (const Desk& desk : desks_) {
        for (std::size_t k = 0; k < applied.size(); ++k) applied[k] = add_wrapped(applied[k], desk.applied[k]);
    }
    saver(calm_, counters(), applied);
    for (const Member& member : members_) {
        const auto state = member.node.state();
        saver(std::vector<std::byte>(state.begin(), state.end()), member.life, member.batches, member.stored,
              member.crash.from, member.crash.until, member.down, member.wake_up_set, member.awaits, member.spoke);
    }
    if (!saver.full()) saver(network_->save());  // a copy of all that is under way
}

template <GossipNode Node>
Result<void> SimulatedGossip<Node>::restore(Loader& loader) {
    bool calm = false;
    GossipCounters counters;
    std::vector<Mass> applied;
    loader(calm, counters, applied);
    if (!loader.ok()) return {};
    if (applied.size() != desks_.front().applied.size())
        return wrong_size(applied.size(), desks_.front().applied.size());
    for (Desk& desk : desks_) {
        desk.counters = {};
        std::ranges::fill(desk.applied, Mass{0});
    }
    desks_.front().counters = counters;
    desks_.front().applied = std::move(applied);
    for (Member& member : members_) {
        std::vector<std::byte> state;
        loader(state, member.life, member.batches, member.stored, member.crash.from, member.crash.until,
               member.down, member.wake_up_set, member.awaits, member.spoke);
        if (!loader.ok()) return {};
        if (auto restored = member.node.restore(state); !restored) return restored;
    }
    simulation::NetworkState network;
    loader(network);
    if (!loader.ok()) return {};
    if (auto restored = network_->restore(network); !restored) return restored;
    if (calm) calm_down();
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/simulation/gossip_simulation.hpp alone: how its fleets are saved and go on.

#include "training/host/archive.hpp"
#include "training/simulation/gossip_simulation.hpp"
#include "transport/simulation/network_state.hpp"

namespace dunlin {

/// What all threads counted is one sum, whoever counted it.
template <FleetNode Node>
void SimulatedGossip<Node>::save(Saver& saver) const {
    saver(calm_, counters(), all_applied());
    const auto put_own = [&](Saver& to) {
        for (const Member& member : members_) {
            const auto state = member.node.state();
            to(std::vector<std::byte>(state.begin(), state.end()), static_cast<const Doings&>(member));
        }
    };
    if (ranks().spread()) {
        Saver own;
        put_own(own);
        std::vector<RankGroup::Bytes> parts;
        ranks().tell({own.bytes().begin(), own.bytes().end()}, parts);
        parts[static_cast<std::size_t>(ranks().rank())] = own.take();
        for (const RankGroup::Bytes& part : parts) saver.append(part);
    } else {
        put_own(saver);
    }
    if (saver.full()) return;
    simulation::NetworkState network = network_->save();  // a copy of all that is under way
    if (ranks().spread()) fill_in(network.payloads);
    saver(network);
}

template <FleetNode Node>
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
    others_ = {};
    (ranks().leads() ? desks_.front().counters : others_) = counters;
    if (ranks().leads()) desks_.front().applied = std::move(applied);
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        std::vector<std::byte> state;
        Doings elsewhere;
        Member* const member = own_.holds(i) ? &members_[i - own_.first] : nullptr;
        loader(state, member != nullptr ? *member : elsewhere);
        if (!loader.ok()) return {};
        if (member == nullptr) continue;
        if (auto restored = member->node.restore(state); !restored) return restored;
    }
    simulation::NetworkState network;
    loader(network);
    if (!loader.ok()) return {};
    if (auto restored = network_->restore(network); !restored) return restored;
    if (calm) calm_down();
    return {};
}

}  // namespace dunlin

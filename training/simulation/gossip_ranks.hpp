// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/simulation/gossip_simulation.hpp alone: what its fleets tell other ranks.

#include "training/host/archive.hpp"
#include "training/simulation/gossip_simulation.hpp"

namespace dunlin {

/// After a tick: tells every rank what the nodes here replied, and takes what those of others did. The bytes of a share go
/// where one of its receivers is; elsewhere its size and fingerprint do.
template <FleetNode Node>
void SimulatedGossip<Node>::exchange_replies() {
    std::vector<Saver> to(static_cast<std::size_t>(ranks().count()));
    for (Saver& saver : to) saver(own_counters());
    for (const std::uint32_t group : served_) {
        const Reply& reply = replies_[group];
        const auto out = graph_.out(batch_.groups[group].node);
        const std::uint64_t seal = reply.speaks ? network_->sealed(reply.share) : 0;
        for (int rank = 0; rank < ranks().count(); ++rank) {
            Saver& saver = to[static_cast<std::size_t>(rank)];
            const std::optional<Error> error = reply.error();
            saver(error.has_value());
            if (error) saver(error->code, error->first, error->second);
            saver(reply.alarms);
            for (std::uint32_t k = 0; k < reply.alarms; ++k) saver(reply.alarm(k).first, reply.alarm(k).second);
            saver(reply.speaks);
            if (!reply.speaks) continue;
            const RankGroup::Block there = ranks().block(nodes(), rank);
            const auto receiver = std::ranges::lower_bound(out, there.first);
            const bool heard = receiver != out.end() && there.holds(*receiver);
            saver(reply.counter, heard, static_cast<std::uint64_t>(reply.share.size()), seal);
            if (heard) saver.append(reply.share.as());
        }
    }
    std::vector<RankGroup::Bytes> said, heard;
    for (Saver& saver : to) said.push_back(saver.take());
    said[static_cast<std::size_t>(ranks().rank())].clear();
    ranks().exchange(said, heard);

    std::vector<Loader> from(heard.begin(), heard.end());
    others_ = {};
    for (int rank = 0; rank < ranks().count(); ++rank) {
        if (rank == ranks().rank()) continue;
        GossipCounters counters;
        from[static_cast<std::size_t>(rank)](counters);
        others_ += counters;
    }
    for (const std::uint32_t group : batch_.by_node) {  // as they served them
        const std::uint32_t node = batch_.groups[group].node;
        if (own_.holds(node)) continue;
        Loader& loader = from[static_cast<std::size_t>(ranks().owner(node, nodes()))];
        Reply& reply = replies_[group];
        reply.clear();
        bool failed = false, bytes_follow = false;
        loader(failed);
        if (failed) {
            Error error;
            loader(error.code, error.first, error.second);
            reply.fail(error);
        }
        std::uint32_t alarms = 0;
        loader(alarms);
        for (std::uint32_t k = 0; k < alarms; ++k) {
            Time time = 0;
            Timer timer{};
            loader(time, timer);
            reply.set(time, timer);
        }
        loader(reply.speaks);
        if (!reply.speaks) continue;
        std::uint64_t size = 0, seal = 0;
        loader(reply.counter, bytes_follow, size, seal);
        auto payload = bytes_follow ? network_->allocate(static_cast<std::size_t>(size))
                                    : network_->stand_in(static_cast<std::size_t>(size), seal);
        if (!payload) {
            reply.fail(payload.error());
            return;
        }
        if (bytes_follow) loader.copy(payload->template writable<std::byte>());
        reply.share = *std::move(payload);
    }
}

/// For a checkpoint, which every rank makes in full: the bytes of what only stands in here.
template <FleetNode Node>
void SimulatedGossip<Node>::fill_in(std::vector<std::vector<std::byte>>& payloads) const {
    Saver own;
    own(payloads);
    std::vector<RankGroup::Bytes> parts;
    ranks().tell(own.take(), parts);
    for (const RankGroup::Bytes& part : parts) {
        Loader loader(part);
        std::vector<std::vector<std::byte>> theirs;
        if (!part.empty()) loader(theirs);
        for (std::size_t k = 0; k < theirs.size(); ++k) {
            if (payloads[k].empty()) payloads[k] = std::move(theirs[k]);
        }
    }
}

}  // namespace dunlin

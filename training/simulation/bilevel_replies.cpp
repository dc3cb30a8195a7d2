// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/bilevel_replies.hpp"

#include "training/host/archive.hpp"

namespace dunlin {
namespace {

/// Saves with `write` what this rank has of each of its nodes, and reads with `read` what others have of theirs.
template <class Write, class Read>
Result<void> exchange(RankGroup& ranks, std::span<BilevelReply> replies, const Write& write, const Read& read) {
    if (!ranks.spread()) return {};
    const auto nodes = static_cast<std::uint32_t>(replies.size());
    Saver saver;
    const RankGroup::Block own = ranks.block(nodes);
    for (std::uint32_t i = own.first; i < own.last; ++i) write(saver, replies[i]);
    const std::vector<RankGroup::Bytes> parts = told(ranks, saver.take());
    for (int rank = 0; rank < ranks.count(); ++rank) {
        if (rank == ranks.rank()) continue;
        Loader loader(parts[static_cast<std::size_t>(rank)]);
        const RankGroup::Block theirs = ranks.block(nodes, rank);
        for (std::uint32_t i = theirs.first; i < theirs.last; ++i) {
            if (auto done = read(loader, replies[i]); !done) return done;
        }
        if (!loader.done()) __builtin_trap();  // all ranks make the same run
    }
    return {};
}

void write_error(Saver& saver, const BilevelReply& reply) {
    saver(reply.error.has_value());
    if (reply.error) saver(reply.error->code, reply.error->first, reply.error->second);
}

void read_error(Loader& loader, BilevelReply& reply) {
    bool failed = false;
    loader(failed);
    reply.error.reset();
    if (!failed) return;
    Error error;
    loader(error.code, error.first, error.second);
    reply.error = error;
}

}  // namespace

std::vector<RankGroup::Bytes> told(RankGroup& ranks, RankGroup::Bytes own) {
    std::vector<RankGroup::Bytes> parts(1);
    if (ranks.spread()) ranks.tell(own, parts);
    parts[static_cast<std::size_t>(ranks.rank())] = std::move(own);
    return parts;
}

Result<void> exchange_replies(RankGroup& ranks, simulation::Network& network, std::span<BilevelReply> replies) {
    const auto write = [](Saver& saver, const BilevelReply& reply) {
        write_error(saver, reply);
        saver(reply.hearers, static_cast<std::uint64_t>(reply.payload.size()));
        if (reply.payload.size() > 0) saver.append(reply.payload.as<std::byte>());
    };
    const auto read = [&](Loader& loader, BilevelReply& reply) -> Result<void> {
        std::uint64_t size = 0;
        read_error(loader, reply);
        loader(reply.hearers, size);
        reply.payload = {};
        if (size == 0) return {};
        Result<simulation::Payload> payload = network.allocate(static_cast<std::size_t>(size));
        if (!payload) return tl::unexpected(payload.error());
        loader.copy(payload->writable<std::byte>());
        reply.payload = *std::move(payload);
        return {};
    };
    return exchange(ranks, replies, write, read);
}

void exchange_errors(RankGroup& ranks, std::span<BilevelReply> replies) {
    const auto read = [](Loader& loader, BilevelReply& reply) -> Result<void> {
        read_error(loader, reply);
        return {};
    };
    (void)exchange(ranks, replies, write_error, read);  // which has nothing to refuse
}

}  // namespace dunlin

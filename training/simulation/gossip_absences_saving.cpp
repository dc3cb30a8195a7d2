// SPDX-License-Identifier: Apache-2.0
// How a simulated fleet that loses nodes is saved and goes on.
#include "training/host/archive.hpp"
#include "training/simulation/gossip_absences.hpp"
#include "transport/simulation/network_state.hpp"

namespace dunlin {

void AbsentGossip::save(Saver& saver) const {
    MassBook book = *book_;  // whose lists of fields are for reading and writing alike
    saver(book);
    book.later_fields(saver);
    saver(calm_, closing_, counters_, expected_, book_error_, draws_, components_, network_->save());
    for (const Member& member : members_) {
        const auto state = member.node->state();
        saver(std::vector<std::byte>(state.begin(), state.end()), member.heard_from, member.heard_by, member.life,
              member.batches, member.steps, member.steps_before, member.stored, member.stored_steps, member.up,
              member.in, member.fenced, member.wake_up_set, member.absences);
    }
}

Result<void> AbsentGossip::restore(Loader& loader) {
    bool calm = false;
    simulation::NetworkState network;
    loader(*book_);
    book_->later_fields(loader);
    loader(calm, closing_, counters_, expected_, book_error_, draws_, components_, network);
    if (!loader.ok()) return {};
    if (!book_->fits(nodes(), dimension()) || expected_.values.size() != dimension() ||
        (!components_.empty() && components_.size() != nodes()))
        return fail(Code::shape_mismatch);
    if (auto linked = book_->link(); !linked) return linked;
    graph_ = book_->graph();
    if (auto restored = network_->restore(network); !restored) return restored;
    if (calm) calm_down();
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        Member& member = members_[i];
        std::vector<std::byte> state;
        loader(state, member.heard_from, member.heard_by, member.life, member.batches, member.steps,
               member.steps_before, member.stored, member.stored_steps, member.up, member.in, member.fenced,
               member.wake_up_set, member.absences);
        if (!loader.ok()) return {};
        for (const auto* steps : {&member.steps, &member.steps_before, &member.stored_steps}) {
            if (steps->size() != dimension()) return wrong_size(steps->size(), dimension());
        }
        if (auto resumed = resume(i, state); !resumed) return resumed;
    }
    return {};
}

/// The machine of the epoch that it was saved in, which for who is gone is an earlier one.
Result<void> AbsentGossip::resume(std::uint32_t i, std::span<const std::byte> state) {
    Member& member = members_[i];
    PushSumSettings network = network_settings(i);
    network.in_neighbours = member.heard_from;
    network.out_degree = member.heard_by;
    auto memory = std::make_unique<HostMemory>(
        ParsPush<>::memory(network.dimension, network.in_neighbours.size(), network.closable(), network.reclaims));
    if (state.size() > memory->bytes().size()) return fail(Code::state_size, std::ssize(state));
    Arena arena(memory->bytes());
    const std::span<std::byte> block = arena.take<std::byte>(state.size());
    std::ranges::copy(state, block.begin());
    auto made = ParsPush<>::resume({.network = network, .theta = settings_.theta}, block);
    if (!made) return tl::unexpected(made.error());
    member.node.emplace(*std::move(made));
    member.memory = std::move(memory);
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What a session does with a machine that says floats to its neighbours.
#include "transport/session/saved_job.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {
namespace {

/// Most that a node waits, by rounds, until it says again what it said.
constexpr std::int64_t most_patience_ms = 2000;

}  // namespace

/// And least: some ticks, which are longer than a message's way.
std::int64_t NodeSession::least_patience_ms() const {
    return std::min<std::int64_t>(100, std::int64_t{20} * std::max<std::uint32_t>(1, saved_->terms.tick_ms));
}

/// In a state that was laid out for it.
Result<void> NodeSession::make_neighbour(ConstVector<float> first, std::int64_t tick) {
    const MachineKind* kind = machine_kind(saved_->terms, edges_close());
    if (kind == nullptr) return make_push_sum(first);
    auto made = kind->make(saved_->terms, first, tick, machine_, object_);
    if (!made) return tl::unexpected(made.error());
    neighbour_ = *made;
    again_after_ms_ = least_patience_ms();
    again_at_ms_ = now_ms_ + again_after_ms_;
    turned_ms_ = now_ms_;
    return {};
}

/// Everybody keeps its parameters, and what was tracked beside them begins anew: the sums of trackers and of duals
/// over all nodes are right for those who are there.
Result<void> NodeSession::turn_neighbour(const JobOffer& offer, std::uint64_t told_nonce) {
    neighbour()->estimate(estimate_);
    const std::int64_t tick = neighbour()->tick();
    const Saved before = *saved_;
    const std::uint64_t named = nonce() != 0 ? nonce() : told_nonce;
    neighbour_ = nullptr;
    lay_out_state({before.job, 0, 0, 0, named}, offer.terms, false);
    saved_->updates = before.updates;
    saved_->set_random_epoch(before.random_epoch());
    saved_->started = 1;
    machine_kind(offer.terms, edges_close())->keep(offer, machine_);
    stored_tick_ = -1;
    if (auto made = make_neighbour(estimate_, tick); !made) {
        fall_out(made.error());
        return made;
    }
    lay_out_work(saved_->terms);
    begin_epoch();
    return {};
}

/// What is heard is in no state that anybody counts on: whoever said it says it again to a node that forgot.
Result<void> NodeSession::take_floats(const ShareMessage& share) {
    const MachineKind& kind = *machine_kind(saved_->terms.aggregation);
    if (share.values.size() != kind.words(saved_->terms.dimension))
        return fail(Code::shape_mismatch, static_cast<std::int64_t>(share.values.size()),
                    static_cast<std::int64_t>(kind.words(saved_->terms.dimension)));
    const std::span<const float> floats(reinterpret_cast<const float*>(share.values.data()),
                                        kind.sent * saved_->terms.dimension);
    const auto receipt =
        neighbour()->receive({.sender = share.from, .kappa = share.tick, .values = floats, .weight = 0.0f});
    if (!receipt) return tl::unexpected(receipt.error());
    if (!kind.rounds && *receipt == Receipt::accepted) follow(share.tick);
    return {};
}

Result<void> NodeSession::wake_neighbour(ConstVector<float> gradient) {
    const bool announces = neighbour()->turn() == NeighbourMachine::Turn::announce;
    const std::int64_t tick = by_rounds() ? tick_now() : std::max(tick_now(), neighbour()->tick() + 1);
    if (auto woken = neighbour()->wake(tick, gradient); !woken) return woken;
    // What a round takes is how long nobody need worry.
    again_after_ms_ = std::clamp(2 * (now_ms_ - turned_ms_), least_patience_ms(), most_patience_ms);
    turned_ms_ = now_ms_;
    again_at_ms_ = now_ms_ + again_after_ms_;
    ++unstored_;
    if (announces) return {};
    next_wake_ = tick + std::max<std::uint32_t>(1, saved_->terms.wake_ticks);
    ++saved_->updates;
    ++since_report_;
    return {};
}

/// Somebody may have missed what was said.
void NodeSession::say_again_soon() {
    again_after_ms_ = least_patience_ms();
    again_at_ms_ = std::min(again_at_ms_, now_ms_ + again_after_ms_);
}

bool NodeSession::may_take_turn() {
    if (unstored_ >= store_every()) return false;
    NeighbourMachine& machine = *neighbour();
    const NeighbourMachine::Turn turn = machine.turn();
    if (turn == NeighbourMachine::Turn::over) return false;
    if (turn == NeighbourMachine::Turn::wait) {
        if (unstored_ > 0 || now_ms_ < again_at_ms_) return false;
        machine.again();
        share_cursor_ = 0;
        again_after_ms_ = std::min(2 * again_after_ms_, most_patience_ms);
        again_at_ms_ = now_ms_ + again_after_ms_;
        return false;
    }
    const bool announces = turn == NeighbourMachine::Turn::announce;
    if (!announces && tick_now() < next_wake_) return false;
    const std::int64_t until = saved_->terms.learn_until;
    const std::int64_t now = by_rounds() ? machine.tick() : tick_now();
    if (!announces && (until < 0 || now < until)) return true;
    if (auto woken = wake({}); !woken) fall_out(woken.error());
    return false;
}

/// As of the last store, too: after a wake-up nothing is said before the next.
bool NodeSession::compose_floats() {
    if (unstored_ > 0 || stored_tick_ < 0 || phase_ != Phase::learning) return false;
    const auto& out = saved_->terms.out_neighbours;
    if (share_cursor_ >= out.size()) return false;
    const Share<float> share = neighbour()->share();
    const std::span<Mass> packed =
        told_.first(machine_kind(saved_->terms.aggregation)->words(saved_->terms.dimension));
    packed.back() = 0;
    std::memcpy(packed.data(), share.values.data(), share.values.size_bytes());
    say(ShareMessage{saved_->terms.epoch, saved_->terms.member, out[share_cursor_], share.kappa, 0, packed},
        out[share_cursor_]);
    return true;
}

/// A machine without mass states its parameters as if they were one's, of weight 1: what the coordinator adds up is
/// their mean. Error: mass_overflow.
Result<void> NodeSession::compose_statement() {
    const FixedPoint& format = saved_->terms.format;
    const std::span<Mass> values = told_.first(saved_->terms.dimension);
    neighbour()->estimate(estimate_);
    Mass one{};
    format.to_mass(1.0f, one);
    for (std::size_t k = 0; k < values.size(); ++k) {
        if (!format.to_mass(estimate_[k], values[k]))
            return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
    }
    say(MassReport{saved_->terms.epoch, one, values, {}});
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What a session does with shares of mass, the grants and freezes of epochs, and edges to neighbours that come and go.
#include "transport/session/saved_job.hpp"

#include <algorithm>
#include <memory>

namespace dunlin {

Result<void> NodeSession::take_share(const ShareMessage& share) {
    if (share.epoch != saved_->terms.epoch) return fail(Code::wrong_epoch, share.epoch, saved_->terms.epoch);
    if (share.to != saved_->terms.member || !meets()) return fail(Code::unknown_sender, share.from);
    if (saved_->sealed != 0) return {};
    if (neighbour() != nullptr) return take_floats(share);
    const auto receipt = push_sum_->receive(
        {.sender = share.from, .kappa = share.tick, .values = share.values, .weight = share.weight});
    if (!receipt) return tl::unexpected(receipt.error());
    if (*receipt == Receipt::stale) return {};
    dirty_ = true;
    due_.frozen = phase_ == Phase::frozen;
    follow(share.tick);
    return {};
}

void NodeSession::put_forward(std::int64_t tick) {
    if (tick <= tick_now()) return;
    base_tick_ = tick;
    base_ms_ = now_ms_;
}

/// No clock is behind the ticks that two neighbours have reached. On the word of one alone it is put forward by
/// `lead_ticks` at most, and by as much again as its own time passes: who jumps ahead takes nobody along, and who
/// follows one neighbour only, on a ring say, still catches up, at twice the pace.
void NodeSession::follow(std::int64_t tick) {
    if constexpr (!edges_can_close) return put_forward(tick);  // on a board, whose flash is full
    constexpr std::int64_t last_tick = std::int64_t{1} << 40;  // of any job; later ones are nobody's
    std::int64_t most = -1, second = -1;
    for (std::size_t j = 0; push_sum_ && j < receipts_.size(); ++j) {
        const std::int64_t heard = push_sum_->heard(j);
        second = std::max(second, std::min(most, heard));
        most = std::max(most, heard);
    }
    put_forward(std::min(second, last_tick));
    const std::int64_t tick_ms = std::max<std::uint32_t>(1, saved_->terms.tick_ms), now = tick_now();
    lead_ms_ = std::min(lead_ticks * tick_ms, lead_ms_ + now_ms_ - lead_at_ms_);
    lead_at_ms_ = now_ms_;
    const std::int64_t lead = std::min(std::min(tick, last_tick) - now, lead_ms_ / tick_ms);
    if (lead <= 0) return;
    lead_ms_ -= lead * tick_ms;
    put_forward(now + lead);
}

Result<void> NodeSession::take_grant(const MassGrant& grant) {
    if (phase_ != Phase::frozen) return fail(Code::wrong_epoch, grant.epoch, saved_->terms.epoch);
    const std::span<Mass> granted = exchange();
    if (grant.values.size() != granted.size()) {
        return fail(Code::shape_mismatch, static_cast<std::int64_t>(grant.values.size()),
                    static_cast<std::int64_t>(granted.size()));
    }
    std::uninitialized_copy(grant.values.begin(), grant.values.end(), granted.begin());
    grant_weight_ = grant.weight;
    grant_epoch_ = grant.epoch;
    return {};
}

Result<void> NodeSession::freeze(std::uint32_t epoch) {
    if (epoch != saved_->terms.epoch || !meets()) return fail(Code::wrong_epoch, epoch, saved_->terms.epoch);
    if (phase_ == Phase::learning) {
        phase_ = Phase::frozen;
        saved_->frozen = 1;
        dirty_ = true;
        report_wanted_ = wanted_ = false;
    }
    if (phase_ == Phase::frozen) retry();
    return {};
}

/// What a neighbour has, and will have whatever happens to it, is no longer at stake.
Result<void> NodeSession::take_receipt(const ShareReceipt& receipt) {
    if (receipt.epoch != saved_->terms.epoch) return fail(Code::wrong_epoch, receipt.epoch, saved_->terms.epoch);
    const auto edge = edge_to(receipt.to);
    if (receipt.from != saved_->terms.member || !edge || !push_sum_)
        return edges_close() && pushes(saved_->terms) ? fail(Code::unknown_sender, receipt.to) : Result<void>();
    return push_sum_->confirm(*edge, receipt.tick, receipt.weight);
}

/// A neighbour from before there were receipts would be given nothing for want of one: what it was told counts as
/// received, as it always did.
void NodeSession::confirm_for_the_mute() {
    for (std::uint32_t edge = 0; edges_close() && edge < mute_.size(); ++edge) {
        if (mute_[edge] == 0) continue;
        (void)push_sum_->confirm(edge, push_sum_->tick(), push_sum_->share_to(edge, told_).weight);
    }
}

/// Out-edges that can close only.
std::optional<std::uint32_t> NodeSession::edge_to(std::uint32_t member) const {
    if (!edges_close() || saved_ == nullptr) return std::nullopt;
    const auto& out = saved_->terms.out_neighbours;
    const auto found = std::lower_bound(out.begin(), out.end(), member);
    if (found == out.end() || *found != member) return std::nullopt;
    return static_cast<std::uint32_t>(found - out.begin());
}

void NodeSession::set_reachable(std::uint32_t member, bool reachable) {
    const auto edge = edge_to(member);
    if (!edge) return;
    if (reachable && away_[*edge] != 0 && by_rounds()) say_again_soon();
    set_away(*edge, !reachable);
}

/// Also before there is anything to send.
void NodeSession::set_away(std::uint32_t edge, bool away) {
    if (!edges_close()) return;
    away_[edge] = away;
    if (!push_sum_) return;
    away ? push_sum_->close_edge(edge) : push_sum_->open_edge(edge);
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What a session says, in which order, and what it makes of its having left.
#include "transport/encoding.hpp"
#include "transport/session/saved_job.hpp"

#include <algorithm>

namespace dunlin {
namespace {

constexpr std::int64_t link_retry_ms = 50;  ///< after the link would not take a message
/// A coordinator that never acknowledges the final report keeps nobody from the next job: after so many tries, 20
/// minutes with the default `retry_ms`, the node says that it has nothing left, so that a job which still runs may
/// be offered to it again.
constexpr std::uint8_t final_report_tries = 240;

}  // namespace

void NodeSession::say(MessageBody body, std::uint32_t recipient) {
    outgoing_ = {envelope(), body};
    recipient_ = recipient;
}

/// The next message, if there is one that may leave.
bool NodeSession::compose() {
    // Shares may go by way of the coordinator, which listens to nothing before Join.
    const bool quiet = !connected_ || now_ms_ < blocked_until_ms_;
    if ((!connected_ || !due_.join) && (compose_share() || compose_receipt())) return true;
    if (quiet) return false;
    if (due_.join) {
        say(Join{.name = settings_.name,
                 .software = settings_.software,
                 .endpoint = settings_.endpoint,
                 .memory_bytes = settings_.memory.size(),
                 .epoch = keeps() ? saved_->terms.epoch : 0});
        if (!keeps()) outgoing_.envelope.job = outgoing_.envelope.nonce = 0;
        return true;
    }
    if (!joined_) return false;
    const bool settled = phase_ != Phase::frozen || !stale();
    if (due_.answer && !unaccepted()) {
        say(answer_);
        outgoing_.envelope.job = answered_.job;
        outgoing_.envelope.nonce = answered_.nonce;
    } else if (masks() != nullptr && masks()->answer() != nullptr && !unaccepted()) {
        say(*masks()->answer());
    } else if (due_.mass && settled) {
        if (neighbour() != nullptr) {
            const auto stated = compose_statement();
            if (!stated) fall_out(stated.error());
            return stated || compose();
        }
        push_sum_->absorb();
        say(MassReport{saved_->terms.epoch, push_sum_->held_weight(), push_sum_->held(), steps_});
    } else if (due_.frozen && settled) {
        for (std::size_t j = 0; j < heard_.size(); ++j)
            heard_[j] = neighbour() == nullptr ? push_sum_->heard(j) : -1;
        say(Frozen{saved_->terms.epoch, last_tick(), heard_});
    } else if (may_deliver()) {
        return compose_update();
    } else if (due_.request && !unaccepted()) {
        say(ModelRequest{});
    } else if (due_.report) {
        // Where updates are masked, what a member measured would say more of its data than they do.
        say(Report{meets() ? last_tick() : static_cast<std::int64_t>(saved_->updates), final_report(),
                   std::span<const Metric>(metrics_).first(masks() != nullptr ? 0 : metric_count_)});
    } else if (due_.leave && !unaccepted()) {
        say(Leave{});
    } else if (now_ms_ >= last_beat_ms_ + heartbeat_ms_) {
        say(Heartbeat{stored_tick_});
    } else {
        return false;
    }
    return true;
}

/// The share of one out-neighbour after the other, as of the last store.
bool NodeSession::compose_share() {
    if (neighbour() != nullptr) return compose_floats();
    if (!push_sum_ || unstored_ > 0 || stored_tick_ < 0) return false;
    if (phase_ != Phase::learning && phase_ != Phase::frozen) return false;
    const auto& out = saved_->terms.out_neighbours;
    while (share_cursor_ < out.size() && push_sum_->edge_closed(share_cursor_)) ++share_cursor_;
    if (share_cursor_ >= out.size()) return false;
    const Share<Mass> share = push_sum_->share_to(share_cursor_, told_);
    say(ShareMessage{saved_->terms.epoch, share.sender, out[share_cursor_], share.kappa, share.weight,
                     share.values},
        out[share_cursor_]);
    return true;
}

/// What is durable of the shares of one in-neighbour after the other; once for each of its ticks.
bool NodeSession::compose_receipt() {
    if (!push_sum_ || spoken_ < version_of(body_index<ShareReceipt>)) return false;
    if (phase_ != Phase::learning && phase_ != Phase::frozen) return false;
    while (receipt_cursor_ < receipts_.size() && receipts_[receipt_cursor_].tick <= receipts_[receipt_cursor_].told)
        ++receipt_cursor_;
    if (receipt_cursor_ >= receipts_.size()) return false;
    const ReceiptDue& due = receipts_[receipt_cursor_];
    const std::uint32_t from = saved_->terms.in_neighbours[receipt_cursor_];
    say(ShareReceipt{saved_->terms.epoch, from, saved_->terms.member, due.tick, due.weight}, from);
    return true;
}

/// Is there an update to be said now?
bool NodeSession::may_deliver() {
    if (!due_.update || (settings_.store_every == 1 && unstored_ > 0)) return false;
    if (masks() == nullptr) return true;
    const Update update = *client_->upload();
    if (!masks()->may_mask(update)) {
        // The round that it was made for is over, or has failed: it is of no use any more.
        phase_ = Phase::waiting;
        retry();
        return false;
    }
    return masks()->ready(update);
}

bool NodeSession::compose_update() {
    const Result<Update> update = client_->upload();
    if (masks() != nullptr) {
        say(masks()->masked(*update));
        outgoing_.envelope.incarnation = update->incarnation;
        outgoing_.envelope.sequence = update->sequence;
        return true;
    }
    if (update_.count == 0) {
        if (residual_.empty()) {
            update_ = view_values(update->values);
        } else {
            // What rounding took from a model is not owed to the next one.
            ErrorFeedback feedback(residual_);
            if (saved_->terms.payload == Payload::model) feedback.clear();
            const auto encoded = feedback.encode(update->values, saved_->terms.encoding, encoded_);
            if (!encoded) {
                fall_out(encoded.error());
                return compose();
            }
            update_ = *encoded;
        }
    }
    say(ModelUpdate{update->node, update->base_version, update->samples, update_});
    outgoing_.envelope.incarnation = update->incarnation;
    outgoing_.envelope.sequence = update->sequence;
    return true;
}

void NodeSession::sent() {
    const MessageBody& body = outgoing_.body;
    if (std::holds_alternative<ShareMessage>(body)) {
        ++share_cursor_;
        return;
    }
    if (std::holds_alternative<ShareReceipt>(body)) {
        ReceiptDue& due = receipts_[receipt_cursor_++];
        due.told = due.tick;
        return;
    }
    // Not all that is said brings an answer, and on an answer it depends whether the connection is taken for alive.
    if (std::holds_alternative<Heartbeat>(body)) last_beat_ms_ = now_ms_;
    if (std::holds_alternative<Join>(body)) due_.join = false;
    if (std::holds_alternative<JobAnswer>(body)) due_.answer = false;
    if (std::holds_alternative<ModelRequest>(body)) due_.request = false;
    if (std::holds_alternative<ModelUpdate>(body)) due_.update = false;
    if (std::holds_alternative<MaskedUpdate>(body)) due_.update = false;
    if (std::holds_alternative<MaskExchange>(body) && masks() != nullptr) masks()->answered();
    if (std::holds_alternative<Leave>(body)) due_.leave = false;
    if (std::holds_alternative<Frozen>(body)) due_.frozen = false;
    if (std::holds_alternative<MassReport>(body)) due_.mass = false;
    if (std::holds_alternative<Report>(body)) {
        due_.report = false;
        if (phase_ != Phase::ending) return;
        retry_at_ms_ = now_ms_ + settings_.retry_ms;
        if (++final_reports_ == final_report_tries) {
            due_ = {};
            answer(envelope(), {Code::not_durable, 0, 0});
            phase_ = Phase::over;
        }
    }
}

void NodeSession::not_sent() {
    // The newest share is all that counts, and the next wake-up makes a newer one.
    if (std::holds_alternative<ShareMessage>(outgoing_.body)) {
        ++share_cursor_;
    } else if (std::holds_alternative<ShareReceipt>(outgoing_.body)) {
        ++receipt_cursor_;
    } else {
        blocked_until_ms_ = now_ms_ + link_retry_ms;
    }
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What arrives: messages, connections, and what they change.
#include "transport/session/node_session.hpp"

#include "transport/encoding.hpp"
#include "transport/session/saved_job.hpp"

#include <algorithm>
#include <memory>

namespace dunlin {

void NodeSession::connected(std::int64_t now_ms) {
    now_ms_ = now_ms;
    connected_ = true;
    joined_ = false;
    due_.join = true;
    blocked_until_ms_ = 0;
}

void NodeSession::disconnected() {
    connected_ = joined_ = false;
    // Mass for those who cannot be told of it would run out, and with it what a step is worth.
    for (std::uint32_t edge = 0; edge < away_.size(); ++edge) set_away(edge, true);
}

Result<void> NodeSession::receive(const Message& message, std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (const auto* welcome = std::get_if<Welcome>(&message.body)) {
        welcomed(*welcome);
        return {};
    }
    const bool direct =
        std::holds_alternative<ShareMessage>(message.body) || std::holds_alternative<ShareReceipt>(message.body);
    if (!joined_ && !direct) return fail(Code::not_joined);
    if (std::holds_alternative<Heartbeat>(message.body) || std::holds_alternative<Refusal>(message.body) ||
        std::holds_alternative<Peers>(message.body)) {
        return {};  // that it came is all, for a session
    }
    if (const auto* offer = std::get_if<JobOffer>(&message.body)) return offered(message.envelope, *offer);
    if (!means(message.envelope)) {
        return fail(Code::unknown_job, static_cast<std::int64_t>(message.envelope.job));
    }
    return in_job(message);
}

/// Is it the job that the node is in? Where one side knows no nonces, the number decides.
bool NodeSession::means(const Envelope& envelope) const {
    const bool same = envelope.nonce == 0 || nonce() == 0 || envelope.nonce == nonce();
    return phase_ != Phase::idle && envelope.job == job() && same;
}

Result<void> NodeSession::in_job(const Message& message) {
    const MessageBody& body = message.body;
    if (const auto* model = std::get_if<Model>(&body)) return take_model(*model);
    if (const auto* share = std::get_if<ShareMessage>(&body)) return take_share(*share);
    if (const auto* acknowledgement = std::get_if<Acknowledgement>(&body))
        return take_acknowledgement(*acknowledgement);
    if constexpr (edges_can_close) {
        if (const auto* said = std::get_if<MaskExchange>(&body)) return take_masks(*said);
    }
    if (const auto* grant = std::get_if<MassGrant>(&body)) return take_grant(*grant);
    if (const auto* receipt = std::get_if<ShareReceipt>(&body)) return take_receipt(*receipt);
    if (const auto* still = std::get_if<Freeze>(&body)) return freeze(still->epoch);
    if (const auto* pause = std::get_if<JobPause>(&body)) {
        paused_ = pause->paused;
        return {};
    }
    if (const auto* request = std::get_if<MassRequest>(&body)) {
        if (phase_ != Phase::frozen || request->epoch != saved_->terms.epoch) {
            return fail(Code::wrong_epoch, request->epoch, saved_->terms.epoch);
        }
        due_.mass = true;
        dirty_ = dirty_ || saved_->sealed == 0;
        saved_->sealed = 1;
        return {};
    }
    if (const auto* presence = std::get_if<Presence>(&body)) {
        if (const auto edge = edge_to(presence->member)) mute_[*edge] = !presence->confirms;
        set_reachable(presence->member, presence->reachable);
        return {};
    }
    if (const auto* ended = std::get_if<JobEnd>(&body)) {
        end(ended->reason);
        return {};
    }
    return fail(Code::message_unknown, static_cast<std::int64_t>(body.index()));
}

void NodeSession::welcomed(const Welcome& welcome) {
    joined_ = true;
    node_ = welcome.node;
    spoken_ = welcome.version;
    incarnation_ = welcome.incarnation;
    heartbeat_ms_ = std::max<std::int64_t>(1, welcome.heartbeat_ms);
    last_beat_ms_ = now_ms_;
    retry();
}

/// Says again what brought no answer.
void NodeSession::retry() {
    retry_at_ms_ = now_ms_ + settings_.retry_ms;
    due_.request = phase_ == Phase::starting || phase_ == Phase::waiting;
    if (phase_ == Phase::ending && final_reports_ > 0) {
        due_.report = true;
    } else if (phase_ == Phase::ending && !meets() && !due_.report) {
        // The last model, or after a while the one that is there.
        report_wanted_ = report_wanted_ || (final_asked_ && client_);
        due_.request = !report_wanted_;
        final_asked_ = true;
    }
    due_.update = phase_ == Phase::delivering;
    due_.leave = leaving_ && phase_ != Phase::idle && phase_ != Phase::preparing && phase_ != Phase::over;
    if (phase_ == Phase::frozen) {
        due_.frozen = true;
        share_cursor_ = 0;
    }
}

Result<void> NodeSession::offered(const Envelope& envelope, const JobOffer& offer) {
    if (means(envelope)) {
        const bool next = offer.terms.epoch > saved_->terms.epoch;
        if (next && meets()) return next_epoch(offer, envelope.nonce);
        if (!next && phase_ != Phase::preparing && phase_ != Phase::over) answer(envelope, {});
        if (!next) return {};
        drop_job();  // it had begun nothing when the epoch that it was offered came to its end
    }
    const auto refused = [&](const Error& error) {
        answer(envelope, error);
        return tl::unexpected<Error>(error);
    };
    if (phase_ != Phase::idle) return refused({Code::busy, 1, 1});
    if (auto fit = fits(offer.terms); !fit) return refused(fit.error());
    lay_out_work(offer.terms);
    lay_out_state(envelope, offer.terms, false);
    if (const MachineKind* kind = machine_kind(offer.terms, edges_close())) kind->keep(offer, machine_);
    random_ = Stream(offer.terms.seed, offer.terms.member, Purpose::samples);
    phase_ = Phase::preparing;
    return {};
}

/// Nothing of the old graph is in flight: what the node holds, and was granted, is its mass on the new one.
Result<void> NodeSession::next_epoch(const JobOffer& offer, std::uint64_t told_nonce) {
    const auto refused = [&](Code code) {
        const Error error{code, offer.terms.epoch, saved_->terms.epoch};
        const bool later = code == Code::wrong_epoch || code == Code::busy;
        later ? answer(envelope(), error) : fall_out(error);
        answer_.epoch = offer.terms.epoch;
        return tl::unexpected<Error>(error);
    };
    if (phase_ != Phase::frozen || !meets()) return refused(Code::wrong_epoch);
    if (offer.grant && grant_epoch_ != offer.terms.epoch) return refused(Code::busy);
    if (offer.terms.dimension != saved_->terms.dimension) return refused(Code::shape_mismatch);
    if (auto fit = fits(offer.terms); !fit) return refused(fit.error().code);
    if (neighbour() != nullptr) return turn_neighbour(offer, told_nonce);

    push_sum_->absorb();
    const std::span<Mass> held = exchange();
    Mass weight = push_sum_->held_weight();
    if (!offer.grant) std::uninitialized_fill(held.begin(), held.end(), Mass{0});
    // Exactly: the coordinator saw to it that it fits, and what does not is no longer the fleet's.
    Mass scaled{};
    bool fits_shifted = ExactMass::shift(weight, offer.shift, weight);
    for (const Mass mass : push_sum_->held()) fits_shifted &= ExactMass::shift(mass, offer.shift, scaled);
    if (!fits_shifted) return refused(Code::mass_overflow);
    for (std::size_t k = 0; k < held.size(); ++k) {
        ExactMass::shift(push_sum_->held()[k], offer.shift, scaled);
        held[k] = add_wrapped(held[k], scaled);
    }
    if (offer.grant) weight = add_wrapped(weight, grant_weight_);
    const std::int64_t tick = push_sum_->tick();
    const double owed = push_sum_->owed();
    const Saved before = *saved_;
    const std::uint64_t named = nonce() != 0 ? nonce() : told_nonce;
    lay_out_state({before.job, 0, 0, 0, named}, offer.terms, true);
    saved_->updates = before.updates;
    saved_->set_random_epoch(before.random_epoch());
    saved_->started = 1;
    Arena arena(machine_);
    auto made = ParsPush<>::carry_over(push_sum_settings(), held, weight, tick, owed, arena);
    lay_out_work(offer.terms);
    if (!made) {
        fall_out(made.error());
        return tl::unexpected(made.error());
    }
    take_over(std::move(*made));
    begin_epoch();
    return {};
}

Result<void> NodeSession::take_model(const Model& model) {
    const bool last = phase_ == Phase::ending && !meets();
    const bool measured = last && (due_.report || final_reports_ > 0);
    if ((phase_ != Phase::starting && phase_ != Phase::waiting && !last) || measured) return {};  // came twice
    // Whose job is over is not told what corrects steps.
    const bool whole = steps_are_corrected && !(last && model.values.count == estimate_.size());
    const std::span<float> sent = whole ? sent_ : estimate_;
    if (model.values.count != sent.size())
        return fail(Code::shape_mismatch, model.values.count, static_cast<std::int64_t>(sent.size()));
    if (auto decoded = decode(model.values, sent); !decoded) return decoded;
    if (last && !client_) {
        // It had no time to begin: the model that others made is measured.
    } else if (serverless(saved_->terms)) {
        auto made = edges_can_close ? make_neighbour(estimate_, -1) : make_push_sum(estimate_);
        if (!made) {
            fall_out(made.error());
            return made;
        }
        base_ms_ = now_ms_;
        base_tick_ = next_wake_ = 0;
        unstored_ = settings_.store_every;
    } else {
        if (!client_) {
            if (auto made = make_client(incarnation_); !made) {
                fall_out(made.error());
                return made;
            }
            saved_->incarnation = incarnation_;
        }
        if (steps_are_corrected) {
            const ConstVector<float> mean = sent.subspan(estimate_.size());
            if (auto fit = check_finite(mean, mean.size()); !fit) return fit;
        }
        if (auto taken = client_->download(estimate_, model.version); !taken) return taken;
        if (steps_are_corrected && variates_ && !last) variates_->begin(sent.subspan(estimate_.size()));
    }
    due_.request = false;
    report_wanted_ = last || report_due();
    if (last) wanted_ = false;  // a measurement of the one before
    if (last) return {};
    saved_->started = 1;
    phase_ = Phase::learning;
    return {};
}

Result<void> NodeSession::take_acknowledgement(const Acknowledgement& acknowledgement) {
    if (acknowledgement.sequence == 0) {
        if (phase_ == Phase::ending && final_reports_ > 0) phase_ = Phase::over;
        return {};
    }
    if (phase_ != Phase::delivering || acknowledgement.sequence != client_->upload()->sequence) return {};
    const Code code = acknowledgement.refusal.code;
    if (!acknowledgement.applied && (code == Code::busy || code == Code::not_durable)) {
        due_.update = false;
        retry_at_ms_ = now_ms_ + std::min<std::int64_t>(settings_.retry_ms, 250);
        return {};
    }
    due_.update = false;
    phase_ = Phase::waiting;
    retry_at_ms_ = now_ms_ + settings_.retry_ms;
    // One that was refused as stale, say, will not be followed by a model of itself.
    due_.request = !acknowledgement.applied;
    return {};
}

Result<void> NodeSession::take_masks(const MaskExchange& said) {
    if (masks() == nullptr) return fail(Code::message_unknown, body_index<MaskExchange>);
    auto taken = masks()->take({nonce(), saved_->terms.member, saved_->terms.dimension}, said);
    // An update that an earlier attempt came to nothing with is masked anew, or given up.
    const bool anew = said.step == MaskStep::begin || said.step == MaskStep::delivered;
    if (taken && anew && phase_ == Phase::delivering) due_.update = true;
    return taken;
}

void NodeSession::end(JobEndReason reason) {
    const bool removed = reason == JobEndReason::removed;
    if (phase_ == Phase::over || (phase_ == Phase::ending && !removed)) return;
    if (phase_ == Phase::preparing && resumed_ && !removed) {
        ended_early_ = reason;  // with a task it measures what it has
        return;
    }
    wanted_ = false;
    end_reason_ = reason;
    due_ = {};
    const bool measures = phase_ != Phase::preparing && !removed;
    phase_ = measures ? Phase::ending : Phase::over;
    report_wanted_ = measures && meets();
    retry();
}

/// Accepts a job (no code) or refuses it.
void NodeSession::answer(const Envelope& job, const Error& refusal) {
    answered_ = job;
    answer_ = {refusal.code == Code{}, refusal, saved_ != nullptr && means(job) ? saved_->terms.epoch : 0, {}};
    due_.answer = true;
}

/// The node cannot go on: it says why.
void NodeSession::fall_out(const Error& error) {
    due_ = {};
    wanted_ = false;
    answer(envelope(), error);
    end_reason_ = JobEndReason::failed;
    phase_ = Phase::over;
}

}  // namespace dunlin

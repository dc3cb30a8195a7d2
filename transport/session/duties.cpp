// SPDX-License-Identifier: Apache-2.0
// What comes next: when a session learns, stores, speaks and waits.
#include "transport/session/saved_job.hpp"

#include <algorithm>
#include <utility>

namespace dunlin {
namespace {

constexpr std::int64_t word_patience = 3;  ///< rounds that a node waits at most for word of what it gave before

}  // namespace

void NodeSession::begun(Duty duty) {
    if (duty != Duty::store) {
        working_ = true;
        return;
    }
    storing_ = true;
    storing_count_ = unstored_;
    storing_dirty_ = std::exchange(dirty_, false);
    storing_tick_ = tick();
    note_heard();
}

void NodeSession::prepared() {
    working_ = false;
    if (!wanted_) return;
    if (!resumed_) answer(envelope(), {});
    if (meets()) {
        phase_ = saved_->frozen != 0 ? Phase::frozen : Phase::learning;
        base_ms_ = now_ms_;
        base_tick_ = last_tick() + 1;
        next_wake_ = base_tick_;
        turned_ms_ = now_ms_;
        again_at_ms_ = now_ms_;  // what was heard since it was stored is forgotten
    } else {
        // A state may be of the middle of the local steps, which has no update yet.
        // An update that may be in a masked sum already is not masked again: what was opened was in memory alone.
        const Phase done = masks() != nullptr ? Phase::waiting : Phase::delivering;
        phase_ = !client_ ? Phase::starting : client_->done() ? done : Phase::learning;
        // Its mass is counted on from the moment that it accepts.
        if (serverless(saved_->terms) && !resumed_) unstored_ = settings_.store_every;
    }
    retry();
    if (ended_early_) end(*std::exchange(ended_early_, std::nullopt));
}

void NodeSession::refuse(const Error& error, std::string_view reason) {
    if (std::exchange(working_, false) && !wanted_) return;
    fall_out(error);
    answer_.reason = reason.substr(0, WireLimits::line_bytes);
}

ConstVector<float> NodeSession::parameters() {
    if (client_) return client_->parameters();
    if (push_sum_) push_sum_->estimate(estimate_);
    if (neighbour() != nullptr) neighbour()->estimate(estimate_);
    return estimate_;
}

Question NodeSession::question() {
    if (neighbour() == nullptr) return {};
    const Question question = neighbour()->question();
    if (question.kind == Question::Kind::products) neighbour()->direction(gradient_);
    return question;
}

Result<void> NodeSession::learned(std::int64_t now_ms) {
    now_ms_ = now_ms;
    working_ = false;
    if (!wanted_) return {};
    saved_->set_random_epoch(random_.epoch());
    const Result<void> taken = !client_ ? wake(gradient_) : steps_are_corrected ? step() : client_->step(gradient_);
    if (!taken) {
        fall_out(taken.error());
        return taken;
    }
    if (client_ && client_->done()) deliver();
    if (meets()) report_wanted_ = report_due();
    return {};
}

Result<void> NodeSession::step() {
    if (!variates_) return client_->step(gradient_);
    if (auto stepped = client_->step(variates_->correct(gradient_)); !stepped) return stepped;
    variates_->stepped(gradient_, client_->done());
    return {};
}

void NodeSession::deliver() {
    update_ = {};
    ++saved_->updates;
    ++unstored_;
    ++since_report_;
    phase_ = Phase::delivering;
    retry();
}

Result<void> NodeSession::wake(ConstVector<float> gradient) {
    if (neighbour() != nullptr) return wake_neighbour(gradient);
    confirm_for_the_mute();
    const std::int64_t tick = std::max(tick_now(), push_sum_->tick() + 1);
    const auto woken = push_sum_->wake(tick, gradient);
    if (!woken) return tl::unexpected(woken.error());
    confirm_for_the_mute();  // nobody waits for word from them
    if (woken->step_size != 0.0f) {
        for (std::size_t k = 0; k < steps_.size(); ++k) {
            Mass step{};
            push_sum_->representation().from_float(woken->step_size * gradient[k], step);
            steps_[k] = add_wrapped(steps_[k], step);
        }
    }
    next_wake_ = tick + std::max<std::uint32_t>(1, saved_->terms.wake_ticks);
    ++saved_->updates;
    ++unstored_;
    ++since_report_;
    return {};
}

bool NodeSession::report_due() const {
    const std::uint32_t every = saved_->terms.report_every;
    return every > 0 && since_report_ >= every;
}

/// What a state that is about to be stored has of the shares of in-neighbours.
void NodeSession::note_heard() {
    for (std::size_t j = 0; push_sum_ && j < receipts_.size(); ++j) {
        receipts_[j].storing_tick = push_sum_->heard(j);
        receipts_[j].storing_weight = push_sum_->heard_weight(j);
    }
}

void NodeSession::stored() {
    if (!storing_) begun(Duty::store);
    storing_ = false;
    unstored_ -= storing_count_;
    if (!meets()) return;
    if (stored_tick_ != storing_tick_) share_cursor_ = 0;
    stored_tick_ = storing_tick_;
    receipt_cursor_ = 0;
    for (ReceiptDue& due : receipts_) {
        due.tick = due.storing_tick;
        due.weight = due.storing_weight;
    }
}

void NodeSession::store_failed(std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (std::exchange(storing_, false)) dirty_ = dirty_ || storing_dirty_;
    // Nobody counts on it yet, and others wait: it may be offered the job again.
    if (unaccepted()) return fall_out({Code::not_durable, 0, 0});
    store_again_ms_ = now_ms + 1000;
}

void NodeSession::reported(std::span<const Metric> metrics) {
    working_ = false;
    if (!wanted_) return;
    metric_count_ = std::min(metrics.size(), metrics_.size());
    std::copy_n(metrics.begin(), metric_count_, metrics_.begin());
    report_wanted_ = false;
    since_report_ = 0;
    due_.report = true;
}

void NodeSession::finished() {
    drop_job();
}

// what comes next

std::int64_t NodeSession::last_tick() const {
    return neighbour() != nullptr ? neighbour_->tick() : push_sum_->tick();
}

std::int64_t NodeSession::tick_now() const {
    return base_tick_ + (now_ms_ - base_ms_) / std::max<std::uint32_t>(1, saved_->terms.tick_ms);
}

/// When the next wake-up is, or the one so many later.
std::int64_t NodeSession::due_ms(std::int64_t later) const {
    const std::int64_t tick = next_wake_ + later * std::max<std::uint32_t>(1, saved_->terms.wake_ticks);
    return base_ms_ + (tick - base_tick_) * std::max<std::uint32_t>(1, saved_->terms.tick_ms);
}

bool NodeSession::store_wanted() const {
    if (now_ms_ < store_again_ms_ || phase_ == Phase::idle || storing_) return false;
    if (unstored_ >= store_every()) return true;
    // Its neighbours give a node no more until they know that what they gave is safe.
    if (phase_ == Phase::learning && dirty_ && paces()) return true;
    return phase_ == Phase::frozen && stale() && (due_.frozen || due_.mass);
}

Duty NodeSession::next(std::int64_t now_ms) {
    now_ms_ = std::max(now_ms_, now_ms);
    wake_at_ms_ = now_ms_ + 60'000;
    if (!working_) wanted_ = true;
    if (phase_ == Phase::preparing && !working_) return Duty::prepare;
    if (now_ms_ >= retry_at_ms_) retry();
    if (store_wanted()) return Duty::store;
    if (compose()) return Duty::send;
    // What forgets a state must come after what stores it.
    if (phase_ == Phase::over && !due_.answer && !storing_) return Duty::finish;
    const bool measures = report_wanted_ && (phase_ == Phase::learning || phase_ == Phase::ending);
    if (measures && !working_) return Duty::report;
    if (!working_ && may_learn()) return Duty::learn;
    // A turn without a gradient is stored at once, and so is said what is said again.
    if (neighbour() != nullptr && store_wanted()) return Duty::store;
    if (neighbour() != nullptr && compose()) return Duty::send;
    const auto by = [this](std::int64_t at_ms) { wake_at_ms_ = std::min(wake_at_ms_, at_ms); };
    by(retry_at_ms_);
    if (joined_) by(last_beat_ms_ + heartbeat_ms_);
    if (blocked_until_ms_ > now_ms_) by(blocked_until_ms_);
    if (store_again_ms_ > now_ms_) by(store_again_ms_);
    if (phase_ == Phase::learning && meets() && !paused_ && !working_) {
        using Turn = NeighbourMachine::Turn;
        const Turn turn = neighbour() != nullptr ? neighbour()->turn() : Turn::go;
        if (turn == Turn::go) by(waits_for_word() ? due_ms(word_patience) : due_ms());
        if (turn == Turn::wait && unstored_ == 0) by(again_at_ms_);
    }
    wake_at_ms_ = std::max(wake_at_ms_, now_ms_ + 1);
    return Duty::wait;
}

/// Does it store whatever it is given at once, and count on others to do so? Who stores seldom, to spare an SD card,
/// shares as seldom and learns alone meanwhile.
bool NodeSession::paces() const {
    return push_sum_ && edges_close() && settings_.store_every == 1;
}

/// Rounds that are shorter than a round trip wait for it: a step that is shared with nobody takes the node away from
/// the others. But only for so long: a word may be lost, and somebody may have hung.
bool NodeSession::waits_for_word() const {
    return paces() && now_ms_ < due_ms(word_patience) && push_sum_->all_wait();
}

/// Is a gradient wanted now? Past the end of learning a node wakes up without one.
bool NodeSession::may_learn() {
    if (phase_ != Phase::learning || paused_) return false;
    if (client_) return !client_->done();
    if (neighbour() != nullptr) return may_take_turn();
    if (!push_sum_ || tick_now() < next_wake_ || unstored_ >= settings_.store_every) return false;
    // Where edges cannot close, waking up for nobody would give all mass away.
    if (!connected_ && !edges_close()) return false;
    if (waits_for_word()) return false;
    const std::int64_t until = saved_->terms.learn_until;
    if (until < 0 || tick_now() < until) return true;
    if (auto woken = wake({}); !woken) fall_out(woken.error());
    return false;
}

}  // namespace dunlin

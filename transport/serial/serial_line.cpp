// SPDX-License-Identifier: Apache-2.0
// What arrives.
#include "transport/serial/serial_line.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dunlin {
namespace {

constexpr std::int32_t least_wait_ms = 5;

constexpr std::uint64_t bits(int k) {
    return k < 64 ? (std::uint64_t{1} << k) - 1 : ~std::uint64_t{0};
}

constexpr std::uint64_t moved(std::uint64_t places, int by) {
    return by < 64 ? places >> by : 0;
}

/// The number near `known` that ends on these bits.
constexpr std::uint32_t near(std::uint32_t known, std::uint8_t last) {
    return known + static_cast<std::uint32_t>(static_cast<std::int8_t>(last - known));
}

}  // namespace

SerialLine::SerialLine(const SerialSettings& settings)
    : settings_(settings), guard_(settings.guard != nullptr ? settings.guard : &plain_) {
    session_ = leads() ? settings.first_session : 0;
}

SerialCounters SerialLine::counters() const {
    SerialCounters counters = counters_;
    counters.damaged += reader_.damaged();
    return counters;
}

// what arrives

void SerialLine::take(std::uint8_t byte, std::int64_t now_ms) {
    if (!reader_.take(byte)) return;
    const Fragment& fragment = reader_.fragment();
    const std::uint32_t message = near(fragment.onward() ? done_ : number_, fragment.message);
    if (fragment.tag != guard_->tag(reader_.raw(), false, fragment.bound(), message)) {
        ++counters_.damaged;
        return;
    }
    ++counters_.received;
    handle(fragment, now_ms);
}

void SerialLine::handle(const Fragment& fragment, std::int64_t now_ms) {
    if (!fragment.bound()) return handle_session(fragment, now_ms);
    if (!up_) return;
    // What was on its way when the follower fell asleep is no sign of its being awake.
    if (now_ms > quiet_until_ms_ - std::int64_t{away_} * 1000 + settings_.alive_ms) {
        heard_ms_ = now_ms;
        quiet_until_ms_ = 0;
    }
    if (!fragment.onward()) return take_answer(fragment, now_ms);
    const std::uint32_t message = near(done_, fragment.message);
    if (message - done_ > 1) return;  // of before the last one
    if (fragment.kind == FragmentKind::data) ++taken_;
    if (fragment.ask) {
        answer_due_ = true;
        asked_message_ = message;
        if (asker_ != fragment.number) asked_taken_ = taken_;
        asker_ = fragment.number;
        answer_counts_ = true;
    }
    if (fragment.kind == FragmentKind::data && message != done_) take_data(fragment);
}

void SerialLine::handle_session(const Fragment& fragment, std::int64_t now_ms) {
    std::uint32_t session = 0;
    std::memcpy(&session, fragment.payload.data(), std::min(fragment.payload.size(), sizeof session));
    const auto greeting = fragment.payload.subspan(std::min(fragment.payload.size(), sizeof session));
    if (!leads()) {
        if (fragment.kind != FragmentKind::start || session == 0) return;
        confirmed_ = session == session_ && away_ != 0 && fragment.index == away_;
        if (confirmed_) return;
        if (session != session_ || !up_) {
            session_ = session;
            begin_session(greeting);
        }
        greeting_due_ = true;
        return;
    }
    if (fragment.kind == FragmentKind::hello) {
        // Until the follower is ready every hello may be an old one.
        if (up_) {
            ++counters_.resets;
            end_session();
        }
        greeting_due_ = true;
        greet_wait_ms_ = 0;
        return;
    }
    if (fragment.kind != FragmentKind::ready || session != session_) return;
    heard_ms_ = now_ms;
    if (!up_) begin_session(greeting);
    away_ = fragment.index;
    quiet_until_ms_ = 0;
    greeting_due_ = away_ != 0;
}

void SerialLine::begin_session(std::span<const std::byte> greeting) {
    up_ = guard_->begin(session_, leads(), greeting);
    if (!up_) {
        if (!leads()) session_ = 0;
        return;
    }
    ++counters_.sessions;
    sending_ = waiting_ = arriving_ = complete_ = answer_due_ = turned_away_ = false;
    closed_ = settings_.begins_closed;
    number_ = done_ = 0;
    away_ = 0;
    refusal_ = refused_ = Code{};
    sent_start_ = taken_start_ = {};
    asker_ = 8;
    answer_counts_ = false;
    taken_ = known_ = 0;
    judged_ = static_cast<std::uint8_t>(counters_.sent);
}

void SerialLine::end_session() {
    up_ = sending_ = arriving_ = complete_ = answer_due_ = false;
    ++session_;
    greeting_due_ = true;
    greet_wait_ms_ = 0;
    away_ = 0;
}

void SerialLine::begin_arrival() {
    arriving_ = true;
    in_base_ = in_count_ = 0;
    in_there_ = 0;
    refused_ = Code{};
}

void SerialLine::take_data(const Fragment& fragment) {
    if (complete_ || closed_) return;
    const std::uint32_t message = done_ + 1;
    if (!arriving_) begin_arrival();
    const std::size_t size = fragment.payload.size();
    const std::size_t at = std::size_t{fragment.index} * Fragment::unit_bytes;
    if (at + size > settings_.inbox.size()) {
        done_ = message;
        complete_ = true;
        whole_ = false;
        return release(Code::message_too_long);
    }
    const int units = static_cast<int>((size + Fragment::unit_bytes - 1) / Fragment::unit_bytes);
    const int place = fragment.index - in_base_;
    const bool outside = in_count_ > 0 && fragment.index + units > in_count_;
    const bool cut_short = !fragment.last && size % Fragment::unit_bytes != 0;
    if (place + units > window || outside || cut_short || size == 0) return;
    const std::uint64_t said = place < 0 ? moved(bits(units), -place) : bits(units) << place;
    if ((said & ~in_there_) == 0) return;
    // What is there already is the same.
    std::memcpy(settings_.inbox.data() + at, fragment.payload.data(), size);
    in_there_ |= said;
    if (fragment.last) {
        in_count_ = static_cast<std::uint16_t>(fragment.index + units);
        in_bytes_ = at + size;
    }
    const int gone = std::countr_one(in_there_);
    in_base_ = static_cast<std::uint16_t>(in_base_ + gone);
    in_there_ = moved(in_there_, gone);
    if (in_count_ > 0 && in_base_ >= in_count_) arrived(message);
}

void SerialLine::arrived(std::uint32_t message) {
    done_ = message;
    opened_ = guard_->open(message, settings_.inbox.first(in_bytes_));
    complete_ = true;
    whole_ = !opened_.empty();
    for (std::size_t k = 0; k < std::min(opened_.size(), taken_start_.size()); ++k)
        taken_start_[k] = opened_[k] ^= taken_start_[k];
    if (whole_) return;
    ++counters_.forged;
    release(Code::message_malformed);
}

void SerialLine::take_answer(const Fragment& fragment, std::int64_t now_ms) {
    if (!sending_ || fragment.message != static_cast<std::uint8_t>(number_)) return;
    if (fragment.kind == FragmentKind::refusal) {
        refusal_ = static_cast<Code>(fragment.index);
        sending_ = false;
        if (fragment.last) parts_.remember_in(sent_start_);
        return;
    }
    if (fragment.index < base_ || fragment.index > reach_) return;
    const int gone = fragment.index - base_;
    there_ = moved(there_, gone);
    said_ = moved(said_, gone);
    base_ = fragment.index;
    const bool asked = !fragment.payload.empty();
    if (asked) measure(fragment, now_ms);
    if (fragment.last) {
        sending_ = base_ != count_;
        if (!sending_) parts_.remember_in(sent_start_);
        return;
    }
    const bool was_held = held_;
    held_ = fragment.ask || base_ == count_;
    if (held_ && was_held) return;
    tries_ = 0;
    // Of all the answers to a round the first one begins the next, or a slow line would be filled with what is on
    // its way already.
    const bool of_this_round = !asked || ((ask_ - fragment.number) & 7) < asks_;
    if (!held_ && (was_held || (waiting_ && of_this_round))) begin_round();
}

/// What an answer tells of the line: how long it took (RFC 6298, with alpha 1/8 and beta 1/4; each answer names the
/// question, as by RFC 7323, so that those of repeated ones count too).
void SerialLine::measure(const Fragment& answer, std::int64_t now_ms) {
    std::uint64_t there = 0;
    std::memcpy(&there, answer.payload.data() + 1, std::min(answer.payload.size() - 1, sizeof there));
    there_ |= there;
    const std::int32_t trip = static_cast<std::int32_t>(now_ms) - asked_ms_[answer.number];
    if (trip8_ == 0) {
        trip8_ = 8 * trip + 1;
        spread4_ = 2 * trip;
    } else {
        const std::int32_t error = trip - trip8_ / 8;
        trip8_ += error;
        spread4_ += (error < 0 ? -error : error) - spread4_ / 4;
    }
    wait_ms_ = std::max(least_wait_ms, trip8_ / 8 + spread4_ + 1);
    const auto sent = static_cast<std::uint8_t>(asked_sent_[answer.number] - judged_);
    if (sent > 127) return;  // asked before the last answer was
    judged_ = asked_sent_[answer.number];
    const auto known = static_cast<std::uint8_t>(answer.payload[0]);
    judge(sent, static_cast<std::uint8_t>(known - known_));
    known_ = known;
}

/// Three in four is what a fragment of half or double the size would not better.
void SerialLine::judge(std::uint8_t sent, std::uint8_t arrived) {
    score_ = std::min(score_ + arrived - 3 * (sent - std::min(sent, arrived)), 16);
    if (score_ < 16 && score_ > -8) return;
    grain_ = score_ > 0 ? std::min(grain_ * 2, static_cast<int>(Fragment::most_units)) : std::max(grain_ / 2, 1);
    score_ = 0;
}

std::span<const std::byte> SerialLine::received() const {
    return complete_ ? opened_ : std::span<std::byte>();
}

void SerialLine::release(Code refusal) {
    if (!complete_) return;
    complete_ = arriving_ = false;
    refused_ = refusal;
    asked_message_ = done_;
    answer_due_ = true;
}

void SerialLine::open(std::span<std::byte> inbox) {
    settings_.inbox = inbox;
    closed_ = false;
    if (!turned_away_) return;
    turned_away_ = false;
    asked_message_ = done_ + 1;
    answer_due_ = true;
}

void SerialLine::sleep(std::uint16_t seconds) {
    away_ = seconds;
    confirmed_ = false;
    greeting_due_ = up_;
    greet_wait_ms_ = 0;
}

}  // namespace dunlin

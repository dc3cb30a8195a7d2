// SPDX-License-Identifier: Apache-2.0
// What leaves: greetings, answers, and the fragments of a message, each when it is time.
#include "transport/serial/serial_line.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dunlin {
namespace {

constexpr std::int64_t first_greeting_ms = 50, longest_greeting_ms = 250;
constexpr std::int32_t longest_wait_ms = 400;
/// Rounds of a bad line that go out without an answer before their sender waits.
constexpr int patience = 64;

constexpr std::uint64_t bits(int k) {
    return k < 64 ? (std::uint64_t{1} << k) - 1 : ~std::uint64_t{0};
}

}  // namespace

Result<void> SerialLine::send(std::span<const std::byte> head, std::span<const std::byte> body) {
    if (!up_) return fail(Code::not_connected);
    if (sending_) return fail(Code::busy, 1, 1);
    parts_ = {{head, body, {}}};
    const std::size_t bytes = parts_.size();
    constexpr std::size_t most = Fragment::index_limit * Fragment::unit_bytes - LineGuard::most_growth;
    if (bytes == 0 || bytes > most)
        return fail(Code::message_too_long, static_cast<std::int64_t>(bytes), std::int64_t{most});
    ++number_;
    parts_.parts[2] = guard_->seal(number_, parts_, sent_start_);
    count_ = static_cast<std::uint16_t>((parts_.size() + Fragment::unit_bytes - 1) / Fragment::unit_bytes);
    base_ = reach_ = 0;
    there_ = 0;
    refusal_ = Code{};
    sending_ = true;
    held_ = false;
    tries_ = 0;
    begin_round();
    return {};
}

void SerialLine::begin_round() {
    said_ = 0;
    asks_ = 0;
    waiting_ = false;
}

/// The fragment asks for an answer, and is asked again when none has come.
void SerialLine::ask(Fragment& fragment, std::int64_t now_ms) {
    const bool presses = grain_ == 1 && !held_ && tries_ < patience && trip8_ != 0;
    fragment.ask = true;
    // There are eight numbers, and no more are on their way: what is said in between has the number of the one before.
    if (!presses || static_cast<std::int32_t>(now_ms) - asked_ms_[ask_] > trip8_ / 32) {
        ask_ = (ask_ + 1) & 7;
        asks_ = static_cast<std::uint8_t>(std::min(asks_ + 1, 8));
        asked_ms_[ask_] = static_cast<std::int32_t>(now_ms);
        asked_sent_[ask_] = static_cast<std::uint8_t>(counters_.sent);
    }
    fragment.number = ask_;
    // On a bad line rounds are half a round trip apart, so that what waits somewhere on the way slows its sender down.
    // Otherwise: many an answer may be lost, and who still says nothing has something else to do.
    const std::int32_t wait = presses ? trip8_ / 16 + 1 : wait_ms_ << std::min(tries_ / 8, 8);
    answer_by_ms_ = now_ms + std::min(wait, std::max(longest_wait_ms, wait_ms_));
}

bool SerialLine::compose_session(Fragment& fragment, std::int64_t now_ms) {
    if (leads() && up_ && now_ms >= heard_ms_ + settings_.silence_ms) {
        ++counters_.silences;
        end_session();
    }
    const bool again = leads() ? !up_ : !up_ || (away_ != 0 && !confirmed_);
    const bool silent = again ? now_ms >= greet_at_ms_ : !leads() && now_ms >= said_ms_ + settings_.alive_ms;
    if (!greeting_due_ && !silent) return false;
    greeting_due_ = false;
    greet_wait_ms_ = std::clamp(greet_wait_ms_ * 2, first_greeting_ms, longest_greeting_ms);
    greet_at_ms_ = now_ms + greet_wait_ms_;
    fragment.kind = leads() ? FragmentKind::start : up_ ? FragmentKind::ready : FragmentKind::hello;
    fragment.index = away_;
    if (leads() && away_ != 0) heard_ms_ = quiet_until_ms_ = now_ms + std::int64_t{away_} * 1000;
    std::memcpy(joined_.data(), &session_, sizeof session_);
    const std::size_t size =
        guard_->greeting(session_, std::span(joined_).subspan<sizeof session_, LineGuard::most_greeting>());
    fragment.payload = std::span<const std::byte>(joined_).first(sizeof session_ + size);
    return true;
}

bool SerialLine::compose_answer(Fragment& fragment) {
    if (!answer_due_) return false;
    answer_due_ = false;
    const bool next = asked_message_ != done_;
    fragment.kind = FragmentKind::answer;
    if (next) {
        fragment.ask = turned_away_ = closed_;
        if (!closed_ && !arriving_) begin_arrival();
        fragment.index = closed_ ? 0 : in_base_;
    } else {
        fragment.last = !complete_;
        fragment.index = in_count_;
        if (fragment.last && refused_ != Code{}) {
            fragment.kind = FragmentKind::refusal;
            fragment.last = whole_;
            fragment.index = static_cast<std::uint16_t>(refused_);
        }
    }
    if (!answer_counts_) return true;
    answer_counts_ = false;
    fragment.number = asker_;
    const std::uint64_t there = next && !closed_ ? in_there_ : 0;
    joined_[0] = std::byte{asked_taken_};
    std::memcpy(joined_.data() + 1, &there, sizeof there);
    fragment.payload = std::span<const std::byte>(joined_).first(1 + sizeof there);
    return true;
}

void SerialLine::cut(Fragment& fragment, int place, int units) {
    const int index = base_ + place;
    const std::size_t at = static_cast<std::size_t>(index) * Fragment::unit_bytes;
    const auto piece = parts_.copy_difference(
        sent_start_, at, std::span(joined_).first(static_cast<std::size_t>(units) * Fragment::unit_bytes));
    guard_->cover(number_, at, piece);
    fragment.kind = FragmentKind::data;
    fragment.index = static_cast<std::uint16_t>(index);
    fragment.last = index + units == count_;
    fragment.payload = piece;
    ++counters_.sent;
    counters_.repeated += index < reach_ ? 1 : 0;
    reach_ = std::max(reach_, static_cast<std::uint16_t>(index + units));
}

bool SerialLine::compose_message(Fragment& fragment, std::int64_t now_ms) {
    if (!sending_ || now_ms < quiet_until_ms_) return false;
    const bool bad = grain_ == 1 && !held_;
    if (waiting_ || held_) {
        if (now_ms < answer_by_ms_) return false;
        ++tries_;
        if (bad) begin_round();
    }
    const std::uint64_t missing = bits(std::min(window, count_ - base_)) & ~there_ & ~said_;
    if (waiting_ || held_ || missing == 0) {
        waiting_ = true;
        fragment.kind = FragmentKind::query;
        ask(fragment, now_ms);
        return true;
    }
    const int place = std::countr_zero(missing), units = std::min(grain_, std::countr_one(missing >> place));
    said_ |= bits(units) << place;
    waiting_ = (missing & ~said_) == 0;
    cut(fragment, place, units);
    if (waiting_ || bad) ask(fragment, now_ms);
    return true;
}

bool SerialLine::compose(Fragment& fragment, std::int64_t now_ms) {
    if (compose_session(fragment, now_ms)) return true;
    return up_ && (compose_answer(fragment) || compose_message(fragment, now_ms));
}

/// When something is to be said though nothing arrives.
std::int64_t SerialLine::due_ms() const {
    if (!up_ || (!leads() && away_ != 0 && !confirmed_)) return greet_at_ms_;
    const std::int64_t at = leads() ? heard_ms_ + settings_.silence_ms : said_ms_ + settings_.alive_ms;
    return sending_ ? std::min(at, std::max(answer_by_ms_, quiet_until_ms_)) : at;
}

std::span<const std::uint8_t> SerialLine::next(std::int64_t now_ms) {
    // The UART of a device takes its time by itself, but the emulated one of a device that repeats without waiting.
    const std::int64_t rate = leads() || grain_ == 1 ? settings_.bits_per_second : 0;
    constexpr std::int64_t ahead_ms = 10;  ///< what a port may be given beforehand
    credit_ = std::min(credit_ + (now_ms - paid_ms_) * rate, rate * ahead_ms);
    paid_ms_ = now_ms;
    if (credit_ < 0) {
        wake_at_ms_ = now_ms + 1 - credit_ / rate;
        return {};
    }
    wake_at_ms_ = now_ms;
    Fragment fragment;
    if (!compose(fragment, now_ms)) {
        wake_at_ms_ = due_ms();
        return {};
    }
    const std::uint32_t message = fragment.onward() ? number_ : asked_message_;
    fragment.message = static_cast<std::uint8_t>(message);
    said_ms_ = now_ms;
    std::array<std::uint8_t, Fragment::raw_bytes> room;
    const auto raw = write_head(fragment, room);
    const std::size_t size = write_line(raw, guard_->tag(raw, true, fragment.bound(), message), written_);
    credit_ -= rate != 0 ? static_cast<std::int64_t>(size) * 10'000 : 0;
    return std::span<const std::uint8_t>(written_).first(size);
}

}  // namespace dunlin

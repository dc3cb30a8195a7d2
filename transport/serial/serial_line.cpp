// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/serial_line.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dunlin {
namespace {

constexpr std::int64_t first_greeting_ms = 50, longest_greeting_ms = 1000;

std::uint64_t bit(int k) {
    return std::uint64_t{1} << k;
}

}  // namespace

SerialCounters SerialLine::counters() const {
    SerialCounters counters = counters_;
    counters.damaged = reader_.damaged();
    return counters;
}

// what arrives

void SerialLine::take(std::uint8_t byte, std::int64_t now_ms) {
    if (!reader_.take(byte)) return;
    ++counters_.received;
    handle(reader_.fragment(), now_ms);
}

void SerialLine::handle(const Fragment& fragment, std::int64_t now_ms) {
    switch (fragment.kind) {
        case FragmentKind::hello:
        case FragmentKind::start:
        case FragmentKind::ready:
            return handle_session(fragment, now_ms);
        default:
            break;
    }
    if (!up_ || fragment.session != session_) {
        // A follower that has forgotten says so when it is spoken to.
        if (settings_.role == SerialRole::follower && session_ == 0) greeting_due_ = true;
        return;
    }
    heard_ms_ = now_ms;
    switch (fragment.kind) {
        case FragmentKind::data:
            return take_data(fragment);
        case FragmentKind::query:
            return answer_query(fragment);
        default:
            return take_answer(fragment);
    }
}

void SerialLine::handle_session(const Fragment& fragment, std::int64_t now_ms) {
    if (settings_.role == SerialRole::follower) {
        if (fragment.kind != FragmentKind::start || fragment.session == 0) return;
        if (fragment.session != session_) {
            session_ = fragment.session;
            begin_session();
        }
        greeting_due_ = true;
        return;
    }
    if (fragment.kind == FragmentKind::hello) {
        // Until the follower is ready every hello may be an old one.
        if (up_) {
            ++counters_.resets;
            up_ = sending_ = arriving_ = complete_ = answer_due_ = false;
            ++session_;
        }
        greeting_due_ = true;
        greet_wait_ms_ = 0;
        return;
    }
    if (fragment.kind != FragmentKind::ready || fragment.session != session_) return;
    heard_ms_ = now_ms;
    if (!up_) begin_session();
}

void SerialLine::begin_session() {
    ++counters_.sessions;
    up_ = true;
    sending_ = waiting_ = arriving_ = complete_ = answer_due_ = false;
    closed_ = settings_.begins_closed;
    number_ = done_ = 0;
    refusal_ = refused_ = Code{};
}

void SerialLine::begin_arrival() {
    arriving_ = true;
    in_base_ = in_count_ = 0;
    in_there_ = 0;
    refused_ = Code{};
}

void SerialLine::take_data(const Fragment& fragment) {
    if (fragment.message == done_) {
        answer_due_ = !complete_;
        return;
    }
    if (complete_ || closed_ || fragment.message != static_cast<std::uint16_t>(done_ + 1)) return;
    if (!arriving_) begin_arrival();
    const std::size_t at = std::size_t{fragment.index} * Fragment::payload_bytes;
    if (at + fragment.payload.size() > settings_.inbox.size()) {
        arriving_ = false;
        done_ = fragment.message;
        refused_ = Code::message_too_long;
        answer_due_ = true;
        return;
    }
    const int place = fragment.index - in_base_;
    const bool outside = in_count_ > 0 && fragment.index >= in_count_;
    const bool cut_short = !fragment.last && fragment.payload.size() != Fragment::payload_bytes;
    if (place < 0 || place >= window || outside || cut_short || (in_there_ & bit(place)) != 0) return;
    std::memcpy(settings_.inbox.data() + at, fragment.payload.data(), fragment.payload.size());
    in_there_ |= bit(place);
    if (fragment.last) {
        in_count_ = static_cast<std::uint16_t>(fragment.index + 1);
        in_bytes_ = at + fragment.payload.size();
    }
    const int gone = std::countr_one(in_there_);
    in_base_ = static_cast<std::uint16_t>(in_base_ + gone);
    in_there_ = gone < window ? in_there_ >> gone : 0;
    if (in_count_ > 0 && in_base_ >= in_count_) {
        complete_ = true;
        done_ = fragment.message;
    }
}

/// A message that nobody took yet is not answered for: its sender waits, and asks less and less often.
void SerialLine::answer_query(const Fragment& query) {
    const bool next = query.message == static_cast<std::uint16_t>(done_ + 1);
    if (complete_ || (query.message != done_ && !next) || (next && closed_)) return;
    if (next && !arriving_) begin_arrival();
    asked_ = query.index;
    answer_due_ = true;
}

void SerialLine::take_answer(const Fragment& fragment) {
    if (!sending_ || fragment.message != number_) return;
    if (fragment.kind == FragmentKind::refusal) {
        refusal_ = static_cast<Code>(fragment.index);
        sending_ = false;
        return;
    }
    if (fragment.index < base_ || fragment.index > reach_) return;
    const int gone = fragment.index - base_;
    there_ = (gone < window ? there_ >> gone : 0) | fragment.there;
    said_ = gone < window ? said_ >> gone : 0;
    base_ = fragment.index;
    tries_ = 0;
    if (base_ == count_) sending_ = false;
    if (waiting_ && fragment.round == round_) begin_round();
}

std::span<const std::byte> SerialLine::received() const {
    return complete_ ? settings_.inbox.first(in_bytes_) : std::span<std::byte>();
}

void SerialLine::release(Code refusal) {
    if (!complete_) return;
    complete_ = arriving_ = false;
    refused_ = refusal;
    answer_due_ = true;
}

// what leaves

Result<void> SerialLine::send(std::span<const std::byte> head, std::span<const std::byte> body) {
    if (!up_) return fail(Code::not_connected);
    if (sending_) return fail(Code::busy, 1, 1);
    const std::size_t bytes = head.size() + body.size();
    const std::size_t fragments = (bytes + Fragment::payload_bytes - 1) / Fragment::payload_bytes;
    if (bytes == 0 || fragments > Fragment::index_limit) {
        return fail(Code::message_too_long, static_cast<std::int64_t>(bytes),
                    std::int64_t{Fragment::index_limit} * static_cast<std::int64_t>(Fragment::payload_bytes));
    }
    head_ = head;
    body_ = body;
    count_ = static_cast<std::uint16_t>(fragments);
    base_ = reach_ = 0;
    there_ = 0;
    ++number_;
    refusal_ = Code{};
    sending_ = true;
    tries_ = 0;
    begin_round();
    return {};
}

void SerialLine::begin_round() {
    said_ = 0;
    waiting_ = false;
    ++round_;
}

void SerialLine::cut(std::uint16_t index, Fragment& fragment) {
    const std::size_t at = std::size_t{index} * Fragment::payload_bytes, total = head_.size() + body_.size();
    const std::size_t size = std::min(Fragment::payload_bytes, total - at);
    if (at + size <= head_.size()) {
        fragment.payload = head_.subspan(at, size);
    } else if (at >= head_.size()) {
        fragment.payload = body_.subspan(at - head_.size(), size);
    } else {
        const std::size_t of_head = head_.size() - at;
        std::memcpy(joined_.data(), head_.data() + at, of_head);
        std::memcpy(joined_.data() + of_head, body_.data(), size - of_head);
        fragment.payload = std::span<const std::byte>(joined_).first(size);
    }
    fragment.kind = FragmentKind::data;
    fragment.index = index;
    fragment.last = index + 1 == count_;
}

bool SerialLine::compose_session(Fragment& fragment, std::int64_t now_ms) {
    const bool leads = settings_.role == SerialRole::leader;
    if (leads && up_) {
        if (now_ms < heard_ms_ + settings_.silence_ms) return false;
        ++counters_.silences;
        up_ = sending_ = arriving_ = complete_ = answer_due_ = false;
        ++session_;
        greeting_due_ = true;
        greet_wait_ms_ = 0;
    }
    const bool silent = leads || !up_ ? now_ms >= greet_at_ms_ : now_ms >= said_ms_ + settings_.alive_ms;
    if (!greeting_due_ && !silent) return false;
    greeting_due_ = false;
    greet_wait_ms_ = std::clamp(greet_wait_ms_ * 2, first_greeting_ms, longest_greeting_ms);
    greet_at_ms_ = now_ms + greet_wait_ms_;
    fragment.kind = leads ? FragmentKind::start : up_ ? FragmentKind::ready : FragmentKind::hello;
    return true;
}

bool SerialLine::compose_message(Fragment& fragment, std::int64_t now_ms) {
    if (!sending_) return false;
    fragment.message = number_;
    if (!waiting_) {
        const int most = std::min(window, count_ - base_);
        const std::uint64_t all = most < window ? bit(most) - 1 : ~std::uint64_t{0};
        const std::uint64_t missing = all & ~there_ & ~said_;
        if (missing != 0) {
            const int place = std::countr_zero(missing);
            said_ |= bit(place);
            const auto index = static_cast<std::uint16_t>(base_ + place);
            cut(index, fragment);
            ++counters_.sent;
            counters_.repeated += index < reach_ ? 1 : 0;
            reach_ = std::max(reach_, static_cast<std::uint16_t>(index + 1));
            return true;
        }
        waiting_ = true;
    } else if (now_ms < answer_by_ms_) {
        return false;
    } else {
        ++tries_;
    }
    // A bad line loses many an answer; who still says nothing has something else to do.
    const std::int64_t wait = std::int64_t{settings_.first_wait_ms} << std::min(tries_ / 4, 8);
    answer_by_ms_ = now_ms + std::min<std::int64_t>(wait, settings_.longest_wait_ms);
    fragment.kind = FragmentKind::query;
    fragment.index = round_;
    return true;
}

bool SerialLine::compose(Fragment& fragment, std::int64_t now_ms) {
    if (compose_session(fragment, now_ms)) return true;
    if (!up_) return false;
    if (answer_due_) {
        answer_due_ = false;
        const bool next = arriving_ && !complete_;
        fragment.message = next ? static_cast<std::uint16_t>(done_ + 1) : done_;
        fragment.kind = FragmentKind::answer;
        if (next) {
            fragment.index = in_base_;
            fragment.there = in_there_;
            fragment.round = asked_;
        } else if (refused_ != Code{}) {
            fragment.kind = FragmentKind::refusal;
            fragment.index = static_cast<std::uint16_t>(refused_);
        } else {
            fragment.index = in_count_;
        }
        return true;
    }
    return compose_message(fragment, now_ms);
}

std::span<const std::uint8_t> SerialLine::next(std::int64_t now_ms) {
    Fragment fragment;
    const bool found = compose(fragment, now_ms);
    wake_at_ms_ = now_ms;
    if (found) {
        fragment.session = session_;
        said_ms_ = now_ms;
        return std::span<const std::uint8_t>(written_).first(write_fragment(fragment, written_));
    }
    const bool leads = settings_.role == SerialRole::leader;
    wake_at_ms_ = !up_ ? greet_at_ms_ : leads ? heard_ms_ + settings_.silence_ms : said_ms_ + settings_.alive_ms;
    if (sending_) wake_at_ms_ = std::min(wake_at_ms_, answer_by_ms_);
    return {};
}

}  // namespace dunlin

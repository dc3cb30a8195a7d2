// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "transport/serial/fragment.hpp"

namespace dunlin {

/// The side that begins: a gateway leads, a device follows.
enum class SerialRole : std::uint8_t { leader, follower };

struct SerialSettings {
    SerialRole role = SerialRole::follower;
    /// Where messages arrive, one at a time; aligned to 8. A longer one is refused.
    std::span<std::byte> inbox = {};
    bool begins_closed = false;       ///< each session takes nothing in until `open`
    std::uint32_t first_session = 1;  ///< leader: a number that it did not use before a restart of its own
    std::int32_t first_wait_ms = 25;  ///< for an answer; doubled up to the longest while none comes
    std::int32_t longest_wait_ms = 400;
    std::int32_t alive_ms = 2000;      ///< follower: says something this often
    std::int32_t silence_ms = 15'000;  ///< leader: begins anew where nothing came for so long
};

struct SerialCounters {
    std::uint32_t sent = 0, repeated = 0;  ///< fragments of messages
    std::uint32_t received = 0, damaged = 0;
    std::uint32_t sessions = 0;  ///< begun
    std::uint32_t silences = 0;  ///< leader: sessions that ended because nothing came
    std::uint32_t resets = 0;    ///< leader: sessions that ended because the follower had started anew
};

/// Messages over a line that damages and drops bytes: a state machine without I/O, memory of its own or a clock,
/// the same on both sides. A message is sent in rounds: the fragments of a window of 64 that are missing, then a
/// query, whose answer says what is still missing. A query that brings no answer is asked again; of all the answers
/// the first one begins the next round, or a slow line would be filled with what is on its way already. One message
/// travels in each direction at a time.
///
/// A session is what both sides remember of each other; the leader begins one, and begins another when the follower
/// has lost its memory (it says hello) or is silent. What was under way is dropped then.
///
///     while (...) { line.take(byte, now) for each byte that came; write(line.next(now)) until it is empty; ... }
class SerialLine {
public:
    static constexpr int window = 64;

    explicit SerialLine(const SerialSettings& settings) : settings_(settings), session_(first_session()) {}

    /// A byte of the line. The work is bounded by that of one fragment.
    void take(std::uint8_t byte, std::int64_t now_ms);
    /// What to write to the line next; empty for nothing. It stays until the next call.
    std::span<const std::uint8_t> next(std::int64_t now_ms);
    /// When `next` may have something without anything arriving.
    std::int64_t wake_at_ms() const { return wake_at_ms_; }

    /// Both sides are in a session. `sessions` counts them: where it has changed, all is new.
    bool up() const { return up_; }
    std::uint32_t sessions() const { return counters_.sessions; }

    /// Sends `head` and `body` as one message; both stay where they are until it is no longer `sending`. Errors:
    /// not_connected, busy, message_too_long (first: bytes).
    Result<void> send(std::span<const std::byte> head, std::span<const std::byte> body = {});
    bool sending() const { return sending_; }
    /// Of the last message that was sent to its end: did the other side refuse it, and why?
    Code refusal() const { return refusal_; }

    /// The message that has arrived; empty for none. It stays, and no other is taken, until `release`, which is
    /// also what the other side waits for: a message was delivered when it was dealt with (or refused, with a
    /// code).
    std::span<const std::byte> received() const;
    void release(Code refusal = {});
    /// A message is under way to here.
    bool receiving() const { return arriving_ && !complete_; }
    /// Nothing is taken in until `open`: the inbox is the caller's, and who sends waits. Not while a message is
    /// there or on its way.
    void close() { closed_ = true; }
    /// From now on messages arrive here. Not while one is there or on its way.
    void open(std::span<std::byte> inbox) {
        settings_.inbox = inbox;
        closed_ = false;
    }

    SerialCounters counters() const;

private:
    std::uint32_t first_session() const {
        return settings_.role == SerialRole::leader ? settings_.first_session : 0;
    }
    void handle(const Fragment& fragment, std::int64_t now_ms);
    void handle_session(const Fragment& fragment, std::int64_t now_ms);
    void begin_session();
    void begin_arrival();
    void take_data(const Fragment& fragment);
    void take_answer(const Fragment& fragment);
    void answer_query(const Fragment& query);
    bool compose(Fragment& fragment, std::int64_t now_ms);
    bool compose_session(Fragment& fragment, std::int64_t now_ms);
    bool compose_message(Fragment& fragment, std::int64_t now_ms);
    void cut(std::uint16_t index, Fragment& fragment);
    void begin_round();

    SerialSettings settings_;
    FragmentReader reader_;
    SerialCounters counters_;
    std::uint32_t session_;
    bool up_ = false, greeting_due_ = true, greeted_ = false;
    std::int64_t greet_at_ms_ = 0, heard_ms_ = 0, said_ms_ = 0, wake_at_ms_ = 0;
    std::int64_t greet_wait_ms_ = 0;

    // the message that leaves
    bool sending_ = false, waiting_ = false;
    Code refusal_{};
    std::uint16_t number_ = 0;
    std::uint16_t count_ = 0, base_ = 0, reach_ = 0;  ///< fragments; first one not there; first one never sent
    std::uint64_t there_ = 0, said_ = 0;              ///< of the window: arrived; sent in this round
    std::span<const std::byte> head_, body_;
    std::array<std::byte, Fragment::payload_bytes> joined_{};  ///< of a fragment with bytes of both
    std::int64_t answer_by_ms_ = 0;
    int tries_ = 0;  ///< queries in a row without an answer
    std::uint16_t round_ = 0;

    // the message that arrives
    bool arriving_ = false, complete_ = false, answer_due_ = false, closed_ = false;
    Code refused_{};
    std::uint16_t asked_ = 0;                   ///< the round of the last query
    std::uint16_t done_ = 0;                    ///< number of the last one that ended
    std::uint16_t in_base_ = 0, in_count_ = 0;  ///< in_count_: 0 until the last fragment came
    std::uint64_t in_there_ = 0;
    std::size_t in_bytes_ = 0;

    std::array<std::uint8_t, Fragment::line_bytes> written_{};
};

}  // namespace dunlin

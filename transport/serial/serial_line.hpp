// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "transport/serial/fragment.hpp"
#include "transport/serial/line_guard.hpp"

namespace dunlin {

/// The side that begins: a gateway leads, a device follows.
enum class SerialRole : std::uint8_t { leader, follower };

struct SerialSettings {
    SerialRole role = SerialRole::follower;
    /// Where messages arrive, one at a time; aligned to 8. A longer one is refused.
    std::span<std::byte> inbox = {};
    bool begins_closed = false;         ///< each session takes nothing in until `open`
    std::uint32_t first_session = 1;    ///< leader: a number that it did not use before a restart of its own
    std::uint32_t bits_per_second = 0;  ///< of the wire, ten a byte: no more is written; 0: as much as is taken
    std::int32_t alive_ms = 2000;       ///< follower: says something this often
    std::int32_t silence_ms = 15'000;   ///< leader: begins anew where nothing came for so long
    LineGuard* guard = nullptr;         ///< none: a CRC-32 against damage
};

struct SerialCounters {
    std::uint32_t sent = 0, repeated = 0;  ///< fragments of messages
    std::uint32_t received = 0, damaged = 0;
    std::uint32_t forged = 0;    ///< messages whose seal was wrong though all of their fragments' tags were right
    std::uint32_t sessions = 0;  ///< begun
    std::uint32_t silences = 0;  ///< leader: sessions that ended because nothing came
    std::uint32_t resets = 0;    ///< leader: sessions that ended because the follower had started anew
};

/// Messages over a line that damages and drops bytes: a state machine without I/O, memory of its own or a clock,
/// the same on both sides. A message is sent in rounds: what is missing of a window of 64 units, in fragments of one to
/// six units, of which the last one asks what is still missing. Fragments halve where many are lost, and double where
/// nearly all arrive; where even the shortest ones get lost all of them ask, and nobody waits for an answer before
/// the next round. When to ask again is told by the round trips that were measured (RFC 6298). One message travels
/// in each direction at a time.
///
/// A session is what both sides remember of each other; the leader begins one, and begins another when the follower
/// has lost its memory (it says hello) or is silent. What was under way is dropped then.
///
///     while (...) { line.take(byte, now) for each byte that came; write(line.next(now)) until it is empty; ... }
class SerialLine {
public:
    static constexpr int window = 64;

    explicit SerialLine(const SerialSettings& settings);
    SerialLine(const SerialLine&) = delete;

    /// A byte of the line. The work is bounded by that of one fragment, and of a message's seal.
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
    void open(std::span<std::byte> inbox);

    /// Follower, in a session: it will hear nothing for so long, and the session is to outlast it. 0: it is back. The
    /// leader knows when `asleep`; to be asked until then, and slept after.
    void sleep(std::uint16_t seconds);
    bool asleep() const { return away_ != 0 && confirmed_; }

    SerialCounters counters() const;
    /// Of the fragments that leave, at most; and the smoothed round trip, 0 before one was measured.
    std::size_t fragment_bytes() const { return static_cast<std::size_t>(grain_) * Fragment::unit_bytes; }
    std::int32_t round_trip_ms() const { return trip8_ / 8; }

private:
    bool leads() const { return settings_.role == SerialRole::leader; }
    void handle(const Fragment& fragment, std::int64_t now_ms);
    void handle_session(const Fragment& fragment, std::int64_t now_ms);
    void begin_session(std::span<const std::byte> greeting);
    void end_session();
    void begin_arrival();
    void take_data(const Fragment& fragment);
    void arrived(std::uint32_t message);
    void take_answer(const Fragment& fragment, std::int64_t now_ms);
    void measure(const Fragment& answer, std::int64_t now_ms);
    void judge(std::uint8_t sent, std::uint8_t arrived);
    bool compose(Fragment& fragment, std::int64_t now_ms);
    bool compose_session(Fragment& fragment, std::int64_t now_ms);
    bool compose_answer(Fragment& fragment);
    bool compose_message(Fragment& fragment, std::int64_t now_ms);
    void begin_round();
    void cut(Fragment& fragment, int place, int units);
    void ask(Fragment& fragment, std::int64_t now_ms);
    std::int64_t due_ms() const;

    SerialSettings settings_;
    PlainGuard plain_;
    LineGuard* guard_;
    FragmentReader reader_;
    SerialCounters counters_;
    std::uint32_t session_;
    bool up_ = false, greeting_due_ = true, confirmed_ = false;
    std::uint16_t away_ = 0;  ///< seconds; leader: to be confirmed
    std::int64_t greet_at_ms_ = 0, heard_ms_ = 0, said_ms_ = 0, wake_at_ms_ = 0;
    std::int64_t quiet_until_ms_ = 0;  ///< leader: while the follower sleeps
    std::int64_t greet_wait_ms_ = 0;
    std::int64_t paid_ms_ = 0;  ///< pace: up to when what may be written was counted
    std::int64_t credit_ = 0;   ///< in bit/1000

    // the message that leaves
    bool sending_ = false, waiting_ = false;
    bool held_ = false;  ///< it is all there, or nothing is taken in: there is nothing to do but to ask
    Code refusal_{};
    std::uint32_t number_ = 0;
    std::uint16_t count_ = 0, base_ = 0, reach_ = 0;  ///< units; first one not there; first one never sent
    std::uint64_t there_ = 0, said_ = 0;              ///< of the window: arrived; sent in this round
    MessageParts parts_;
    std::array<std::byte, Fragment::payload_bytes> joined_{};
    MessageStart sent_start_{}, taken_start_{};
    std::int64_t answer_by_ms_ = 0;
    int tries_ = 0;  ///< in a row without an answer

    // what is known of the line
    std::array<std::int32_t, 8> asked_ms_{};    ///< of each number: when it asked, ...
    std::array<std::uint8_t, 8> asked_sent_{};  ///< ... and fragments that had been sent
    std::uint8_t ask_ = 0, asks_ = 0;           ///< the last one; how many of them are of this round
    std::uint8_t judged_ = 0, known_ = 0;       ///< fragments that were sent, and arrived, as of the last answer
    int grain_ = 4, score_ = 0;                 ///< units a fragment; how well they arrive
    std::int32_t trip8_ = 0, spread4_ = 0;      ///< SRTT times 8, RTTVAR times 4, in ms
    std::int32_t wait_ms_ = 100;                ///< RTO

    // the message that arrives
    bool arriving_ = false, complete_ = false, answer_due_ = false, closed_ = false;
    bool turned_away_ = false;  ///< somebody asked while it was closed
    Code refused_{};
    std::uint8_t asker_ = 8;                    ///< the number of what asked last; 8: nothing did
    bool answer_counts_ = false;                ///< the answer that is due is to it
    bool whole_ = false;                        ///< the last message came whole, and was no forgery
    std::uint32_t asked_message_ = 0;           ///< what the answer that is due is about
    std::uint8_t taken_ = 0, asked_taken_ = 0;  ///< fragments that arrived; when it was asked for
    std::uint32_t done_ = 0;                    ///< number of the last one that ended
    std::uint16_t in_base_ = 0, in_count_ = 0;  ///< in_count_: 0 until the last fragment came
    std::uint64_t in_there_ = 0;
    std::size_t in_bytes_ = 0;
    std::span<std::byte> opened_;

    std::array<std::uint8_t, Fragment::line_bytes> written_{};
};

}  // namespace dunlin

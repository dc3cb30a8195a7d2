// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hooks.h"
#include "transport/serial/gateway_message.hpp"
#include "transport/serial/serial_line.hpp"
#include "transport/session/node_session.hpp"
#include "transport/wire/flat_codec.hpp"

#include <algorithm>
#include <array>

namespace dunlin::device {

/// What a node on a device is made for: the largest job that it takes. Its memory follows from it.
struct NodeLimits {
    std::size_t neighbours = 3;  ///< that send to it, without a server
    bool audit = true;           ///< room for the exact sum of all steps
};

/// A node of a fleet behind a serial line: the same session as on a Linux board, driven over a SerialLine to a
/// gateway (`dunlin gateway`), which keeps its state and speaks to the coordinator for it. `Learner` is a lean
/// GridLearner, a SampleNode or what has the same members; `Port` has `static bool read(std::uint8_t&)` and `static void
/// write(std::uint8_t)` of the line, where write calls its argument while it waits, and `deepest_stack`.
///
/// Memory is what a board has least of. A state that comes back after a reset arrives where it will stay; what a
/// node says leaves from where it is, but for a head; and the learner works where messages arrive, while the line
/// is closed: who sends one waits until the gradient is done.
template <class Learner, class Port, NodeLimits limits>
class SerialNode {
public:
    /// `guard` seals the line, and lives as long as the node; none: it is in clear.
    SerialNode(Learner& learner, std::string_view software, LineGuard* guard = nullptr)
        : learner_(learner),
          line_({.role = SerialRole::follower, .begins_closed = true, .guard = guard}),
          session_({.name = {}, .software = software, .endpoint = {}, .memory = memory_, .edges_close = false}) {
        learner_.lend(inbox_);
    }

    /// One round of the node's life; to be called again and again.
    void turn() {
        pump();
        if (line_.sessions() != serial_session_) {
            serial_session_ = line_.sessions();
            session_.disconnected();
            ready_ = false;
            line_.open(session_.job() == 0 ? std::span<std::byte>(memory_) : inbox_);
        }
        take_message();
        if (ready_) act(session_.next(now_ms()));
    }

    /// Tells the gateway that nothing will be heard for so long, and returns when it knows, or after two seconds: true,
    /// and the board may sleep without losing its session. Then `wake`.
    bool rest(std::uint16_t seconds) {
        line_.sleep(seconds);
        const std::int64_t until = now_ms() + 2000;
        while (!line_.asleep() && now_ms() < until && !Port::stopped()) pump();
        return line_.asleep();
    }
    void wake() { line_.sleep(0); }

    const NodeSession& session() const { return session_; }
    SerialCounters counters() const { return line_.counters(); }

private:
    static constexpr std::size_t dimension = Learner::dimension;
    static constexpr std::size_t sums_bytes = limits.audit ? Arena::bytes<Mass>(dimension) : 0;
    static constexpr std::size_t list_bytes =  // neighbours of both directions, and when they were heard
        2 * Arena::bytes<std::uint32_t>(limits.neighbours) + Arena::bytes<std::int64_t>(limits.neighbours) +
        NodeSession::receipt_bytes(limits.neighbours);
    static constexpr std::size_t job_bytes =
        2 * Arena::bytes<float>(dimension) + NodeSession::saved_bytes + list_bytes + sums_bytes +
        std::max(ParsPush<>::memory(dimension, limits.neighbours), FederatedClient::memory(dimension));
    /// A share, or an offer; of what leaves, all but one list of numbers.
    static constexpr std::size_t inbox_bytes = std::max({Arena::bytes<Mass>(dimension) + 208, std::size_t{1024},
                                                         Arena::bytes<std::byte>(Learner::workspace_bytes)});
    static constexpr std::size_t outbox_bytes = 384 + sums_bytes;

    static std::int64_t clock(std::uint32_t now, std::uint32_t& last, std::int64_t& sum) {
        sum += static_cast<std::uint32_t>(now - last);
        last = now;
        return sum;
    }
    std::int64_t now_ms() { return clock(dunlin_clock_ms(), last_ms_, elapsed_ms_); }

    void listen() {
        std::uint8_t byte = 0;
        const std::int64_t now = now_ms();
        while (Port::read(byte)) line_.take(byte, now);
    }
    /// Lets the line live: in between learning too.
    void pump() {
        listen();
        for (auto bytes = line_.next(now_ms()); !bytes.empty(); bytes = line_.next(now_ms())) {
            for (const std::uint8_t byte : bytes) Port::write(byte, [this] { listen(); });
        }
    }

    /// Says something to the gateway and waits until it has dealt with it. Not while a session of the line ends.
    bool deliver(SerialKind kind, std::span<const std::byte> body = {}) {
        return deliver(SerialHead::of(kind), body);
    }
    bool deliver(std::span<const std::byte> head, std::span<const std::byte> body) {
        if (!line_.send(head, body)) return false;
        while (line_.sending() && line_.sessions() == serial_session_ && !Port::stopped()) pump();
        return !line_.sending() && line_.sessions() == serial_session_ && line_.refusal() == Code{};
    }

    void take_message() {
        const auto bytes = line_.received();
        if (bytes.empty()) return;
        const bool was_ready = ready_;
        line_.release(taken(SerialHead::kind(bytes), bytes.subspan(std::min(SerialHead::bytes, bytes.size()))));
        if (ready_ && !was_ready) line_.open(inbox_);
    }
    Code taken(SerialKind kind, std::span<const std::byte> body) {
        if (!ready_ && kind != SerialKind::restore && kind != SerialKind::nothing_kept) return Code::not_connected;
        switch (kind) {
            case SerialKind::fleet: {
                const Result<Message> message = decode_flat(body);
                if (!message) return message.error().code;
                const Result<void> done = session_.receive(*message, now_ms());
                return done ? Code{} : done.error().code;
            }
            case SerialKind::restore:
                // Only a device that has forgotten is reminded.
                if (session_.job() == 0) {
                    if (const auto resumed = session_.resume(body); !resumed) return resumed.error().code;
                }
                ready_ = true;
                return {};
            case SerialKind::nothing_kept:
                ready_ = true;
                return {};
            case SerialKind::online:
                session_.connected(now_ms());
                return {};
            case SerialKind::offline:
                session_.disconnected();
                return {};
            default:
                return Code::message_unknown;
        }
    }

    void act(Duty duty) {
        switch (duty) {
            case Duty::wait:
                return;
            case Duty::send:
                return send();
            case Duty::store:
                // With a server a device that has forgotten starts from the server's model, as a new incarnation.
                if (session_.terms().aggregation != Aggregation::push_sum ||
                    deliver(SerialKind::keep, session_.state())) {
                    return session_.stored();
                }
                return session_.store_failed(now_ms());
            case Duty::prepare:
                return prepare();
            case Duty::learn:
                if (!close_line()) return;
                learner_.gradient(session_.terms().objective, session_.terms().moreau, session_.terms().maml,
                                  session_.parameters(), session_.random(), session_.gradient(),
                                  [this] { pump(); });
                open_line();
                (void)session_.learned(now_ms());
                return;
            case Duty::report:
                if (!close_line()) return;
                report();
                return open_line();
            case Duty::finish:
                if (deliver(SerialKind::forget)) session_.finished();
                return;
        }
    }

    /// The learner's turn, unless a message is on its way.
    bool close_line() {
        if (line_.receiving()) return false;
        line_.close();
        return true;
    }
    void open_line() {
        if (line_.sessions() == serial_session_) line_.open(inbox_);
    }

    void send() {
        const auto parts = encode_flat_head(session_.message(), std::span(outbox_).subspan(SerialHead::bytes));
        // A message that no buffer here holds would be asked for again and again.
        if (!parts) return session_.refuse(parts.error());
        constexpr auto kind = SerialHead::of(SerialKind::fleet);
        std::byte* const front = parts->head.data() - kind.size();
        std::copy(kind.begin(), kind.end(), front);
        deliver({front, kind.size() + parts->head.size()}, parts->numbers) ? session_.sent() : session_.not_sent();
    }

    void prepare() {
        const JobTerms& terms = session_.terms();
        if (terms.dimension != dimension) {
            return session_.refuse({Code::shape_mismatch, terms.dimension, static_cast<std::int64_t>(dimension)});
        }
        if (!Learner::understands(terms.objective, terms.moreau, terms.maml))
            return session_.refuse({Code::job_not_understood});
        session_.prepared();
    }

    void report() {
        const auto names = learner_.metrics();
        constexpr std::size_t own = std::tuple_size_v<decltype(names)>;
        std::array<double, own> measured{};
        learner_.measure(session_.terms().moreau, session_.parameters(), session_.terms().seed,
                         session_.terms().member, session_.gradient(), measured, [this] { pump(); });
        std::array<Metric, own + 2> metrics;
        for (std::size_t k = 0; k < own; ++k) metrics[k] = {names[k], measured[k]};
        metrics[own] = {"updates", static_cast<double>(session_.updates())};
        metrics[own + 1] = {"stack_bytes", static_cast<double>(Port::deepest_stack())};
        session_.reported(metrics);
    }

    Learner& learner_;
    alignas(Arena::alignment) std::array<std::byte, job_bytes> memory_;
    alignas(Arena::alignment) std::array<std::byte, inbox_bytes> inbox_;
    alignas(Arena::alignment) std::array<std::byte, outbox_bytes> outbox_;
    SerialLine line_;
    NodeSession session_;
    std::uint32_t serial_session_ = 0, last_ms_ = 0;
    std::int64_t elapsed_ms_ = 0;
    bool ready_ = false;  ///< has been told what was kept of it
};

}  // namespace dunlin::device

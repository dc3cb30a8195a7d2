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
/// gateway
/// (`dunlin gateway`), which keeps its state and speaks to the coordinator for it. `Learner` is a GridLearner or
/// what has the same four members; `Port` has `static bool read(std::uint8_t&)` and `static void
/// write(std::uint8_t)` of the line, where write calls its argument while it waits.
template <class Learner, class Port, NodeLimits limits>
class SerialNode {
public:
    SerialNode(Learner& learner, std::string_view software)
        : learner_(learner),
          line_({.role = SerialRole::follower, .inbox = inbox_}),
          session_({.name = {}, .software = software, .endpoint = {}, .memory = memory_, .edges_close = false}) {}

    /// One round of the node's life; to be called again and again.
    void turn() {
        pump();
        if (line_.sessions() != serial_session_) {
            serial_session_ = line_.sessions();
            session_.disconnected();
            ready_ = false;
        }
        take_message();
        if (ready_) act(session_.next(now_ms()));
    }

    const NodeSession& session() const { return session_; }
    SerialCounters counters() const { return line_.counters(); }

private:
    static constexpr std::size_t dimension = Learner::dimension;
    static constexpr std::size_t terms_bytes = 1024;  ///< terms and neighbours as the session stores them
    static constexpr std::size_t sums_bytes = limits.audit ? Arena::bytes<Mass>(dimension) : 0;
    static constexpr std::size_t state_bytes =
        terms_bytes + sums_bytes +
        std::max(ParsPush<>::memory(dimension, limits.neighbours), FederatedClient::memory(dimension));
    static constexpr std::size_t job_bytes =
        state_bytes + 2 * Arena::bytes<float>(dimension) + 2 * Arena::bytes<Mass>(dimension);
    static constexpr std::size_t message_bytes = (limits.audit ? 2 : 1) * sizeof(Mass) * dimension + 512;

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
        const auto head = SerialHead::of(kind);
        if (!line_.send(head, body)) return false;
        while (line_.sending() && line_.sessions() == serial_session_ && !Port::stopped()) pump();
        return !line_.sending() && line_.sessions() == serial_session_ && line_.refusal() == Code{};
    }

    void take_message() {
        const auto bytes = line_.received();
        if (bytes.empty()) return;
        line_.release(taken(SerialHead::kind(bytes), bytes.subspan(std::min(SerialHead::bytes, bytes.size()))));
    }
    Code taken(SerialKind kind, std::span<const std::byte> body) {
        switch (kind) {
            case SerialKind::fleet: {
                const Result<Message> message = decode_flat(body);
                if (!message) return message.error().code;
                const Result<void> done = session_.receive(*message, now_ms());
                return done ? Code{} : done.error().code;
            }
            case SerialKind::restore:
                ready_ = true;
                // Only a device that has forgotten is reminded.
                if (session_.job() != 0) return {};
                if (const auto resumed = session_.resume(body); !resumed) return resumed.error().code;
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
                learner_.gradient(session_.terms().objective, session_.terms().moreau, session_.parameters(),
                                  session_.random(), session_.gradient(), [this] { pump(); });
                (void)session_.learned(now_ms());
                return;
            case Duty::report:
                return report();
            case Duty::finish:
                if (deliver(SerialKind::forget)) session_.finished();
                return;
        }
    }

    void send() {
        const auto encoded = encode_flat(session_.message(), outbox_);
        // A message that no buffer here holds would be asked for again and again.
        if (!encoded) return session_.refuse(encoded.error());
        deliver(SerialKind::fleet, *encoded) ? session_.sent() : session_.not_sent();
    }

    void prepare() {
        const JobTerms& terms = session_.terms();
        if (terms.dimension != dimension) {
            return session_.refuse({Code::shape_mismatch, terms.dimension, static_cast<std::int64_t>(dimension)});
        }
        if (!Learner::understands(terms.objective, terms.moreau))
            return session_.refuse({Code::job_not_understood});
        session_.prepared();
    }

    void report() {
        const double ratio = learner_.ratio(session_.terms().moreau, session_.parameters(), session_.terms().seed,
                                            session_.terms().member, [this] { pump(); });
        const std::array metrics{Metric{"return_ratio", ratio},
                                 Metric{"updates", static_cast<double>(session_.updates())}};
        session_.reported(metrics);
    }

    Learner& learner_;
    alignas(Arena::alignment) std::array<std::byte, job_bytes> memory_;
    alignas(Arena::alignment) std::array<std::byte, state_bytes + message_bytes> inbox_;
    alignas(Arena::alignment) std::array<std::byte, message_bytes> outbox_;
    SerialLine line_;
    NodeSession session_;
    std::uint32_t serial_session_ = 0, last_ms_ = 0;
    std::int64_t elapsed_ms_ = 0;
    bool ready_ = false;  ///< has been told what was kept of it
};

}  // namespace dunlin::device

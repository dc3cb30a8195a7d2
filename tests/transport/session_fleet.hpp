// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "session_losses.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin::test {

struct SessionFaults {
    float loss = 0;                   ///< of a share
    float duplication = 0;            ///< and of one more of it
    std::uint32_t longest_delay = 1;  ///< of a share, in steps
    float crash = 0;                  ///< of a node, in a step: it goes on from what it stored
    float disconnect = 0;             ///< from the coordinator, in a step; it connects again in a later one
    float store_failure = 0;
};

/// Nodes of a job without a server, push-sum's or others, driven as a daemon drives them, on a network of their own; and a coordinator so small that it
/// can be trusted: it keeps offers, forwards nothing and never forgets. One step is one tick.
class SessionFleet {
public:
    struct Node {
        std::unique_ptr<NodeSession> session;
        std::vector<std::byte> stored;
        std::int64_t stored_tick = -1;
        bool connected = false, gone = false;
        std::optional<Frozen> frozen;
        std::vector<std::int64_t> heard;
        bool reported = false;
        std::int64_t offer_again = 0;  ///< when
        std::vector<Mass> held;
        Mass weight = 0;
    };

    SessionFleet(std::vector<std::vector<std::uint32_t>> in, std::size_t dimension, Stream random, bool learns,
                 std::uint32_t store_every = 1)
        : in_(std::move(in)),
          dimension_(dimension),
          random_(random),
          store_every_(store_every),
          nodes_(in_.size()),
          memory_(in_.size()) {
        terms_.members = size();
        terms_.dimension = static_cast<std::uint32_t>(dimension);
        terms_.aggregation = Aggregation::push_sum;
        // With the default floor of the weight no step overshoots: 3 * 0.003 / 0.01 < 1.
        terms_.theta = {.scale = 0.003, .offset = 0, .longest_gap = 3};
        terms_.tick_ms = 1;
        terms_.audit = true;
        terms_.learn_until = learns ? -1 : 0;
        terms_.experiment = "kind = \"toy\"";
        for (auto& first : firsts_ = std::vector<std::vector<float>>(size(), std::vector<float>(dimension))) {
            for (float& value : first) value = random_.normal();
        }
        for (std::uint32_t i = 0; i < size(); ++i) start(i);
    }

    /// Before the first step: nodes agree by this machine, for so many rounds.
    void use(Aggregation aggregation, std::int64_t last_round, double step_size) {
        terms_.aggregation = aggregation;
        terms_.theta.scale = step_size;
        if (aggregation == Aggregation::hgp) terms_.local_steps = 3, terms_.least_parts = 2;
        terms_.audit = false;
        last_round_ = last_round;
    }
    const JobTerms& terms() const { return terms_; }
    const std::vector<std::vector<float>>& firsts() const { return firsts_; }
    /// Messages that left before the state that they are of was stored (invariant 4).
    int spoke_early() const { return spoke_early_; }

    std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
    Node& node(std::uint32_t i) { return nodes_[i]; }
    std::int64_t now() const { return now_; }

    void step(const SessionFaults& faults) {
        ++now_;
        for (std::uint32_t i = 0; i < size(); ++i) {
            if (nodes_[i].gone) continue;
            if (random_.uniform() < faults.crash) start(i);
            if (nodes_[i].connected && random_.uniform() < faults.disconnect) {
                nodes_[i].connected = false;
                nodes_[i].session->disconnected();
                announce(i, false);
            } else if (!nodes_[i].connected && !cut_off_) {
                nodes_[i].connected = true;
                nodes_[i].session->connected(now_);
                announce(i, true);
            }
            if (now_ == nodes_[i].offer_again) offer(i);
            deliver(i);
            drive(i, faults);
        }
    }

    /// Mass of nodes and edges and the sum of steps: the initial mass, to the bit (invariant 1).
    bool conserved() const {
        std::vector<Mass> x(dimension_);
        Mass y = 0;
        std::vector<Mass> expected(dimension_);
        const FixedPoint format = terms_.format;
        Mass expected_y = 0;
        for (std::uint32_t i = 0; i < size(); ++i) {
            if (nodes_[i].gone || nodes_[i].session->push_sum() == nullptr) return true;  // not all have begun
            nodes_[i].session->push_sum()->add_mass(x, y);
            for (std::size_t k = 0; k < dimension_; ++k) {
                x[k] = add_wrapped(x[k], nodes_[i].session->steps()[k]);
                Mass first = 0;
                format.to_mass(firsts_[i][k], first);
                expected[k] = add_wrapped(expected[k], first);
            }
            Mass one = 0;
            format.to_mass(1.0f, one);
            expected_y += one;
        }
        return x == expected && y == expected_y;
    }

    bool begun() const {
        return std::all_of(nodes_.begin(), nodes_.end(),
                           [](const Node& node) { return node.gone || node.session->push_sum() != nullptr; });
    }

    /// The coordinator is gone; members that reach each other `directly` go on telling shares.
    void cut_off(bool directly) {
        cut_off_ = true;
        for (std::uint32_t i = 0; i < size(); ++i) {
            nodes_[i].connected = false;
            nodes_[i].session->disconnected();
            for (const std::uint32_t to : out_of(i)) nodes_[i].session->set_reachable(to, directly);
        }
    }
    void come_back() { cut_off_ = false; }

    // the coordinator's part

    void freeze() {
        for (Node& node : nodes_) node.frozen.reset();
        freezing_ = true;
        for (std::uint32_t i = 0; i < size(); ++i) tell(i, Freeze{terms_.epoch});
    }
    /// Has every surviving node heard the last of every surviving in-neighbour?
    bool drained() const {
        for (std::uint32_t i = 0; i < size(); ++i) {
            if (nodes_[i].gone) continue;
            if (!nodes_[i].frozen) return false;
            for (std::size_t j = 0; j < in_[i].size(); ++j) {
                const Node& from = nodes_[in_[i][j]];
                if (!from.gone && (!from.frozen || nodes_[i].heard[j] != from.frozen->tick)) return false;
            }
        }
        return true;
    }
    void ask_for_mass() {
        for (std::uint32_t i = 0; i < size(); ++i) {
            nodes_[i].reported = false;
            tell(i, MassRequest{terms_.epoch});
        }
    }
    bool all_reported() const {
        return std::all_of(nodes_.begin(), nodes_.end(),
                           [](const Node& node) { return node.gone || node.reported; });
    }
    /// A new epoch on another graph; what `leaver` reported goes to `heir`.
    void begin_epoch(std::vector<std::vector<std::uint32_t>> in, std::optional<std::uint32_t> leaver = {},
                     std::uint32_t heir = 0) {
        in_ = std::move(in);
        ++terms_.epoch;
        freezing_ = false;
        for (const Node& node : nodes_) {
            if (node.frozen) first_round_ = std::max(first_round_, node.frozen->tick);
        }
        heir_ = leaver ? std::optional(heir) : std::nullopt;
        if (leaver) {
            nodes_[*leaver].gone = true;
            grant_ = nodes_[*leaver].held;
            grant_weight_ = nodes_[*leaver].weight;
        }
        for (std::uint32_t i = 0; i < size(); ++i) offer(i);
    }

private:
    struct Flying {
        std::int64_t due;
        std::uint32_t epoch, from, to;
        std::int64_t tick;
        Mass weight;
        std::vector<Mass> values;
    };

    std::vector<std::uint32_t> out_of(std::uint32_t node) const {
        std::vector<std::uint32_t> out;
        for (std::uint32_t i = 0; i < size(); ++i) {
            if (std::find(in_[i].begin(), in_[i].end(), node) != in_[i].end()) out.push_back(i);
        }
        return out;
    }

    /// Power on: what is stored is all that is known.
    void start(std::uint32_t i) {
        constexpr std::size_t size_bytes = 1 << 16;
        memory_[i].reset(static_cast<std::byte*>(::operator new (size_bytes, std::align_val_t{Arena::alignment})));
        nodes_[i].session = std::make_unique<NodeSession>(SessionSettings{.name = "toy",
                                                                          .software = {},
                                                                          .endpoint = {},
                                                                          .memory = {memory_[i].get(), size_bytes},
                                                                          .store_every = store_every_,
                                                                          .retry_ms = 20});
        nodes_[i].connected = false;
        if (!nodes_[i].stored.empty()) REQUIRE(nodes_[i].session->resume(nodes_[i].stored));
    }

    void drive(std::uint32_t i, const SessionFaults& faults) {
        Node& node = nodes_[i];
        NodeSession& session = *node.session;
        for (int turn = 0; turn < 1000; ++turn) {
            switch (session.next(now_)) {
                case Duty::wait:
                    return;
                case Duty::prepare:
                    session.prepared();
                    break;
                case Duty::store:
                    if (random_.uniform() < faults.store_failure) {
                        session.store_failed(now_ - 990);
                    } else {
                        node.stored.assign(session.state().begin(), session.state().end());
                        node.stored_tick = session.tick();
                        session.stored();
                    }
                    break;
                case Duty::learn: {
                    const ConstVector<float> at = session.parameters();
                    answer_toy(session.question(), i, at, session.random(),
                               terms_.aggregation != Aggregation::push_sum, session.gradient());
                    REQUIRE(session.learned(now_));
                    break;
                }
                case Duty::report:
                    session.reported({});
                    break;
                case Duty::finish:
                    node.stored.clear();
                    session.finished();
                    return;
                case Duty::send:
                    if (const auto* receipt = std::get_if<ShareReceipt>(&session.message().body)) {
                        const ShareReceipt said = *receipt;
                        session.sent();
                        if (random_.uniform() >= faults.loss) tell(said.from, said);
                    } else if (session.recipient() != coordinator_number) {
                        spoke_early_ += session.tick() > node.stored_tick;
                        send_share(std::get<ShareMessage>(session.message().body), faults);
                        session.sent();
                    } else {
                        const Message message = session.message();
                        at_coordinator(i, message);
                        session.sent();
                        answer(i, message);
                    }
                    break;
            }
        }
        FAIL("a session that never waits");
    }

    void send_share(const ShareMessage& share, const SessionFaults& faults) {
        if (random_.uniform() < faults.loss) return;
        if (faults.duplication > 0 && random_.uniform() < faults.duplication)
            send_share(share, {.longest_delay = faults.longest_delay});
        flying_.push_back({now_ + 1 + random_.below(faults.longest_delay),
                           share.epoch,
                           share.from,
                           share.to,
                           share.tick,
                           share.weight,
                           {share.values.begin(), share.values.end()}});
    }

    void deliver(std::uint32_t i) {
        for (std::size_t m = 0; m < flying_.size();) {
            if (flying_[m].to != i || flying_[m].due > now_) {
                ++m;
                continue;
            }
            const Flying flying = std::move(flying_[m]);
            flying_[m] = std::move(flying_.back());
            flying_.pop_back();
            tell(i, ShareMessage{flying.epoch, flying.from, flying.to, flying.tick, flying.weight, flying.values});
        }
    }

    void tell(std::uint32_t i, MessageBody body) {
        if (nodes_[i].gone) return;
        if (!nodes_[i].connected && !std::holds_alternative<ShareMessage>(body) &&
            !std::holds_alternative<ShareReceipt>(body))
            return;
        (void)nodes_[i].session->receive({{job, coordinator_number, 0, 0}, body}, now_);
    }

    /// What a message says is only there until the session goes on.
    void at_coordinator(std::uint32_t i, const Message& message) {
        Node& node = nodes_[i];
        if (const auto* still = std::get_if<Frozen>(&message.body); still && still->epoch == terms_.epoch) {
            node.heard.assign(still->heard.begin(), still->heard.end());
            node.frozen = *still;
        }
        if (const auto* report = std::get_if<MassReport>(&message.body); report && report->epoch == terms_.epoch) {
            node.held.assign(report->values.begin(), report->values.end());
            node.weight = report->weight;
            node.reported = true;
        }
    }

    void answer(std::uint32_t i, const Message& message) {
        if (std::holds_alternative<Join>(message.body)) {
            tell(i,
                 Welcome{.node = i, .incarnation = std::max(1u, message.envelope.incarnation), .heartbeat_ms = 50});
            offer(i);
            if (freezing_) tell(i, Freeze{terms_.epoch});
        }
        if (const auto* answered = std::get_if<JobAnswer>(&message.body); answered && !answered->accepted) {
            if (answered->refusal.code == Code::busy) offer(i);
            if (answered->refusal.code == Code::not_durable) nodes_[i].offer_again = now_ + 5;
        }
        if (std::holds_alternative<ModelRequest>(message.body)) tell(i, Model{0, view(firsts_[i])});
    }

    static EncodedValues view(const std::vector<float>& values) {
        return {Encoding::float32, static_cast<std::uint32_t>(values.size()), std::as_bytes(std::span(values))};
    }

    void announce(std::uint32_t member, bool reachable) {
        for (const std::uint32_t from : in_[member]) tell(from, Presence{member, reachable, true});
    }

    void offer(std::uint32_t i) {
        if (nodes_[i].gone) return;
        JobTerms terms = terms_;
        terms.member = i;
        const std::vector<std::uint32_t> out = out_of(i);
        terms.in_neighbours = in_[i];
        terms.out_neighbours = out;
        const bool grant = heir_ == i;
        if (grant) tell(i, MassGrant{terms.epoch, grant_weight_, grant_});
        std::vector<Mass> fixed;
        if (says_floats(terms.aggregation)) {
            for (const double w : metropolis_weights(in_, i))
                fixed.push_back(std::llround(std::ldexp(w, JobOffer::weight_bits)));
        }
        tell(i, JobOffer{terms, grant, 0, fixed, first_round_, last_round_});
        for (const std::uint32_t to : out) tell(i, Presence{to, nodes_[to].connected, true});
    }

    static constexpr std::uint64_t job = 7;

    struct Free {
        void operator()(std::byte* data) const { ::operator delete (data, std::align_val_t{Arena::alignment}); }
    };

    std::vector<std::vector<std::uint32_t>> in_;
    std::size_t dimension_;
    Stream random_;
    std::uint32_t store_every_;
    std::vector<Node> nodes_;
    std::vector<std::unique_ptr<std::byte, Free>> memory_;
    std::vector<std::vector<float>> firsts_;
    JobTerms terms_;
    std::vector<Flying> flying_;
    std::int64_t now_ = 0, first_round_ = 0, last_round_ = 0;
    bool freezing_ = false, cut_off_ = false;
    int spoke_early_ = 0;
    std::optional<std::uint32_t> heir_;
    std::vector<Mass> grant_;
    Mass grant_weight_ = 0;
};

}  // namespace dunlin::test

// SPDX-License-Identifier: Apache-2.0
// The nodes of a world: power on and off, what they hear, do and measure.
#include "world.hpp"

namespace dunlin::testing {

void World::boot(std::uint32_t number) {
    Node& node = nodes_[number];
    // What it knew of masks is in memory alone.
    node.masks = std::make_unique<MaskMember>();
    node.session = std::make_unique<NodeSession>(SessionSettings{.name = {},
                                                                 .software = "test",
                                                                 .endpoint = {},
                                                                 .memory = node.memory.bytes(),
                                                                 .store_every = settings_.store_every,
                                                                 .retry_ms = 300,
                                                                 .masks = node.masks.get()});
    node.work.reset();
    // A power cut while it is written leaves the one state or the other.
    if (node.storing && random_.below(2) == 0) node.stored = node.storing->state;
    node.storing.reset();
    if (!node.stored.empty()) REQUIRE(node.session->resume(node.stored));
}

void World::cut(std::uint32_t number) {
    Node& node = nodes_[number];
    if (node.connection == 0) return;
    node.connection = 0;
    node.inbox.clear();
    node.outbox.clear();
    node.dial_ms = now_ms_ + 1 + random_.below(200);
    node.session->disconnected();
    // The coordinator may learn of it, or only see the next Join.
    if (coordinator_ && random_.below(2) == 0) coordinator_->disconnected(node.key);
}

void World::switch_off(std::uint32_t number) {
    cut(number);
    nodes_[number].off = true;
    boot(number);
}

void World::deliver(std::uint32_t number) {
    Node& node = nodes_[number];
    while (!node.inbox.empty() && node.inbox.front().first <= now_ms_) {
        auto message = decode_frame(std::move(node.inbox.front().second));
        node.inbox.pop_front();
        REQUIRE(message);
        (void)node.session->receive(message->message(), now_ms_ + node.clock_ms);
        drive(number);
    }
    while (!node.outbox.empty() && node.outbox.front().first <= now_ms_) {
        auto message = decode_frame(std::move(node.outbox.front().second));
        node.outbox.pop_front();
        REQUIRE(message);
        if (node.mute == node.connection) continue;
        coordinator_->receive(node.key, message->message(), now_ms_);
    }
}

void World::drive(std::uint32_t number) {
    Node& node = nodes_[number];
    NodeSession& session = *node.session;
    end_work(number);
    for (int turn = 0; turn < 2000; ++turn) {
        switch (session.next(now_ms_ + node.clock_ms)) {
            case Duty::wait:
                return;
            case Duty::prepare:
                if (node.slow) return;
                if (begin(number, Duty::prepare)) break;
                session.prepared();
                break;
            case Duty::store:
                if (node.full) {
                    session.store_failed(now_ms_ + node.clock_ms);
                    break;
                }
                if (begin(number, Duty::store)) break;
                node.stored.assign(session.state().begin(), session.state().end());
                session.stored();
                break;
            case Duty::learn: {
                if (begin(number, Duty::learn)) break;
                const ConstVector<float> at = session.parameters();
                answer(number, session.question(), at, session.random(), session.gradient());
                REQUIRE(session.learned(now_ms_ + node.clock_ms));
                break;
            }
            case Duty::report: {
                if (begin(number, Duty::report)) break;
                if (session.final_report()) ++node.finals;
                measure(number);
                break;
            }
            case Duty::finish:
                node.stored.clear();
                session.finished();
                break;
            case Duty::send:
                if (node.connection == 0) {
                    session.not_sent();
                    return;
                }
                if (session.message().body.index() != node.loses) {
                    Message said = session.message();
                    if (auto* join = std::get_if<Join>(&said.body); join && node.old) join->newest_version = 1;
                    if (node.older) said.envelope.nonce = 0;
                    carry(node.outbox, said);
                }
                session.sent();
                break;
        }
    }
    FAIL("a session that never waits");
}

void World::measure(std::uint32_t number) {
    NodeSession& session = *nodes_[number].session;
    std::vector<Metric> metrics{{"loss", 1.0}};
    // What nobody waits for any more may be of no model.
    if (settings_.score && session.wanted() && session.job() != 0)
        metrics.push_back({"score", settings_.score(number, session.parameters())});
    session.reported(metrics);
}

void World::answer(std::uint32_t number, const Question& question, ConstVector<float> w, Stream& random,
                   Vector<float> out) const {
    for (std::size_t k = 0; k < w.size(); ++k) {
        const float target = static_cast<float>(number) * (k % 2 == 0 ? 1.0f : -1.0f);
        const float exact = question.kind == Question::Kind::products ? out[k] : w[k] - target;
        out[k] = exact + 0.1f * random.normal();
    }
    random.next_epoch();
}

/// Does the node do this beside its talking? Then it has begun.
bool World::begin(std::uint32_t number, Duty duty) {
    if (faults_.longest_work_ms == 0) return false;
    Node& node = nodes_[number];
    Node::Work work{.duty = duty, .due_ms = now_ms_ + 1 + random_.below(faults_.longest_work_ms)};
    if (duty == Duty::learn) {
        const ConstVector<float> w = node.session->parameters();
        work.parameters.assign(w.begin(), w.end());
        work.question = node.session->question();
        work.gradient.assign(node.session->gradient().begin(), node.session->gradient().end());
        work.random = node.session->random();
    }
    if (duty == Duty::store) work.state.assign(node.session->state().begin(), node.session->state().end());
    node.session->begun(duty);
    auto& slot = duty == Duty::store ? node.storing : node.work;
    REQUIRE(!slot);
    slot = std::move(work);
    return true;
}

void World::end_work(std::uint32_t number) {
    Node& node = nodes_[number];
    NodeSession& session = *node.session;
    if (node.storing && now_ms_ >= node.storing->due_ms) {
        node.stored = std::move(node.storing->state);
        node.storing.reset();
        session.stored();
    }
    if (!node.work || now_ms_ < node.work->due_ms) return;
    Node::Work work = *std::exchange(node.work, std::nullopt);
    const bool wanted = session.wanted();
    node.discarded += !wanted;
    if (work.duty == Duty::prepare) session.prepared();
    if (work.duty == Duty::learn) {
        answer(number, work.question, work.parameters, work.random, work.gradient);
        if (wanted) std::ranges::copy(work.gradient, session.gradient().begin());
        if (wanted) session.random() = work.random;
        REQUIRE(session.learned(now_ms_ + node.clock_ms));
    }
    if (work.duty == Duty::report) {
        if (wanted && session.final_report()) ++node.finals;
        measure(number);
    }
}

}  // namespace dunlin::testing

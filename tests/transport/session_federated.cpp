// SPDX-License-Identifier: Apache-2.0
#include "core/aggregate/server_rules.hpp"
#include "transport/encoding.hpp"
#include "transport/session/node_session.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

constexpr std::uint64_t job = 9;

struct Faults {
    float crash = 0, disconnect = 0, lost = 0;  ///< per step; per message
};

/// One node under a server that never crashes and never forgets, on a link that breaks.
class Pair {
public:
    Pair(Stream random, std::uint32_t store_every, Encoding encoding)
        : random_(random), store_every_(store_every), server_memory_(make_block()), node_memory_(make_block()) {
        Arena arena({server_memory_.get(), block_bytes});
        server_.emplace(*FederatedServer<PersaflRule>::make({.nodes = 1, .dimension = 3}, PersaflRule{0.5f},
                                                            std::vector<float>{4, -2, 1}, arena));
        terms_.dimension = 3;
        terms_.local_steps = 4;
        terms_.local_rate = 0.1f;
        terms_.encoding = encoding;
        terms_.report_every = 2;
        start();
    }

    void step(const Faults& faults) {
        ++now_;
        if (random_.uniform() < faults.crash) start();
        if (connected_ && random_.uniform() < faults.disconnect) {
            connected_ = false;
            session_->disconnected();
        } else if (!connected_) {
            connected_ = true;
            session_->connected(now_);
        }
        for (int turn = 0; turn < 1000 && drive(faults); ++turn) {
        }
    }

    void end() { ended_ = true; }
    /// The node starts again, with this state.
    void go_on_with(std::vector<std::byte> state) {
        stored_ = std::move(state);
        start();
    }
    /// The job is over when the node accepts it.
    void end_at_answer() { ends_at_answer_ = true; }
    NodeSession& session() { return *session_; }
    ConstVector<float> model() const { return server_->model(); }
    std::uint64_t version() const { return server_->version(); }

    int duplicates = 0, other_refusals = 0, reports = 0, final_reports = 0, finished = 0, heartbeats = 0;
    std::uint32_t incarnations = 0;
    float acknowledged = 1;       ///< of final reports
    std::vector<float> measured;  ///< what the last report is about

private:
    static constexpr std::size_t block_bytes = 1 << 14;
    struct Free {
        void operator()(std::byte* data) const { ::operator delete (data, std::align_val_t{Arena::alignment}); }
    };
    using Block = std::unique_ptr<std::byte, Free>;
    static Block make_block() {
        return Block(static_cast<std::byte*>(::operator new (block_bytes, std::align_val_t{Arena::alignment})));
    }

    void start() {
        session_ = std::make_unique<NodeSession>(SessionSettings{.name = "one",
                                                                 .software = {},
                                                                 .endpoint = {},
                                                                 .memory = {node_memory_.get(), block_bytes},
                                                                 .store_every = store_every_,
                                                                 .retry_ms = 10});
        connected_ = false;
        if (!stored_.empty()) REQUIRE(session_->resume(stored_));
    }

    bool drive(const Faults& faults) {
        static const Metric metric{"loss", 1.0};
        switch (session_->next(now_)) {
            case Duty::wait:
                return false;
            case Duty::prepare:
                session_->prepared();
                return true;
            case Duty::store:
                stored_.assign(session_->state().begin(), session_->state().end());
                session_->stored();
                return true;
            case Duty::learn: {
                const ConstVector<float> w = session_->parameters();
                for (std::size_t k = 0; k < w.size(); ++k) session_->gradient()[k] = w[k] - 1.0f;
                REQUIRE(session_->learned(now_));
                return random_.uniform() > 0.3f;  // the rest in the next step
            }
            case Duty::report:
                measured.assign(session_->parameters().begin(), session_->parameters().end());
                session_->reported({&metric, 1});
                return true;
            case Duty::finish:
                stored_.clear();
                ++finished;
                session_->finished();
                return false;
            case Duty::send:
                break;
        }
        const Message message = session_->message();
        std::vector<Message> answers;
        if (random_.uniform() >= faults.lost) answers = serve(message);
        session_->sent();
        for (const Message& answer : answers) {
            if (random_.uniform() >= faults.lost) (void)session_->receive(answer, now_);
        }
        return true;
    }

    Message say(MessageBody body) const { return {{job, coordinator_number, 0, 0}, body}; }
    Message model_message() const { return say(Model{server_->version(), view_values(server_->model())}); }

    std::vector<Message> serve(const Message& message) {
        const std::uint64_t has = message.envelope.job;
        if (std::holds_alternative<Join>(message.body)) {
            const std::uint32_t incarnation =
                message.envelope.incarnation > 0 ? message.envelope.incarnation : ++incarnations;
            std::vector<Message> answers{say(Welcome{.incarnation = incarnation, .heartbeat_ms = 30})};
            if (ended_ && has == job) answers.push_back(say(JobEnd{}));
            if (!ended_ && has == 0) answers.push_back(say(JobOffer{terms_}));
            return answers;
        }
        if (ends_at_answer_ && std::holds_alternative<JobAnswer>(message.body)) ended_ = true;
        if (ended_ && !told_) {
            told_ = true;
            return {say(JobEnd{})};
        }
        if (std::holds_alternative<ModelRequest>(message.body)) return {model_message()};
        if (std::holds_alternative<Heartbeat>(message.body)) ++heartbeats;
        if (const auto* report = std::get_if<Report>(&message.body)) {
            CHECK(report->metrics.size() == 1);
            ++(report->final ? final_reports : reports);
            if (report->final && random_.uniform() < acknowledged) return {say(Acknowledgement{.applied = true})};
        }
        const auto* update = std::get_if<ModelUpdate>(&message.body);
        if (update == nullptr) return {};
        std::vector<float> values(update->values.count);
        REQUIRE(decode(update->values, values));
        const Verdict verdict =
            server_->receive({update->member, message.envelope.incarnation, message.envelope.sequence,
                              update->base_version, update->samples, values});
        const bool again = verdict.refusal.code == Code::update_duplicate;
        duplicates += again;
        other_refusals += verdict.outcome == Reception::refused && !again;
        const bool applied = again || verdict.outcome == Reception::applied;
        return {say(Acknowledgement{message.envelope.sequence, applied, verdict.refusal, server_->version()}),
                model_message()};
    }

    Stream random_;
    std::uint32_t store_every_;
    Block server_memory_, node_memory_;
    std::optional<FederatedServer<PersaflRule>> server_;
    JobTerms terms_;
    std::unique_ptr<NodeSession> session_;
    std::vector<std::byte> stored_;
    std::int64_t now_ = 0;
    bool connected_ = false, ended_ = false, told_ = false, ends_at_answer_ = false;
};

}  // namespace

TEST_CASE("every update of a node that stores each one is applied once, whatever breaks [invariant 7]") {
    int duplicates = 0;
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        Pair pair(Stream(21, seed, Purpose::user), 1, Encoding::float32);
        for (int step = 0; step < 300; ++step) pair.step({.crash = 0.05f, .disconnect = 0.1f, .lost = 0.2f});
        for (int step = 0; step < 60; ++step) pair.step({});
        CHECK(pair.other_refusals == 0);
        CHECK(pair.version() > 10);
        // Each update made is in the model, but for one under way.
        CHECK(pair.session().updates() - pair.version() <= 1);
        duplicates += pair.duplicates;
    }
    CHECK(duplicates > 100);
}

TEST_CASE("a node that seldom stores begins a new incarnation instead of a second life [invariant 7]") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        Pair pair(Stream(22, seed, Purpose::user), 5, Encoding::float32);
        for (int step = 0; step < 300; ++step) pair.step({.crash = 0.05f, .disconnect = 0.1f, .lost = 0.2f});
        for (int step = 0; step < 60; ++step) pair.step({});
        CHECK(pair.other_refusals == 0);
        CHECK(pair.version() > 10);
        CHECK(pair.incarnations > 1);
    }
}

TEST_CASE("a node that says a lot asks for an answer all the same, or would take a coordinator for dead") {
    Pair pair(Stream(29, 0, Purpose::user), 1, Encoding::float32);
    for (int step = 0; step < 310; ++step) pair.step({});
    CHECK(pair.reports > 100);
    CHECK(pair.heartbeats >= 9);  // one every 30 ms
}

TEST_CASE("updates of fewer bits lead to the same model") {
    for (const Encoding encoding : {Encoding::float32, Encoding::float16, Encoding::int8}) {
        Pair pair(Stream(23, 1, Purpose::user), 1, encoding);
        for (int step = 0; step < 400; ++step) pair.step({});
        for (const float value : pair.model()) CHECK(std::abs(value - 1.0f) < 1e-3f);
        CHECK(pair.reports > 5);
    }
}

TEST_CASE("a job ends with the last model, a final report and nothing left") {
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        Pair pair(Stream(24, seed, Purpose::user), 1, Encoding::float32);
        for (int step = 0; step < 50; ++step) pair.step({.crash = 0.02f, .disconnect = 0.05f});
        pair.end();
        for (int step = 0; step < 100; ++step) pair.step({});
        CHECK(pair.final_reports == 1);
        CHECK(pair.finished == 1);
        CHECK(pair.session().job() == 0);
    }
}

TEST_CASE("a final report is said again until it is acknowledged") {
    int more_than_once = 0;
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        Pair pair(Stream(26, seed, Purpose::user), 1, Encoding::float32);
        for (int step = 0; step < 50; ++step) pair.step({});
        pair.end();
        pair.acknowledged = 0.5f;
        for (int step = 0; step < 200; ++step) pair.step({.disconnect = 0.05f});
        CHECK(pair.final_reports >= 1);
        CHECK(pair.finished == 1);
        more_than_once += pair.final_reports > 1;
    }
    CHECK(more_than_once > 0);
}

TEST_CASE("a coordinator that never acknowledges a final report holds nobody up") {
    Pair pair(Stream(27, 1, Purpose::user), 1, Encoding::float32);
    pair.acknowledged = 0;
    for (int step = 0; step < 50; ++step) pair.step({});
    pair.end();
    for (int step = 0; step < 3000; ++step) pair.step({});
    CHECK(pair.final_reports > 3);
    CHECK(pair.finished == 1);
    CHECK(pair.session().job() == 0);
}

TEST_CASE("a node that had no time to begin reports on the last model all the same") {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        Pair pair(Stream(25, seed, Purpose::user), 1, Encoding::float32);
        pair.end_at_answer();
        pair.step({});
        for (int step = 0; step < 30; ++step) pair.step({.lost = 0.2f});
        for (int step = 0; step < 60; ++step) pair.step({});
        CHECK(pair.session().updates() == 0);
        CHECK(pair.measured == std::vector<float>{4, -2, 1});
        CHECK(pair.finished == 1);
        CHECK(pair.session().job() == 0);
    }
}

TEST_CASE("a job that does not fit is refused with the bytes that it needs, and the node goes on") {
    alignas(Arena::alignment) static std::byte memory[4096];
    NodeSession session({.name = "small", .software = {}, .endpoint = {}, .memory = memory});
    session.connected(0);
    REQUIRE(session.next(0) == Duty::send);
    session.sent();
    REQUIRE(session.receive({{}, Welcome{}}, 0));
    JobTerms terms;
    terms.dimension = 1000;
    const auto refused = session.receive({{.job = job}, JobOffer{terms}}, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::job_too_large);
    REQUIRE(session.next(1) == Duty::send);
    const auto* answer = std::get_if<JobAnswer>(&session.message().body);
    REQUIRE(answer != nullptr);
    CHECK_FALSE(answer->accepted);
    CHECK(answer->refusal.first == static_cast<std::int64_t>(NodeSession::bytes(terms, true)));
    session.sent();
    terms.dimension = 20;
    REQUIRE(session.receive({{.job = job}, JobOffer{terms}}, 2));
    CHECK(session.next(2) == Duty::prepare);
}

TEST_CASE(
    "a state from before random epochs were 64 bits wide is taken up, whatever lies where their upper half is") {
    alignas(Arena::alignment) static std::byte first[8192], second[8192];
    NodeSession session({.name = "n", .software = {}, .endpoint = {}, .memory = first, .store_every = 1});
    session.connected(0);
    REQUIRE(session.next(0) == Duty::send);
    session.sent();
    REQUIRE(session.receive({{}, Welcome{}}, 0));
    JobTerms terms;
    terms.dimension = 3;
    REQUIRE(session.receive({{.job = job}, JobOffer{terms}}, 0));
    REQUIRE(session.next(1) == Duty::prepare);
    session.prepared();
    std::vector<std::byte> state(session.state().begin(), session.state().end());
    constexpr std::size_t epoch_low = 36, epoch_high = 68;  // where they lie
    for (const bool narrow : {true, false}) {
        state[7] = std::byte{narrow ? std::uint8_t{'1'} : std::uint8_t{'2'}};
        state[epoch_low] = std::byte{9};
        state[epoch_high] = std::byte{5};
        NodeSession resumed({.name = "n", .software = {}, .endpoint = {}, .memory = second, .store_every = 1});
        REQUIRE(resumed.resume(state));
        CHECK(resumed.random().epoch() == (narrow ? 9 : (std::uint64_t{5} << 32) + 9));
    }
}

TEST_CASE("a state of before there were nonces is gone on with") {
    Pair pair(Stream(5, 0, Purpose::tasks), 1, Encoding::float32);
    for (int step = 0; step < 50; ++step) pair.step({});
    const std::span<const std::byte> state = pair.session().state();
    // As an older program wrote it: without the last number, and with a size that says so.
    std::vector<std::byte> older(state.begin(),
                                 state.end() - static_cast<std::ptrdiff_t>(Arena::bytes<std::uint64_t>(1)));
    const std::uint64_t size = older.size();
    std::memcpy(older.data() + sizeof size, &size, sizeof size);
    pair.go_on_with(older);
    CHECK(pair.session().job() == 9);
    CHECK(pair.session().nonce() == 0);
    const std::uint64_t version = pair.version();
    for (int step = 0; step < 50; ++step) pair.step({});
    CHECK(pair.version() > version);
    CHECK(pair.other_refusals == 0);
}

TEST_CASE("a state that was damaged or belongs to something else is refused") {
    alignas(Arena::alignment) static std::byte memory[8192];
    NodeSession session({.name = "n", .software = {}, .endpoint = {}, .memory = memory});
    CHECK(session.resume({}).error().code == Code::state_size);
    const std::vector<std::byte> zeros(4096);
    CHECK(session.resume(zeros).error().code == Code::state_mismatch);
    CHECK(session.next(0) == Duty::wait);
}

// SPDX-License-Identifier: Apache-2.0
// Peers that are on the roster and say what they should not, to a coordinator on a real socket with CURVE: refused
// with a code, counted in the metrics, and nobody else notices. (Strangers are in
// tests/transport/zeromq_hostile.cpp.)
#include "chaos/proxy.hpp"
#include "fleet/coordinator/metrics.hpp"
#include "source_dir.hpp"
#include "transport/encoding.hpp"
#include "transport/wire/wire_codec.hpp"

#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <stdlib.h>
#include <zmq.h>

using namespace dunlin;

namespace {

constexpr std::uint32_t dimension = 4;

/// Bytes as they are over ZeroMQ with CURVE, by a program that is not Dunlin's.
class Peer {
public:
    Peer(const std::string& endpoint, const PublicKey& server, const KeyPair& keys)
        : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
        const int zero = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &zero, sizeof zero);
        zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, server.data(), server.size());
        zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, keys.public_key().data(), 32);
        zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, keys.secret_key().data(), 32);
        zmq_connect(socket_, endpoint.c_str());
    }
    ~Peer() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    Peer(const Peer&) = delete;

    void send(std::span<const std::byte> bytes) { zmq_send(socket_, bytes.data(), bytes.size(), ZMQ_DONTWAIT); }
    /// The next message that is there.
    bool receive(DecodedMessage& message) {
        std::vector<std::byte> bytes(1 << 20);
        const int size = zmq_recv(socket_, bytes.data(), bytes.size(), ZMQ_DONTWAIT);
        if (size < 0) return false;
        auto decoded = decode_copy(std::span(bytes).first(static_cast<std::size_t>(size)));
        REQUIRE(decoded);
        message = *std::move(decoded);
        return true;
    }

private:
    void *context_, *socket_;
};

/// A coordinator with a job for two members: one that is honest, and one that may not be.
class Scene {
public:
    explicit Scene(std::uint32_t silence_ms = 20'000, std::size_t credit_bytes = 256u << 10) {
        std::string pattern = (std::filesystem::temp_directory_path() / "dunlin-hostile-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        folder_ = pattern;
        FleetServerSettings settings;
        settings.directory = folder_;
        settings.link.endpoint = "tcp://127.0.0.1:0";
        settings.link.keys = server_keys_;
        settings.link.message_bytes = 1 << 20;
        settings.coordinator.suspect_ms = 100;
        settings.coordinator.silence_ms = silence_ms;
        settings.coordinator.credit_bytes = credit_bytes;
        server_ = *FleetServer::open(settings, nobody_);
        std::vector<std::uint32_t> numbers;
        for (const char* name : {"honest", "mallory"}) {
            keys_.push_back(*KeyPair::make());
            numbers.push_back(*coordinator().admit({.name = name, .key = keys_.back().public_key(), .labels = {}}));
        }
        JobPlan plan;
        plan.terms.dimension = dimension;
        plan.terms.members = 2;
        plan.first.assign(dimension, 0.0f);
        plan.server.rule = PersaflRule{1.0f};
        plan.server.component_limit = 100.0f;
        plan.server.norm_limit = 10.0f;
        number_ = *coordinator().create_job(plan, {.token = {}, .push = false, .nodes = numbers});
    }
    ~Scene() {
        server_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    Coordinator& coordinator() { return server_->coordinator(); }
    const Job& job() { return *coordinator().state().job(number_); }
    std::string endpoint() { return server_->link().endpoint(); }
    const PublicKey& key(std::uint32_t member) const { return keys_[member].public_key(); }
    std::unique_ptr<Peer> peer(std::uint32_t member, std::string by_way_of = {}) {
        if (by_way_of.empty()) by_way_of = endpoint();
        return std::make_unique<Peer>(by_way_of, server_keys_.public_key(), keys_[member]);
    }
    std::string metrics() const { return metrics_text(*server_); }
    bool metric(const std::string& line) const { return metrics().find("\n" + line + "\n") != std::string::npos; }
    bool refused(Code code, int times) const {
        return metric(
            fmt::format("dunlin_messages_refused_total{{code=\"{}\"}} {}", static_cast<int>(code), times));
    }

    void turn() {
        if (proxy != nullptr) {
            using namespace std::chrono;
            proxy->poll(0, duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
        }
        REQUIRE(server_->turn(proxy != nullptr ? 1 : 5));
    }
    /// Until the peer is told a `Body`. What asks for it is said again where a connection that was cut while it began
    /// took it along, as happens on a busy machine.
    template <class Body>
    Body told(Peer& peer, const std::function<void()>& again = {}) {
        // Turns that have something to do do not wait: on a busy machine no number of them is enough for libzmq.
        using namespace std::chrono;
        const auto start = steady_clock::now();
        for (auto said = start; steady_clock::now() - start < seconds(60);) {
            turn();
            while (peer.receive(last_)) {
                if (const auto* body = std::get_if<Body>(&last_.message().body)) return *body;
            }
            if (again && steady_clock::now() - said > seconds(10)) {
                said = steady_clock::now();
                again();
            }
        }
        FAIL("no answer");
        return {};
    }
    template <class Condition>
    void turn_until(const Condition& condition) {
        for (int turns = 0; turns < 2000 && !condition(); ++turns) turn();
        REQUIRE(condition());
    }
    /// The peer joins and takes part in the job.
    void join(Peer& peer) {
        say(peer, 0, Join{});
        incarnation_ = told<Welcome>(peer, [&] { say(peer, 0, Join{}); }).incarnation;
        (void)told<JobOffer>(peer);
        say(peer, 0, JobAnswer{true, {}});
        say(peer, 0, ModelRequest{});
        (void)told<Model>(peer);
    }
    void say(Peer& peer, std::uint64_t sequence, const MessageBody& body) {
        const std::uint64_t job = std::holds_alternative<Join>(body) ? 0 : number_;
        const std::uint32_t incarnation = std::holds_alternative<Join>(body) ? 0 : incarnation_;
        peer.send(encode_frame({{job, 0, incarnation, sequence}, body}).value().bytes());
    }
    /// The same to the coordinator at once, past the link.
    void hears(std::uint32_t member, std::uint64_t sequence, const MessageBody& body) {
        const std::uint64_t job = std::holds_alternative<Join>(body) ? 0 : number_;
        coordinator().receive(key(member), {{job, 0, incarnation_, sequence}, body}, 0);
    }
    Acknowledgement update(Peer& peer, std::uint32_t member, std::uint64_t sequence, std::vector<float> values) {
        say(peer, sequence, ModelUpdate{member, 0, 1.0f, view_values(values)});
        return told<Acknowledgement>(peer);
    }

    chaos::Proxy* proxy = nullptr;  ///< turned over as well

private:
    std::filesystem::path folder_;
    KeyPair server_keys_ = *KeyPair::make();
    Journal nobody_;
    std::unique_ptr<FleetServer> server_;
    std::vector<KeyPair> keys_;
    std::uint64_t number_ = 0;
    std::uint32_t incarnation_ = 0;
    DecodedMessage last_;
};

std::vector<std::byte> golden(const char* name) {
    std::ifstream file(std::string(DUNLIN_SOURCE_DIR "/tests/transport/golden/") + name, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    REQUIRE_FALSE(bytes.empty());
    const auto raw = std::as_bytes(std::span(bytes));
    return {raw.begin(), raw.end()};
}

}  // namespace

TEST_CASE("an update that is no good is refused with its reason, counted, and changes nothing [invariant 9]") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                    infinity = std::numeric_limits<float>::infinity();
    Scene scene;
    const auto mallory = scene.peer(1);
    scene.join(*mallory);
    const std::pair<std::vector<float>, Code> wrong[] = {
        {{1, nan, 1, 1}, Code::not_finite},        {{1, 1, -infinity, 1}, Code::not_finite},
        {{1, 1, 1}, Code::shape_mismatch},         {{1, 1, 1, 1, 1}, Code::shape_mismatch},
        {{1e9f, 0, 0, 0}, Code::update_too_large},  // a component beyond the limit
        {{9, 9, 9, 9}, Code::update_too_large},     // and all together
    };
    std::uint64_t sequence = 0;
    for (const auto& [values, code] : wrong) {
        const Acknowledgement answer = scene.update(*mallory, 1, ++sequence, values);
        CHECK_FALSE(answer.applied);
        CHECK(answer.sequence == sequence);
        CHECK(answer.refusal.code == code);
    }
    // In another's name, from another life, from the future, for another job.
    CHECK(scene.update(*mallory, 0, ++sequence, {1, 1, 1, 1}).refusal.code == Code::not_a_participant);
    const std::vector<float> fine{1, 1, 1, 1};
    scene.say(*mallory, ++sequence, ModelUpdate{1, 77, 1.0f, view_values(fine)});
    CHECK(scene.told<Acknowledgement>(*mallory).refusal.code == Code::update_from_future);
    // With a weight that the plan did not give it, in numbers and beyond all numbers.
    for (const float samples : {1e9f, 0.5f, nan, infinity}) {
        scene.say(*mallory, ++sequence, ModelUpdate{1, 0, samples, view_values(fine)});
        const Error told = scene.told<Acknowledgement>(*mallory).refusal;
        CHECK(told.code == Code::out_of_range);
        CHECK(told.second == 1);
    }
    mallory->send(encode_frame({{99, 0, 1, 1}, ModelUpdate{1, 0, 1.0f, view_values(fine)}}).value().bytes());
    CHECK(scene.told<Acknowledgement>(*mallory).refusal.code == Code::unknown_job);
    CHECK(scene.refused(Code::not_finite, 2));
    CHECK(scene.refused(Code::shape_mismatch, 2));
    CHECK(scene.refused(Code::update_too_large, 2));
    CHECK(scene.refused(Code::not_a_participant, 1));
    CHECK(scene.refused(Code::update_from_future, 1));
    CHECK(scene.metric("dunlin_updates_applied_total 0"));
    CHECK(scene.job().version() == 0);

    const auto honest = scene.peer(0);
    scene.join(*honest);
    CHECK(scene.update(*honest, 0, 1, {1, 2, 3, 4}).applied);
    CHECK(scene.job().updates() == 1);
    CHECK(std::ranges::all_of(scene.job().model(), [](float value) { return std::isfinite(value); }));
}

TEST_CASE("a replayed update is acknowledged again and applied once, an older one refused [invariant 7]") {
    Scene scene;
    const auto peer = scene.peer(0);
    scene.join(*peer);
    REQUIRE(scene.update(*peer, 0, 1, {1, 1, 1, 1}).applied);
    REQUIRE(scene.update(*peer, 0, 2, {1, 1, 1, 1}).applied);
    const std::vector<float> before(scene.job().model().begin(), scene.job().model().end());
    for (int times = 0; times < 3; ++times) CHECK(scene.update(*peer, 0, 2, {1, 1, 1, 1}).applied);
    const Acknowledgement older = scene.update(*peer, 0, 1, {1, 1, 1, 1});
    CHECK_FALSE(older.applied);
    CHECK(older.refusal.code == Code::update_duplicate);
    CHECK(scene.job().updates() == 2);
    CHECK(std::ranges::equal(scene.job().model(), before));
    CHECK(scene.metric("dunlin_updates_repeated_total 3"));
    CHECK(scene.refused(Code::update_duplicate, 1));
}

TEST_CASE("a node that does not wait for answers is told that too much of it waits, and what was applied counts") {
    Scene scene(20'000, 500);  // 5 updates of 16 bytes
    const auto honest = scene.peer(0), mallory = scene.peer(1);
    scene.join(*honest);
    scene.join(*mallory);
    std::uint64_t applied = 0, busy = 0, sequence = 0;
    const std::vector<float> step(dimension, 0.1f);
    // How many of a burst arrive together is the system's.
    for (int burst = 0; burst < 300 && busy == 0; ++burst) {
        for (int k = 0; k < 12; ++k) scene.say(*mallory, ++sequence, ModelUpdate{1, 0, 1.0f, view_values(step)});
        for (int k = 0; k < 12; ++k) {
            const auto answer = scene.told<Acknowledgement>(*mallory);
            ++(answer.applied ? applied : busy);
            if (!answer.applied) CHECK(answer.refusal.code == Code::busy);
        }
    }
    CHECK(busy > 0);
    CHECK(scene.job().updates() == applied);
    CHECK(scene.update(*honest, 0, 1, {1, 2, 3, 4}).applied);
}

TEST_CASE("joining again gives a node no new credit") {
    Scene scene(20'000, 500);  // 5 updates of 16 bytes
    const auto mallory = scene.peer(1);
    scene.join(*mallory);
    const std::vector<float> step(dimension, 0.1f);
    for (std::uint64_t sequence = 1; sequence <= 6; ++sequence)
        scene.hears(1, sequence, ModelUpdate{1, 0, 1.0f, view_values(step)});
    CHECK(scene.refused(Code::busy, 1));
    scene.coordinator().disconnected(scene.key(1));
    scene.hears(1, 0, Join{});
    scene.hears(1, 7, ModelUpdate{1, 0, 1.0f, view_values(step)});
    CHECK(scene.refused(Code::busy, 2));
    scene.turn_until([&] { return scene.job().updates() == 5; });
    // Nor more reports in a second.
    for (int k = 0; k < 30; ++k) {
        if (k % 10 == 9) scene.hears(1, 0, Join{});
        scene.hears(1, 0, Report{});
        if (k % 3 == 2) REQUIRE(scene.coordinator().commit(0));
    }
    CHECK(scene.refused(Code::busy, 2 + 10));
}

TEST_CASE("bytes that are no message, and messages before Join, are refused with a code") {
    Scene scene;
    const auto mallory = scene.peer(1);
    const auto rubbish = [&] { mallory->send(std::vector<std::byte>(100, std::byte{7})); };
    rubbish();
    CHECK(scene.told<Refusal>(*mallory, rubbish).error.code == Code::message_malformed);
    mallory->send(encode_frame({{}, Heartbeat{}}).value().bytes());
    CHECK(scene.told<Refusal>(*mallory).error.code == Code::not_joined);
    CHECK(scene.refused(Code::message_malformed, 1));
    CHECK(scene.refused(Code::not_joined, 1));
    CHECK(scene.metric("dunlin_link_malformed_total 1"));
    // It may still come to its senses.
    scene.join(*mallory);
    CHECK(scene.metric("dunlin_nodes{state=\"here\"} 1"));
    CHECK(scene.metric("dunlin_nodes{state=\"away\"} 1"));
    REQUIRE(scene.coordinator().revoke("honest"));
    CHECK(scene.metric("dunlin_nodes{state=\"away\"} 0"));
    CHECK(scene.metric("dunlin_nodes{state=\"revoked\"} 1"));
}

TEST_CASE("a message beyond the limit ends its sender's connection, is counted, and nobody else notices") {
    Scene scene;
    const auto honest = scene.peer(0), mallory = scene.peer(1);
    scene.join(*honest);
    scene.join(*mallory);
    mallory->send(std::vector<std::byte>(2 << 20));
    scene.turn_until([&] { return scene.metric("dunlin_link_ended_total 1"); });
    CHECK(scene.update(*honest, 0, 1, {1, 2, 3, 4}).applied);
}

TEST_CASE(
    "a frame of 2 GB, and one that never comes to its end, cost their sender the connection and nobody anything") {
    Scene scene(1500);
    const auto honest = scene.peer(0);
    const auto port =
        static_cast<std::uint16_t>(std::stoi(scene.endpoint().substr(scene.endpoint().rfind(':') + 1)));
    chaos::Proxy line(1, port);
    scene.proxy = &line;
    const auto mallory = scene.peer(1, line.endpoint(0));
    scene.join(*honest);
    scene.join(*mallory);
    // ZeroMQ says in the clear how long a frame is that has more than 255 bytes: flags, and 8 bytes of length.
    std::string length;
    SECTION("2 GB") {
        length = std::string("\0\0\0\0\x80\0\0\0", 8);
    }
    SECTION("1,000,000 bytes, in trickles") {
        length = std::string("\0\0\0\0\0\x0f\x42\x40", 8);
    }
    line.line(0).forged = "\6" + length + "MESSAGE";
    std::uint64_t said = 0;
    scene.turn_until([&] {
        scene.say(*mallory, 0, Heartbeat{});
        CHECK(scene.update(*honest, 0, ++said, {1, 2, 3, 4}).applied);
        return scene.metric("dunlin_link_ended_total 1");
    });
    CHECK(scene.job().updates() == said);
    // It dials again, and may come to its senses. What it said before it knew of the cut is lost.
    scene.turn_until([&] {
        scene.say(*mallory, 0, Heartbeat{});
        return scene.coordinator().counters().refused.contains(Code::not_joined);
    });
    scene.join(*mallory);
}

TEST_CASE("a client of wire version 1, byte for byte, takes part, and an older one is told why it cannot") {
    // The frames of version1_* are what a node said when 1 was the newest version; they never change.
    Scene scene;
    const auto first = scene.peer(0);
    const auto join = [&] { first->send(golden("version1_join.frame")); };
    join();
    CHECK(scene.told<Welcome>(*first, join).version == 1);
    CHECK(scene.told<JobOffer>(*first).terms.dimension == dimension);
    first->send(golden("version1_job_answer.frame"));
    first->send(golden("version1_model_request.frame"));
    CHECK(scene.told<Model>(*first).values.count == dimension);
    first->send(golden("version1_model_update.frame"));
    const Acknowledgement answer = scene.told<Acknowledgement>(*first);
    CHECK(answer.applied);
    CHECK(answer.sequence == 1);
    CHECK(scene.job().updates() == 1);
    first->send(golden("version1_leave.frame"));
    scene.turn_until([&] { return scene.job().members()[0].state == MemberState::left; });

    const auto older = scene.peer(1);
    const auto ask = [&] { older->send(golden("version0_join.frame")); };
    ask();
    CHECK(scene.told<Refusal>(*older, ask).error == Error{Code::wire_version_unknown, 0, oldest_wire_version});
    older->send(golden("version0_heartbeat.frame"));
    CHECK(scene.told<Refusal>(*older).error == Error{Code::wire_version_unknown, 0, oldest_wire_version});
    CHECK(scene.refused(Code::wire_version_unknown, 2));
}

// SPDX-License-Identifier: Apache-2.0
#include "zeromq_fixtures.hpp"

#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// A coordinator with one honest node, which must never notice what others do.
struct Scene {
    KeyPair server_keys = KeyPair::make().value(), honest_keys = KeyPair::make().value();
    TestServer server;
    std::optional<TestNode> honest;
    std::int64_t beats = 0;

    explicit Scene(ServerLinkSettings settings = server_settings({})) : server(with_keys(settings)) {
        server.link.admit(honest_keys.public_key());
        honest.emplace(node(honest_keys));
        REQUIRE(until([&] { return honest->ups == 1; }, *honest, server));
        REQUIRE(honest_is_well());
    }
    ServerLinkSettings with_keys(ServerLinkSettings settings) const {
        settings.keys = server_keys;
        return settings;
    }
    NodeLinkSettings node(const KeyPair& keys) const {
        return node_settings(server.link.endpoint(), server_keys.public_key(), keys);
    }
    /// Its message arrives, an answer comes back, and it is still the first connection.
    bool honest_is_well() {
        const int before = server.count(honest_keys.public_key());
        const std::size_t answers = honest->messages.size();
        return honest->link.send(heartbeat(++beats)) &&
               until([&] { return server.count(honest_keys.public_key()) == before + 1; }, *honest, server) &&
               server.link.send(honest_keys.public_key(), heartbeat(beats)) &&
               until([&] { return honest->messages.size() == answers + 1; }, *honest, server) && honest->downs == 0;
    }
    std::string port() const { return server.link.endpoint().substr(server.link.endpoint().rfind(':') + 1); }
};

/// A peer that speaks ZeroMQ but not Dunlin's way of it.
class RawDealer {
public:
    RawDealer(const Scene& scene, const KeyPair* keys, std::string_view routing_id = {})
        : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
        const int zero = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &zero, sizeof zero);
        if (keys != nullptr) {
            zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, scene.server_keys.public_key().data(), 32);
            zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, keys->public_key().data(), 32);
            zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, keys->secret_key().data(), 32);
        }
        if (!routing_id.empty()) zmq_setsockopt(socket_, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
        zmq_connect(socket_, scene.server.link.endpoint().c_str());
    }
    ~RawDealer() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    void send(std::span<const std::byte> bytes, int flags = 0) {
        zmq_send(socket_, bytes.data(), bytes.size(), flags);
    }
    bool received() {
        char byte = 0;
        return zmq_recv(socket_, &byte, 1, ZMQ_DONTWAIT) >= 0;
    }

private:
    void *context_, *socket_;
};

/// A peer that speaks TCP only.
class Tcp {
public:
    explicit Tcp(const Scene& scene) : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(scene.port())));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        fcntl(descriptor_, F_SETFL, O_NONBLOCK);
    }
    ~Tcp() { close(descriptor_); }
    Tcp(const Tcp&) = delete;
    bool connected() const { return connected_; }
    void say(std::string_view bytes) {
        connected_ = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0 && connected_;
    }
    /// The other side ended it.
    bool ended() {
        char bytes[4096];
        ssize_t got = 1;
        while (got > 0) got = recv(descriptor_, bytes, sizeof bytes, 0);
        return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    }

private:
    int descriptor_;
    bool connected_ = false;
};

const std::string_view greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 33);

}  // namespace

TEST_CASE("an unknown key gets no connection, learns why, and is let in once it is admitted") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    TestNode stranger(scene.node(keys));
    REQUIRE(until([&] { return stranger.downs >= 3; }, stranger, scene.server, *scene.honest));
    CHECK(stranger.ups == 0);
    CHECK(stranger.last_reason.code == Code::not_admitted);
    CHECK(scene.server.link.counters().keys_refused >= 3);
    CHECK(scene.server.count(keys.public_key()) == 0);
    CHECK(scene.honest_is_well());
    scene.server.link.admit(keys.public_key());
    REQUIRE(until([&] { return stranger.ups == 1; }, stranger, scene.server));
}

TEST_CASE("a revoked key is cut off at once and does not come back") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    scene.server.link.admit(keys.public_key());
    TestNode node(scene.node(keys));
    REQUIRE(until([&] { return node.ups == 1; }, node, scene.server));
    REQUIRE(node.link.send(heartbeat(1)));
    REQUIRE(until([&] { return scene.server.count(keys.public_key()) == 1; }, node, scene.server));
    // What it sent just before is not heard any more either.
    for (int k = 0; k < 5; ++k) REQUIRE(node.link.send(heartbeat(2)));
    scene.server.link.revoke(keys.public_key());
    REQUIRE(until([&] { return node.downs >= 3; }, node, scene.server));
    CHECK(node.ups == 1);
    CHECK(node.last_reason.code == Code::not_admitted);
    CHECK(scene.server.count(keys.public_key()) == 1);
    CHECK(scene.server.link.send(keys.public_key(), heartbeat(1)).error().code == Code::not_connected);
    CHECK(scene.honest_is_well());
}

TEST_CASE("a coordinator with another key than expected is never spoken to") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    scene.server.link.admit(keys.public_key());
    NodeLinkSettings settings = scene.node(keys);
    settings.server_key = KeyPair::make().value().public_key();
    TestNode node(settings);
    REQUIRE(until([&] { return node.downs >= 2; }, node, scene.server));
    CHECK(node.ups == 0);
    CHECK(node.last_reason.code == Code::handshake_failed);
    CHECK(scene.server.link.counters().keys_refused == 0);
    CHECK(scene.server.link.counters().handshakes_failed >= 2);
    CHECK(scene.honest_is_well());
}

TEST_CASE("a node that names itself takes nobody's place, whatever name it chooses") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    scene.server.link.admit(keys.public_key());
    const std::vector<std::byte> bytes(32);
    std::string claim = "k";
    for (const std::byte byte : scene.honest_keys.public_key()) claim += static_cast<char>(byte);
    RawDealer first(scene, &keys, "board-1"), second(scene, &keys, "board-1"), third(scene, &keys, claim);
    for (RawDealer* dealer : {&first, &second, &third}) dealer->send(bytes);
    // An honest one with the same key shows that the others had the time to arrive.
    TestNode node(scene.node(keys));
    REQUIRE(until([&] { return node.ups == 1; }, node, scene.server));
    REQUIRE(node.link.send(heartbeat(1)));
    REQUIRE(until([&] { return scene.server.count(keys.public_key()) == 1; }, node, scene.server));
    for (int k = 0; k < 20; ++k) CHECK(scene.honest_is_well());
    for (const Incoming& incoming : scene.server.messages) CHECK(incoming.message);
    REQUIRE(scene.server.link.send(keys.public_key(), heartbeat(2)));
    REQUIRE(until([&] { return node.messages.size() == 1; }, node, scene.server));
    CHECK_FALSE((first.received() || second.received() || third.received()));
}

TEST_CASE("bytes that are no message are told from messages, and belong to their sender") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    scene.server.link.admit(keys.public_key());
    RawDealer raw(scene, &keys);
    std::vector<std::byte> bytes(100, std::byte{3});
    const Frame good = encode_frame(heartbeat(9)).value();
    const std::size_t before = scene.server.messages.size();
    raw.send({});
    raw.send(bytes);
    raw.send(good.bytes(), ZMQ_SNDMORE);  // two parts
    raw.send(good.bytes());
    raw.send(good.bytes());
    REQUIRE(until([&] { return scene.server.messages.size() == before + 4; }, scene.server));
    for (std::size_t k = before; k < before + 4; ++k) {
        CHECK(scene.server.messages[k].from == keys.public_key());
        CHECK(scene.server.messages[k].message.has_value() == (k == before + 3));
        if (k < before + 3) CHECK(scene.server.messages[k].message.error().code == Code::message_malformed);
    }
    CHECK(scene.server.link.counters().malformed == 3);
    CHECK(scene.honest_is_well());
}

TEST_CASE("a message beyond the limit costs its sender the connection, and nobody else anything") {
    ServerLinkSettings settings = server_settings({});
    settings.message_bytes = 100000;
    Scene scene(settings);
    const KeyPair keys = KeyPair::make().value();
    scene.server.link.admit(keys.public_key());
    TestNode node(scene.node(keys));
    REQUIRE(until([&] { return node.ups == 1; }, node, scene.server));
    const std::vector<float> fits(24900), exceeds(25100);
    REQUIRE(node.link.send({{}, Model{1, view_values(fits)}}));
    REQUIRE(until([&] { return scene.server.count(keys.public_key()) == 1; }, node, scene.server));
    REQUIRE(node.link.send({{}, Model{1, view_values(exceeds)}}));
    REQUIRE(until([&] { return node.ups == 2; }, node, scene.server));
    CHECK(scene.server.count(keys.public_key()) == 1);
    CHECK(scene.honest_is_well());
}

TEST_CASE("peers without keys, without patience or without sense disturb nobody and are gone in time") {
    Scene scene;
    const KeyPair keys = KeyPair::make().value();
    RawDealer plain(scene, nullptr);
    plain.send(encode_frame(heartbeat(1)).value().bytes());

    std::vector<std::unique_ptr<Tcp>> peers;
    for (int k = 0; k < 60; ++k) peers.push_back(std::make_unique<Tcp>(scene));
    for (std::size_t k = 0; k < peers.size(); ++k) {
        REQUIRE(peers[k]->connected());
        switch (k % 6) {
            case 0:  // says nothing
                break;
            case 1:
                peers[k]->say("GET / HTTP/1.1\r\nHost: dunlin\r\n\r\n");
                break;
            case 2:  // half a greeting
                peers[k]->say(greeting.substr(0, 10));
                break;
            case 3:  // a greeting, and then nothing
                peers[k]->say(greeting);
                peers[k]->say(std::string(31, '\0'));
                break;
            case 4:  // a first command of 2 GB
                peers[k]->say(greeting);
                peers[k]->say(std::string(31, '\0') + std::string("\x06\0\0\0\0\x80\0\0\0", 9) + "HELLO");
                break;
            case 5:
                peers[k]->say(std::string(100000, '\xff'));
                break;
        }
    }
    // One byte at a time, for ever.
    std::size_t dripped = 0;
    REQUIRE(until(
        [&] {
            peers[0]->say(greeting.substr(dripped % greeting.size(), 1));
            ++dripped;
            for (const auto& peer : peers) {
                if (!peer->ended()) return false;
            }
            return true;
        },
        scene.server, *scene.honest));
    CHECK(scene.honest_is_well());
    CHECK(scene.server.link.counters().handshakes_failed >= 40);
    CHECK(scene.server.messages.size() == static_cast<std::size_t>(scene.beats));
    CHECK_FALSE(plain.received());
}

TEST_CASE("an observer sees every message that crosses its link, and nothing else") {
    KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value();
    std::vector<std::string> at_server, at_node;
    const auto into = [](std::vector<std::string>& log) {
        return [&log](Direction direction, std::span<const std::byte> bytes) {
            const std::string way = direction == Direction::sent ? "sent " : "received ";
            log.push_back(way + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        };
    };
    ServerLinkSettings settings = server_settings(server_keys);
    settings.observer = into(at_server);
    TestServer server(settings);
    server.link.admit(keys.public_key());
    NodeLinkSettings mine = node_settings(server.link.endpoint(), server_keys.public_key(), keys);
    mine.observer = into(at_node);
    TestNode node(mine);
    REQUIRE(until([&] { return node.ups == 1; }, node, server));
    const std::vector<float> secret(7, 3.14159f);
    REQUIRE(node.link.send({{}, ModelUpdate{0, 0, 1.0f, view_values(secret)}}));
    REQUIRE(until([&] { return server.messages.size() == 1; }, node, server));
    REQUIRE(server.link.send(keys.public_key(), heartbeat(3)));
    REQUIRE(until([&] { return node.messages.size() == 1; }, node, server));
    REQUIRE(at_server.size() == 2);
    REQUIRE(at_node.size() == 2);
    CHECK(at_node[0].substr(0, 5) == "sent ");
    CHECK(at_node[0].substr(5) == at_server[0].substr(9));
    CHECK(at_server[1].substr(5) == at_node[1].substr(9));
    const std::string planted(reinterpret_cast<const char*>(secret.data()), 28);
    CHECK(at_server[0].find(planted) != std::string::npos);
}

TEST_CASE("IPv6 works where this machine has it") {
    ServerLinkSettings settings = server_settings(KeyPair::make().value());
    settings.endpoint = "tcp://[::1]:*";
    auto opened = ServerLink::open(settings);
    if (!opened) {
        WARN("no IPv6 here");
        return;
    }
    TestServer server(settings);
    const KeyPair keys = KeyPair::make().value();
    server.link.admit(keys.public_key());
    CHECK(is_loopback(server.link.endpoint()));
    TestNode node(node_settings(server.link.endpoint(), settings.keys.public_key(), keys));
    CHECK(until([&] { return node.ups == 1; }, node, server));
}

// SPDX-License-Identifier: Apache-2.0
// Shares, which go from member to member.
#include "zeromq_fixtures.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

Message share(std::uint32_t from, std::uint32_t to, std::int64_t tick, std::span<const Mass> values) {
    return {{1, from, 1, 0}, ShareMessage{1, from, to, tick, 1, values}};
}

}  // namespace

TEST_CASE("shares go straight to a member that can be reached and through the coordinator to others") {
    const KeyPair server_keys = KeyPair::make().value();
    TestServer server(server_settings(server_keys));
    const std::vector<KeyPair> keys = {KeyPair::make().value(), KeyPair::make().value(), KeyPair::make().value()};
    std::vector<std::unique_ptr<TestNode>> nodes;
    for (std::size_t k = 0; k < 3; ++k) {
        server.link.admit(keys[k].public_key());
        NodeLinkSettings settings = node_settings(server.link.endpoint(), server_keys.public_key(), keys[k]);
        if (k != 2) settings.listen = "tcp://127.0.0.1:*";  // member 2 sits behind a router
        nodes.push_back(std::make_unique<TestNode>(std::move(settings)));
    }
    const auto done = [&](const std::function<bool()>& condition) {
        return until(condition, server, *nodes[0], *nodes[1], *nodes[2]);
    };
    REQUIRE(done([&] { return nodes[0]->ups == 1 && nodes[1]->ups == 1 && nodes[2]->ups == 1; }));
    for (auto& node : nodes) REQUIRE(node->link.send(heartbeat(0)));
    REQUIRE(done([&] { return server.messages.size() == 3; }));
    std::vector<PeerAddress> peers;
    for (std::uint32_t k = 0; k < 3; ++k) peers.push_back({k, nodes[k]->link.listening(), keys[k].public_key()});
    for (auto& node : nodes) node->link.set_peers(peers);

    const std::vector<Mass> values(1000, 5);
    const auto relay = [&] {
        for (Incoming& incoming : server.messages) {
            if (!incoming.message) continue;
            const auto* found = std::get_if<ShareMessage>(&incoming.message->message().body);
            if (found == nullptr) continue;
            const PublicKey to = keys[found->to].public_key();
            (void)server.link.relay(to, std::move(*incoming.message));
        }
        server.messages.clear();
    };
    const auto newest = [](const TestNode& node, std::uint32_t from) {
        std::int64_t tick = -1;
        for (const DecodedMessage& message : node.messages) {
            const auto& body = std::get<ShareMessage>(message.message().body);
            if (body.from == from) tick = std::max(tick, body.tick);
        }
        return tick;
    };
    // The first share may take the coordinator's way while its sender still dials; in the end none does.
    std::int64_t tick = -1;
    const auto relayed = [&] { return server.link.counters().received; };
    std::uint64_t before = 0;
    REQUIRE(done([&] {
        relay();
        if (newest(*nodes[1], 0) < tick) return false;
        const bool direct = tick > 0 && relayed() == before;
        before = relayed();
        REQUIRE(nodes[0]->link.send_to_peer(share(0, 1, ++tick, values)));
        return direct;
    }));
    // Nobody reaches member 2, but it reaches others.
    REQUIRE(nodes[0]->link.send_to_peer(share(0, 2, 100, values)));
    REQUIRE(nodes[2]->link.send_to_peer(share(2, 1, 100, values)));
    REQUIRE(done([&] {
        relay();
        return newest(*nodes[2], 0) == 100 && newest(*nodes[1], 2) == 100;
    }));
    CHECK(relayed() > before);
    // A member that stops listening is reached through the coordinator again.
    const std::string was = nodes[1]->link.listening();
    NodeLinkSettings settings = node_settings(server.link.endpoint(), server_keys.public_key(), keys[1]);
    nodes[1] = std::make_unique<TestNode>(std::move(settings));
    REQUIRE(done([&] { return nodes[1]->ups == 1; }));
    REQUIRE(nodes[1]->link.send(heartbeat(0)));
    REQUIRE(done([&] {
        relay();
        if (newest(*nodes[1], 0) > 0) return true;
        (void)nodes[0]->link.send_to_peer(share(0, 1, ++tick, values));
        return false;
    }));
}

TEST_CASE("a share claims only to be of the member whose key brought it") {
    const KeyPair server_keys = KeyPair::make().value();
    TestServer server(server_settings(server_keys));
    const KeyPair first = KeyPair::make().value(), second = KeyPair::make().value();
    NodeLinkSettings settings = node_settings(server.link.endpoint(), server_keys.public_key(), first);
    settings.listen = "tcp://127.0.0.1:*";
    TestNode listener(std::move(settings));
    TestNode liar(node_settings(server.link.endpoint(), server_keys.public_key(), second));
    const PeerAddress one{0, listener.link.listening(), first.public_key()};
    const PeerAddress two{1, "", second.public_key()};
    liar.link.set_peers(std::span(&one, 1));
    listener.link.set_peers(std::span(&two, 1));
    const std::vector<Mass> values(10, 1);
    std::int64_t tick = 0;
    REQUIRE(until(
        [&] {
            (void)liar.link.send_to_peer(share(5, 0, ++tick, values));
            return listener.link.counters().malformed > 0;
        },
        listener, liar, server));
    CHECK(listener.messages.empty());
    REQUIRE(until(
        [&] {
            (void)liar.link.send_to_peer(share(1, 0, ++tick, values));
            return !listener.messages.empty();
        },
        listener, liar, server));
    // One that is no peer any more is cut off.
    listener.link.set_peers({});
    listener.messages.clear();
    REQUIRE(until(
        [&] {
            (void)liar.link.send_to_peer(share(1, 0, ++tick, values));
            return listener.link.counters().keys_refused > 0;
        },
        listener, liar, server));
    CHECK(listener.messages.empty());
}

TEST_CASE("a slow link never builds a queue of shares: the newest wins") {
    const KeyPair server_keys = KeyPair::make().value();
    ServerLinkSettings settings = server_settings(server_keys);
    TestServer server(settings);
    const KeyPair first = KeyPair::make().value(), second = KeyPair::make().value();
    server.link.admit(first.public_key());
    server.link.admit(second.public_key());
    const auto mine = [&](const KeyPair& keys) {
        return node_settings(server.link.endpoint(), server_keys.public_key(), keys);
    };
    NodeLinkSettings listening = mine(second);
    listening.listen = "tcp://127.0.0.1:*";
    TestNode sender(mine(first)), receiver(std::move(listening));
    REQUIRE(until([&] { return sender.ups == 1 && receiver.ups == 1; }, sender, receiver, server));
    REQUIRE(sender.link.send(heartbeat(0)));
    REQUIRE(receiver.link.send(heartbeat(0)));
    REQUIRE(until([&] { return server.messages.size() == 2; }, sender, receiver, server));
    const std::vector<Mass> values(200000, 3);  // 1.6 MB
    constexpr std::int64_t last = 400;

    SECTION("directly") {
        const PeerAddress peer{1, receiver.link.listening(), second.public_key()};
        const PeerAddress other{0, "", first.public_key()};
        sender.link.set_peers(std::span(&peer, 1));
        receiver.link.set_peers(std::span(&other, 1));
        std::int64_t tick = -1000;
        REQUIRE(until(
            [&] {
                (void)sender.link.send_to_peer(share(0, 1, ++tick, values));
                return !receiver.messages.empty();
            },
            sender, receiver, server));
        receiver.messages.clear();
        for (std::int64_t k = 0; k <= last; ++k) {
            REQUIRE(sender.link.send_to_peer(share(0, 1, k, values)));
            sender.pump();
        }
    }
    SECTION("through the coordinator, which reads") {
        for (std::int64_t k = 0; k <= last; ++k) {
            REQUIRE(sender.link.send_to_peer(share(0, 1, k, values)));
            sender.pump();
            server.pump();
            for (Incoming& incoming : server.messages) {
                if (std::holds_alternative<ShareMessage>(incoming.message->message().body))
                    CHECK(server.link.relay(second.public_key(), std::move(*incoming.message)));
            }
            server.messages.clear();
        }
    }
    const auto newest = [&] {
        return receiver.messages.empty() ? -1
                                         : std::get<ShareMessage>(receiver.messages.back().message().body).tick;
    };
    REQUIRE(until(
        [&] {
            for (Incoming& incoming : server.messages)
                (void)server.link.relay(second.public_key(), std::move(*incoming.message));
            server.messages.clear();
            return newest() == last;
        },
        sender, receiver, server));
    CHECK(receiver.messages.size() < 40);
    CHECK(sender.link.counters().replaced + server.link.counters().replaced > 300);
}

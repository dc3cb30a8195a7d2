// SPDX-License-Identifier: Apache-2.0
#include "zeromq_fixtures.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// A coordinator that admits one node.
struct Pair {
    KeyPair server_keys = KeyPair::make().value(), node_keys = KeyPair::make().value();
    std::optional<TestServer> server;
    std::optional<TestNode> node;

    explicit Pair(ServerLinkSettings settings = server_settings({}), std::optional<int> node_queue = {}) {
        settings.keys = server_keys;
        server.emplace(settings);
        server->link.admit(key());
        NodeLinkSettings mine = node_settings(server->link.endpoint(), server_keys.public_key(), node_keys);
        if (node_queue) mine.queue = *node_queue;
        node.emplace(std::move(mine));
    }
    const PublicKey& key() const { return node_keys.public_key(); }
    bool until(const std::function<bool()>& done) { return dunlin::testing::until(done, *server, *node); }
    /// Connected, with one message across so that the coordinator knows.
    bool join() {
        const int ups = node->ups;
        if (!node->link.up() && !until([&] { return node->ups > ups; })) return false;
        server->messages.clear();
        return node->link.send(heartbeat(0)) && until([&] { return server->count(key()) == 1; });
    }
};

}  // namespace

TEST_CASE("messages cross a link in both directions, in order and unchanged") {
    Pair pair;
    REQUIRE(pair.join());
    CHECK(pair.server->messages[0].first);
    std::vector<float> values(100000, 0.25f);
    const auto send = [&](auto attempt) { REQUIRE(pair.until([&] { return attempt().has_value(); })); };
    for (int k = 1; k <= 50; ++k) {
        send([&] { return pair.node->link.send({{7, 1, 1, 1}, ModelUpdate{0, 3, 1.0f, view_values(values)}}); });
        send([&] {
            return pair.server->link.send(pair.key(),
                                          {{}, Model{static_cast<std::uint64_t>(k), view_values(values)}});
        });
    }
    REQUIRE(pair.until([&] { return pair.node->messages.size() == 50 && pair.server->messages.size() == 51; }));
    for (std::size_t k = 0; k < 50; ++k) {
        const Model& model = std::get<Model>(pair.node->messages[k].message().body);
        CHECK(model.version == k + 1);
        CHECK(as_floats(model.values).size() == values.size());
        CHECK_FALSE(pair.server->messages[k + 1].first);
        const auto& update = std::get<ModelUpdate>(pair.server->messages[k + 1].message->message().body);
        CHECK(std::ranges::equal(as_floats(update.values), values));
    }
    CHECK(pair.server->link.counters().received == 51);
    CHECK(pair.node->link.counters().received == 50);
}

TEST_CASE("nobody answers before the connection, and a full queue says busy instead of waiting") {
    ServerLinkSettings settings = server_settings({});
    settings.queue = 2;
    Pair pair(settings, 2);
    CHECK(pair.node->link.send(heartbeat(1)).error().code == Code::not_connected);
    CHECK(pair.server->link.send(pair.key(), heartbeat(1)).error().code == Code::not_connected);
    REQUIRE(pair.join());
    const std::vector<float> values(1 << 20, 1.0f);
    const Message large{{}, Model{1, view_values(values)}};
    // The other side does not read: the system's buffers fill, then the queue.
    const auto fill = [&](auto send) {
        int sent = 0;
        for (int refused = 0; refused < 100 && sent < 1000;) {
            const Result<void> result = send();
            if (result) {
                ++sent;
            } else {
                CHECK(result.error() == Error{Code::busy, 2, 2});
                ++refused;
            }
        }
        return sent;
    };
    CHECK(fill([&] { return pair.server->link.send(pair.key(), large); }) < 40);
    CHECK(pair.server->link.counters().busy == 100);
    CHECK(fill([&] { return pair.node->link.send(large); }) < 40);
    // Once it reads again, there is room.
    CHECK(pair.until([&] { return pair.server->link.send(pair.key(), large).has_value(); }));
    CHECK(pair.until([&] { return pair.node->link.send(large).has_value(); }));
}

TEST_CASE("a node comes back by itself when the coordinator was restarted, and starts with nothing said") {
    Pair pair;
    REQUIRE(pair.join());
    const std::string endpoint = pair.server->link.endpoint();
    pair.server.reset();
    REQUIRE(until([&] { return pair.node->downs > 0; }, *pair.node));
    CHECK(pair.node->last_reason.code == Code::connection_lost);
    CHECK(pair.node->link.send(heartbeat(1)).error().code == Code::not_connected);
    REQUIRE(until([&] { return pair.node->downs > 3; }, *pair.node));
    CHECK(pair.node->last_reason.code == Code::unreachable);
    ServerLinkSettings settings = server_settings(pair.server_keys);
    settings.endpoint = endpoint;
    pair.server.emplace(settings);
    pair.server->link.admit(pair.key());
    REQUIRE(pair.until([&] { return pair.node->ups == 2; }));
    REQUIRE(pair.node->link.send(heartbeat(5)));
    REQUIRE(pair.until([&] { return !pair.server->messages.empty(); }));
    CHECK(tick_of(pair.server->messages[0].message->message()) == 5);
    CHECK(pair.server->messages[0].first);
}

TEST_CASE("a node that has several addresses of its coordinator tries the next where one does not answer") {
    const KeyPair server_keys = *KeyPair::make(), node_keys = *KeyPair::make();
    std::string nobody;
    {
        TestServer gone(server_settings(server_keys));
        nobody = gone.link.endpoint();
    }
    std::optional<TestServer> server(server_settings(server_keys));
    server->link.admit(node_keys.public_key());
    NodeLinkSettings settings = node_settings(nobody, server_keys.public_key(), node_keys);
    settings.others = {"tcp://127.0.0.1:1", server->link.endpoint()};
    TestNode node(settings);
    REQUIRE(until([&] { return node.ups == 1; }, node, *server));
    CHECK(node.downs == 2);

    settings.others = {"no-address"};
    CHECK(NodeLink::open(settings).error().code == Code::bad_endpoint);
}

TEST_CASE("a connection that the node or the coordinator gives up is replaced by a new one") {
    Pair pair;
    REQUIRE(pair.join());
    pair.node->link.redial();
    REQUIRE(pair.until([&] { return pair.node->ups == 2; }));
    REQUIRE(pair.join());
    CHECK(pair.server->messages[0].first);
    REQUIRE(pair.server->link.send(pair.key(), heartbeat(4)));
    REQUIRE(pair.until([&] { return pair.node->messages.size() == 1; }));

    pair.server->link.disconnect(pair.key());
    CHECK_FALSE(pair.server->link.connected(pair.key()));
    REQUIRE(pair.until([&] { return pair.node->ups == 3; }));
    REQUIRE(pair.join());
    CHECK(pair.server->link.connected(pair.key()));
}

TEST_CASE("the newest connection of a key takes the place of the one before") {
    Pair pair;
    REQUIRE(pair.join());
    TestNode twin(node_settings(pair.server->link.endpoint(), pair.server_keys.public_key(), pair.node_keys));
    REQUIRE(until([&] { return twin.ups == 1; }, twin, *pair.server));
    REQUIRE(twin.link.send(heartbeat(7)));
    REQUIRE(until([&] { return pair.server->count(pair.key()) == 2; }, twin, *pair.server));
    REQUIRE(pair.server->link.send(pair.key(), heartbeat(8)));
    REQUIRE(until([&] { return twin.messages.size() == 1; }, twin, *pair.server));
    // The first was cut off, and nothing for the second reached it.
    REQUIRE(pair.until([&] { return pair.node->downs == 1; }));
    CHECK(pair.node->messages.empty());
}

TEST_CASE("waiting ends when somebody calls, from another thread too") {
    Pair pair;
    REQUIRE(pair.join());
    // A minute each, if it does not.
    const auto waited = [](auto& link) {
        std::thread caller([&] { link.wake(); });
        const auto begin = std::chrono::steady_clock::now();
        link.poll(60000);
        caller.join();
        return std::chrono::steady_clock::now() - begin;
    };
    CHECK(waited(pair.server->link) < std::chrono::seconds(30));
    CHECK(waited(pair.node->link) < std::chrono::seconds(30));
}

TEST_CASE("plain text needs no keys, and is for this machine only") {
    for (const char* endpoint : {"tcp://127.0.0.1:1", "tcp://127.9.9.9:*", "tcp://[::1]:1", "tcp://localhost:1"})
        CHECK(is_loopback(endpoint));
    for (const char* endpoint :
         {"tcp://*:1", "tcp://0.0.0.0:1", "tcp://192.168.0.1:1", "tcp://127.example.org:1",
          "tcp://127.0.0.1.example.org:1", "tcp://[::]:1", "ipc:///x", "tcp://127.0.0.1", ""})
        CHECK_FALSE(is_loopback(endpoint));

    ServerLinkSettings settings = server_settings({});
    settings.insecure = true;
    settings.endpoint = "tcp://*:*";
    CHECK(ServerLink::open(settings).error().code == Code::not_loopback);
    settings.endpoint = "tcp://127.0.0.1:*";
    TestServer server(settings);
    const KeyPair keys = KeyPair::make().value();
    NodeLinkSettings mine = node_settings("tcp://192.0.2.1:7700", {}, keys);
    mine.insecure = true;
    CHECK(NodeLink::open(mine).error().code == Code::not_loopback);
    mine.endpoint = server.link.endpoint();
    TestNode node(mine);
    server.link.admit(keys.public_key());
    for (int round = 1; round <= 3; ++round) {
        REQUIRE(until([&] { return node.ups == round; }, node, server));
        REQUIRE(node.link.send(heartbeat(round)));
        REQUIRE(until([&] { return server.count(keys.public_key()) == round; }, node, server));
        REQUIRE(server.link.send(keys.public_key(), heartbeat(round)));
        REQUIRE(until([&] { return node.messages.size() == static_cast<std::size_t>(round); }, node, server));
        node.link.redial();
    }
}

TEST_CASE("addresses that are none are refused") {
    const KeyPair keys = KeyPair::make().value();
    for (const char* endpoint : {"", "laptop", "laptop:7700", "tcp://laptop", "tcp://:7700", "tcp://laptop:port",
                                 "ipc:///run/x:7", "tcp://laptop:777777"}) {
        ServerLinkSettings settings = server_settings(keys);
        settings.endpoint = endpoint;
        CHECK(ServerLink::open(settings).error().code == Code::bad_endpoint);
        CHECK(NodeLink::open(node_settings(endpoint, {}, keys)).error().code == Code::bad_endpoint);
    }
    TestServer first(server_settings(keys));
    ServerLinkSettings second = server_settings(keys);
    second.endpoint = first.link.endpoint();
    CHECK(ServerLink::open(second).error() == Error{Code::link_failed, EADDRINUSE, 0});
}

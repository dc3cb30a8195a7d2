// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/encoding.hpp"
#include "transport/zeromq/node_link.hpp"
#include "transport/zeromq/server_link.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dunlin::testing {

/// Quick enough for tests; lost connections are tried again at once.
inline LinkTiming quick() {
    LinkTiming timing;
    timing.handshake_ms = 400;
    return timing;
}

inline ServerLinkSettings server_settings(const KeyPair& keys) {
    ServerLinkSettings settings;
    settings.endpoint = "tcp://127.0.0.1:*";
    settings.keys = keys;
    settings.timing = quick();
    return settings;
}

inline NodeLinkSettings node_settings(const std::string& endpoint, const PublicKey& server, const KeyPair& keys) {
    NodeLinkSettings settings;
    settings.endpoint = endpoint;
    settings.server_key = server;
    settings.keys = keys;
    settings.first_backoff_ms = 10;
    settings.longest_backoff_ms = 80;
    settings.timing = quick();
    return settings;
}

/// A node and what it received.
struct TestNode {
    NodeLink link;
    std::vector<DecodedMessage> messages = {};
    int ups = 0, downs = 0;
    Error last_reason = {};

    explicit TestNode(NodeLinkSettings settings) : link(NodeLink::open(std::move(settings)).value()) {}

    void pump() {
        link.poll(0);
        Arrival arrival;
        while (link.receive(arrival)) {
            if (arrival.kind == Arrival::Kind::message) messages.push_back(std::move(arrival.message));
            if (arrival.kind == Arrival::Kind::up) ++ups;
            if (arrival.kind == Arrival::Kind::down) {
                ++downs;
                last_reason = arrival.reason;
            }
        }
    }
};

/// A coordinator and what it received.
struct TestServer {
    ServerLink link;
    std::vector<Incoming> messages = {};

    explicit TestServer(ServerLinkSettings settings) : link(ServerLink::open(std::move(settings)).value()) {}

    void pump() {
        link.poll(1);
        Incoming incoming;
        while (link.receive(incoming)) messages.push_back(std::move(incoming));
    }
    /// Messages of one key that could be read.
    int count(const PublicKey& key) const {
        int found = 0;
        for (const Incoming& incoming : messages) found += incoming.from == key && incoming.message ? 1 : 0;
        return found;
    }
};

/// Turns everything over until `done`; false if that takes too long.
template <class... Pumped>
bool until(const std::function<bool()>& done, Pumped&... pumped) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        (pumped.pump(), ...);
    }
    return true;
}

inline Message heartbeat(std::int64_t tick) {
    return {{}, Heartbeat{tick}};
}

inline std::int64_t tick_of(const Message& message) {
    const auto* beat = std::get_if<Heartbeat>(&message.body);
    return beat != nullptr ? beat->tick : -99;
}

}  // namespace dunlin::testing

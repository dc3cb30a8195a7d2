// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/fleet_server.hpp"

#include <chrono>

namespace dunlin {
namespace {

/// Messages of one round: all of them wait for one write to disk.
constexpr int most_messages = 512;
constexpr std::int64_t tick_ms = 100;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Outcome<std::unique_ptr<FleetServer>> FleetServer::open(const FleetServerSettings& settings, Journal& journal) {
    auto link = ServerLink::open(settings.link);
    if (!link) return problem(link.error(), settings.link.endpoint);
    std::unique_ptr<FleetServer> server(new FleetServer(*std::move(link)));
    auto opened = Coordinator::open(posix_file_system(), settings.directory, settings.store, settings.coordinator,
                                    *server, journal);
    if (!opened) return problem(opened.error(), settings.directory.string());
    server->coordinator_ = *std::move(opened);
    for (const RosterNode& node : server->coordinator_->state().roster().nodes()) {
        if (node.admitted) server->link_.admit(node.key);
    }
    return server;
}

Result<void> FleetServer::send(const PublicKey& to, const Message& message) {
    return link_.send(to, message);
}

/// A share is handed on while it is being received, so its bytes are still there.
Result<void> FleetServer::relay(const PublicKey& to, const Message&) {
    auto copy = decode_copy(incoming_.message->bytes());
    if (!copy) return tl::unexpected(copy.error());
    return link_.relay(to, *std::move(copy));
}

Outcome<void> FleetServer::turn(int timeout_ms) {
    link_.poll(timeout_ms);
    for (int taken = 0; taken < most_messages && link_.receive(incoming_); ++taken) {
        if (incoming_.first) coordinator_->disconnected(incoming_.from);
        if (incoming_.message) {
            coordinator_->receive(incoming_.from, incoming_.message->message(), now_ms());
        } else {
            coordinator_->malformed(incoming_.from, incoming_.message.error());
        }
    }
    const std::int64_t now = now_ms();
    if (now - ticked_ms_ >= tick_ms) {
        ticked_ms_ = now;
        coordinator_->tick(now);
    }
    if (!coordinator_->commit_due()) return {};
    const auto begin = std::chrono::steady_clock::now();
    const auto committed = coordinator_->commit(now_ms());
    commit_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!committed && coordinator_->broken()) {
        return problem(committed.error(), coordinator_->store().directory().string());
    }
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/fleet_server.hpp"

#include "fleet/coordinator/backup.hpp"

#include <algorithm>
#include <chrono>

namespace dunlin {
namespace {

/// Messages of one round: all of them wait for one write to disk.
constexpr int most_messages = 512;
constexpr std::int64_t tick_ms = 100;

/// The largest message that a node of these jobs has to say: of a job without a server all that it holds, and with
/// audit its steps too. A stranger can make the link hold no more.
std::size_t message_bytes(const FleetState& state) {
    constexpr std::size_t least = std::size_t{1} << 20, around = std::size_t{64} << 10;
    std::size_t most = least;
    for (const auto& [number, job] : state.jobs()) {
        const JobTerms& terms = job.plan().terms;
        const MaskPlan& masks = job.plan().server.masks;
        const std::size_t masked = masks.enabled() ? masks.terms.ring_bits / 8 : sizeof(float);
        const std::size_t each = !job.serverless() ? masked : terms.audit ? 2 * sizeof(Mass) : sizeof(Mass);
        most = std::max(most, around + each * terms.dimension);
    }
    return most;
}

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Outcome<std::unique_ptr<FleetServer>> FleetServer::open(const FleetServerSettings& settings, Journal& journal) {
    std::unique_ptr<FleetServer> server(new FleetServer(settings.link.message_bytes));
    StoreSettings store = settings.store;
    if (!store.aside) store.aside = std::make_shared<Background>([] {});
    auto opened =
        Coordinator::open(posix_file_system(), settings.directory, store, settings.coordinator, *server, journal);
    if (!opened) return refuse(opened.error(), settings.directory.string());
    server->coordinator_ = *std::move(opened);
    if (auto noticed = notice_copy(*server->coordinator_); !noticed)
        return refuse(noticed.error(), settings.directory.string());
    const FleetState& state = server->coordinator_->state();
    ServerLinkSettings listening = settings.link;
    listening.message_bytes = std::min(message_bytes(state), settings.link.message_bytes);
    server->jobs_seen_ = state.jobs().size();
    auto link = ServerLink::open(std::move(listening));
    if (!link) return refuse(link.error(), settings.link.endpoint);
    server->link_.emplace(*std::move(link));
    for (const RosterNode& node : state.roster().nodes()) {
        if (node.admitted) server->link_->admit(node.key);
    }
    return server;
}

/// A new job may need larger messages than the link takes.
Outcome<void> FleetServer::fit_messages() {
    const auto& jobs = coordinator_->state().jobs();
    if (jobs.size() == jobs_seen_) return {};
    jobs_seen_ = jobs.size();
    const std::size_t wanted = std::min(message_bytes(coordinator_->state()), most_message_bytes_);
    if (auto allowed = link_->allow(wanted); !allowed) return refuse(allowed.error(), link_->endpoint());
    return {};
}

Result<void> FleetServer::send(const PublicKey& to, const Message& message) {
    return link_->send(to, message);
}

/// A share is handed on while it is being received, so its bytes are still there.
Result<void> FleetServer::relay(const PublicKey& to, const Message&) {
    auto copy = decode_copy(incoming_.message->bytes());
    if (!copy) return tl::unexpected(copy.error());
    return link_->relay(to, *std::move(copy));
}

Outcome<void> FleetServer::turn(int timeout_ms) {
    link_->poll(timeout_ms);
    int taken = 0;
    for (; taken < most_messages && link_->receive(incoming_); ++taken) {
        if (incoming_.first) coordinator_->superseded(incoming_.from, now_ms());
        if (incoming_.message) {
            coordinator_->receive(incoming_.from, incoming_.message->message(), now_ms());
        } else {
            coordinator_->malformed(incoming_.from, incoming_.message.error());
        }
    }
    // What a node said last comes before its end.
    if (taken < most_messages) {
        for (const PublicKey& key : link_->take_broken()) coordinator_->disconnected(key);
    }
    const std::int64_t now = now_ms();
    if (now - ticked_ms_ >= tick_ms) {
        ticked_ms_ = now;
        coordinator_->tick(now);
    }
    if (auto fit = fit_messages(); !fit) return fit;
    if (!coordinator_->commit_due()) return {};
    const auto begin = std::chrono::steady_clock::now();
    const auto committed = coordinator_->commit(now_ms());
    commit_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!committed && coordinator_->broken()) {
        return refuse(committed.error(), coordinator_->store().directory().string());
    }
    return {};
}

}  // namespace dunlin

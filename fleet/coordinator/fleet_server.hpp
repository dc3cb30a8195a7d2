// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/coordinator.hpp"
#include "training/host/failure.hpp"
#include "transport/zeromq/server_link.hpp"

#include <memory>

namespace dunlin {

struct FleetServerSettings {
    std::filesystem::path directory;  ///< of the store
    ServerLinkSettings link;          ///< its messages are no larger than the jobs need, at most `message_bytes`
    CoordinatorSettings coordinator;
    StoreSettings store;
};

/// A coordinator on its link: one process's loop, a round at a time, so that whoever runs it can look and decide in
/// between.
class FleetServer final : private Outbox {
public:
    /// Opens the store, admits the roster's keys and listens. Errors: the store's; the link's. `journal` must live
    /// longer.
    static Outcome<std::unique_ptr<FleetServer>> open(const FleetServerSettings& settings, Journal& journal);

    /// Takes what has arrived (waiting for it at most `timeout_ms`), lets time pass and makes all of it durable in
    /// one write. Error: a store that only opening again can help; what was gathered was refused.
    Outcome<void> turn(int timeout_ms);

    Coordinator& coordinator() { return *coordinator_; }
    const Coordinator& coordinator() const { return *coordinator_; }
    ServerLink& link() { return *link_; }
    LinkCounters link_counters() const { return link_->counters(); }
    /// Time spent in making records durable, so far.
    double commit_seconds() const { return commit_seconds_; }

private:
    explicit FleetServer(std::size_t most_message_bytes) : most_message_bytes_(most_message_bytes) {}

    Outcome<void> fit_messages();

    Result<void> send(const PublicKey& to, const Message& message) override;
    Result<void> relay(const PublicKey& to, const Message& share) override;
    void silent(const PublicKey& key) override { link_->disconnect(key); }
    void revoked(const PublicKey& key) override { link_->revoke(key); }
    void admitted(const PublicKey& key) override { link_->admit(key); }

    std::size_t most_message_bytes_;
    std::size_t jobs_seen_ = 0;  ///< that the link takes messages of
    std::optional<ServerLink> link_;
    std::unique_ptr<Coordinator> coordinator_;
    Incoming incoming_;
    std::int64_t ticked_ms_ = 0;
    double commit_seconds_ = 0;
};

}  // namespace dunlin

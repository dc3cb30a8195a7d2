// SPDX-License-Identifier: Apache-2.0
// Who a node is that connects, and what it still has.
#include "fleet/coordinator/coordinator.hpp"

#include <algorithm>

namespace dunlin {

Result<std::uint32_t> Coordinator::recognise(const PublicKey& key, const Join& join) const {
    if (join.newest_version < oldest_wire_version || join.oldest_version > wire_version)
        return fail(Code::wire_version_unknown, join.newest_version, oldest_wire_version);
    const auto node = state_.roster().find(key);
    if (!node) return fail(Code::not_admitted);
    const auto named = state_.roster().find(join.name);
    if (named && *named != *node) return fail(Code::name_taken);
    return *node;
}

void Coordinator::joins(const PublicKey& key, const Message& message) {
    const Join& join = std::get<Join>(message.body);
    disconnected(key);
    const auto node = recognise(key, join);
    if (!node) {
        refuse(key, message, node.error());
        return;
    }
    ++counters_.joins;
    keys_[*node] = key;
    Connection& connection = connections_[key];
    connection = {.node = *node,
                  .version = std::min(join.newest_version, wire_version),
                  .joined_ms = now_ms_,
                  .heard_ms = now_ms_,
                  .software = std::string(join.software),
                  .endpoint = std::string(join.endpoint),
                  .memory_bytes = join.memory_bytes};
    for (const auto& [job, member] : memberships_[*node]) {
        session_of({state_.job(job), member}) = {};
        ++watches_[job].revision;
    }
    const std::uint32_t newest = state_.roster()[*node].incarnation;
    const std::uint32_t said = message.envelope.incarnation;
    const bool known = said != 0 && said == newest;
    // A state from before it was told its newest incarnation is of no use. A newer one is from before the store was
    // put back, and goes on.
    constexpr std::uint32_t most_ahead = 1u << 20;
    const bool ahead = said > newest && said - newest < most_ahead;
    const bool outdated = said != 0 && !known && !ahead;
    const Job* claimed = state_.job(message.envelope.job);
    const bool named = claimed != nullptr && means(connection, message.envelope, *claimed);
    resume_memberships(connection, outdated || !named ? 0 : message.envelope.job, join.epoch);
    if (connection.job == 0) {
        connection.stray_job = message.envelope.job;
        connection.stray_nonce = message.envelope.nonce;
    }
    connection.known = known;
    if (ahead) connection.next_incarnation = said;
    greet(key, connection);
}

/// The node has the state of `job`, if it is one, and lost that of every other that it had.
void Coordinator::resume_memberships(Connection& connection, std::uint64_t claimed, std::uint32_t epoch) {
    for (const auto& [number, member] : memberships_[connection.node]) {
        const Job& job = *state_.job(number);
        const JobMember& at = job.members()[member];
        const bool counts = at.state != MemberState::fenced && epoch >= at.sequence;
        const bool in_step = !job.serverless() || (counts && (epoch == job.epoch() || epoch == job.epoch_before()));
        if (number == claimed && in_step) {
            MemberSession& session = session_of({&job, member});
            session.joined = true;
            session.epoch = epoch;
            connection.job = number;
        } else {
            // Who was offered the job and nothing more has begun nothing, and begins now.
            const bool began = at.holds() && at.state != MemberState::offered;
            session_of({&job, member}).lost = job.serverless() && !job.ended() && began;
        }
    }
}

/// Welcome, once the node's incarnation is durable.
void Coordinator::greet(const PublicKey& key, Connection& connection) {
    if (!connection.known) {
        if (connection.greet_commit == counters_.commits + 1) return;
        const std::uint32_t next =
            std::max(connection.next_incarnation, state_.roster()[connection.node].incarnation + 1);
        if (gather(connection,
                   {.kind = RecordKind::node_incarnation, .node = connection.node, .incarnation = next}))
            connection.greet_commit = counters_.commits + 1;
        return;
    }
    connection.welcome = sent(key, 0,
                              Welcome{.version = connection.version,
                                      .node = connection.node,
                                      .incarnation = state_.roster()[connection.node].incarnation,
                                      .heartbeat_ms = settings_.heartbeat_ms});
    if (!connection.welcome) return;
    tell(connection.node);
}

}  // namespace dunlin

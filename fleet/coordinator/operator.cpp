// SPDX-License-Identifier: Apache-2.0
// What the operator asks for.
#include "fleet/coordinator/coordinator.hpp"
#include "transport/wire/limits.hpp"

#include <algorithm>

#include <unistd.h>

namespace dunlin {

std::uint64_t system_random() {
    std::uint64_t number = 0;
    // It fails for more than 256 bytes only, and on kernels of before 2014.
    if (getentropy(&number, sizeof number) != 0) std::abort();
    return number;
}

Result<const Job*> Coordinator::running(std::uint64_t number) const {
    const Job* job = state_.job(number);
    if (job == nullptr) return fail(Code::unknown_job, static_cast<std::int64_t>(number));
    if (job->ended()) return fail(Code::job_over, static_cast<std::int64_t>(number));
    return job;
}

Result<std::uint32_t> Coordinator::admit(const RosterNode& node) {
    if (node.name.empty() || node.name.size() > WireLimits::name_bytes)
        return fail(Code::message_too_long, static_cast<std::int64_t>(node.name.size()), WireLimits::name_bytes);
    if (!is_text(node.name, false) || !std::ranges::all_of(node.labels, [](const std::string& label) {
            return label.size() <= WireLimits::name_bytes && is_text(label, false);
        })) {
        return fail(Code::message_malformed, static_cast<std::int64_t>(node.name.size()));
    }
    const auto known = state_.roster().find(node.name), holder = state_.roster().find(node.key);
    if ((holder && holder != known) ||
        (known && state_.roster()[*known].admitted && state_.roster()[*known].key != node.key)) {
        return fail(Code::name_taken);
    }
    if (known && state_.roster()[*known].admitted && state_.roster()[*known].labels == node.labels) {
        outbox_.admitted(node.key);
        return *known;
    }
    if (!known && state_.roster().nodes().size() >= Roster::node_limit)
        return fail(Code::out_of_range, Roster::node_limit, Roster::node_limit);
    const std::vector<std::byte> payload = node_payload(node);
    if (auto done = record_now({.kind = RecordKind::node_admitted, .payload = payload}); !done)
        return tl::unexpected(done.error());
    outbox_.admitted(node.key);
    return *state_.roster().find(node.name);
}

Result<void> Coordinator::revoke(std::string_view name) {
    const auto node = state_.roster().find(name);
    if (!node || !state_.roster()[*node].admitted) return fail(Code::not_admitted);
    const PublicKey key = state_.roster()[*node].key;
    if (auto before = commit(now_ms_); !before) return before;
    for (const auto& [job, member] : memberships_[*node]) {
        const Job* known = state_.job(job);
        if (known->ended() || !known->members()[member].in()) continue;
        if (auto added = store_->add({.kind = RecordKind::member_gone, .node = member, .job = job}); !added)
            return added;
    }
    if (auto done = record_now({.kind = RecordKind::node_revoked, .node = *node}); !done) return done;
    disconnected(key);
    outbox_.revoked(key);
    return {};
}

Result<void> Coordinator::rotate(std::string_view name, const PublicKey& key) {
    const auto node = state_.roster().find(name);
    if (!node || !state_.roster()[*node].admitted) return fail(Code::not_admitted);
    if (state_.roster().find(key)) return fail(Code::name_taken);
    RosterNode changed = state_.roster()[*node];
    const PublicKey old = std::exchange(changed.key, key);
    const std::vector<std::byte> payload = node_payload(changed);
    if (auto done = record_now({.kind = RecordKind::node_rotated, .node = *node, .payload = payload}); !done)
        return done;
    disconnected(old);
    outbox_.revoked(old);
    outbox_.admitted(key);
    return {};
}

Result<std::uint64_t> Coordinator::create_job(const JobPlan& plan, const JobRequest& request) {
    if (const Job* same = state_.job_with_token(request.token)) return same->number();
    if (state_.jobs().size() >= FleetState::job_limit)
        return fail(Code::out_of_range, FleetState::job_limit, FleetState::job_limit);
    std::vector<std::uint32_t> nodes = request.nodes;
    std::ranges::sort(nodes);
    if (std::ranges::adjacent_find(nodes) != nodes.end()) return fail(Code::bad_participants);
    for (const std::uint32_t node : nodes) {
        if (node >= state_.roster().nodes().size() || !state_.roster()[node].admitted)
            return fail(Code::not_admitted);
    }
    // What is gathered may be a roll-out that begins a job, too.
    if (auto before = commit(now_ms_); !before) return tl::unexpected(before.error());
    const std::uint64_t number = state_.next_job();
    // What could not be made cannot be stored.
    if (auto made = Job::make(number, plan, request); !made) return tl::unexpected(made.error());
    JobRequest named = request;
    named.nonce = std::max<std::uint64_t>(settings_.random_number(), 1);
    const std::vector<std::byte> payload = job_payload(plan, named);
    if (auto done = record_now({.kind = RecordKind::job_created, .job = number, .payload = payload}); !done)
        return tl::unexpected(done.error());
    return number;
}

Result<void> Coordinator::pause(std::uint64_t number, bool paused) {
    if (auto job = running(number); !job) return tl::unexpected(job.error());
    return record_now({.kind = paused ? RecordKind::job_paused : RecordKind::job_resumed, .job = number});
}

Result<void> Coordinator::stop(std::uint64_t number, bool now) {
    const auto job = running(number);
    if (!job) return tl::unexpected(job.error());
    const bool gathers = (*job)->serverless() && !now;
    return record_now({.kind = gathers ? RecordKind::job_ending : RecordKind::job_ended,
                       .job = number,
                       .detail = static_cast<std::uint16_t>(JobEndReason::stopped)});
}

Result<std::uint32_t> Coordinator::add_member(std::uint64_t number, const AddedMember& added) {
    const auto job = running(number);
    if (!job) return tl::unexpected(job.error());
    if ((*job)->ending()) return fail(Code::job_over, static_cast<std::int64_t>(number));
    if (added.node >= state_.roster().nodes().size() || !state_.roster()[added.node].admitted)
        return fail(Code::not_admitted);
    const auto& members = (*job)->members();
    const auto known = std::ranges::find(members, added.node, &JobMember::node);
    const auto member = static_cast<std::uint32_t>(known - members.begin());
    if (known != members.end() && known->in()) return fail(Code::bad_participants, member);
    if (member >= Job::member_limit) return fail(Code::out_of_range, member, Job::member_limit);
    if (known != members.end() && !(*job)->serverless()) {
        // Its updates count from 1 again, and must not be taken for those of before.
        for (const auto& [other, place] : memberships_[added.node]) {
            const Job* running = state_.job(other);
            if (other != number && !running->ended() && running->members()[place].in())
                return fail(Code::busy, 1, 1);
        }
        const std::uint32_t next = state_.roster()[added.node].incarnation + 1;
        if (auto done = record_now({.kind = RecordKind::node_incarnation, .node = added.node, .incarnation = next});
            !done)
            return tl::unexpected(done.error());
    }
    Saver payload;
    payload(added);
    if (auto done = record_now(
            {.kind = RecordKind::member_added, .node = member, .job = number, .payload = payload.bytes()});
        !done)
        return tl::unexpected(done.error());
    return member;
}

Result<void> Coordinator::remove_member(std::uint64_t number, std::uint32_t member, bool now) {
    const auto job = running(number);
    if (!job) return tl::unexpected(job.error());
    if (member >= (*job)->members().size() || !(*job)->members()[member].in())
        return fail(Code::not_a_participant, member);
    const bool hands_on = !now && (*job)->serverless();
    return record_now(
        {.kind = hands_on ? RecordKind::member_leaving : RecordKind::member_gone, .node = member, .job = number});
}

Result<void> Coordinator::archive_job(std::uint64_t number, bool archived) {
    const Job* job = state_.job(number);
    if (job == nullptr) return fail(Code::unknown_job, static_cast<std::int64_t>(number));
    if (!job->ended()) return fail(Code::busy, 1, 1);
    return record_now({.kind = RecordKind::job_archived, .job = number, .detail = archived});
}

Result<void> Coordinator::delete_job(std::uint64_t number) {
    const Job* job = state_.job(number);
    if (job == nullptr) return fail(Code::unknown_job, static_cast<std::int64_t>(number));
    if (!job->ended() || state_.rollouts().of_job(number) != 0) return fail(Code::busy, 1, 1);
    const std::uint64_t nonce = job->nonce();
    const std::vector<std::uint32_t> nodes = job->request().nodes;
    if (auto done = record_now({.kind = RecordKind::job_deleted, .job = number}); !done) return done;
    // Who still says its last word of it is to forget it, too.
    for (const std::uint32_t node : nodes) {
        const auto key = keys_.find(node);
        if (key == keys_.end()) continue;
        Connection& connection = connections_[key->second];
        if ((connection.job != 0 && connection.job != number) || connection.stray_job != 0) continue;
        connection.job = 0;
        connection.stray_job = number;
        connection.stray_nonce = nonce;
        connection.stray_told = false;
    }
    return {};
}

Result<void> Coordinator::came_from_a_copy() {
    // More than epochs went by elsewhere, and not the same after each copy.
    const std::uint64_t skip = (1u << 16) + settings_.random_number() % (1u << 20);
    return record_now({.kind = RecordKind::store_copied, .sequence = state_.next_job(), .base_version = skip});
}

}  // namespace dunlin

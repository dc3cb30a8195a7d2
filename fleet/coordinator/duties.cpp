// SPDX-License-Identifier: Apache-2.0
// What a coordinator has to do and to tell, as a function of what is durable and of who is there.
#include "fleet/coordinator/coordinator.hpp"
#include "transport/encoding.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {

bool Coordinator::sent(const PublicKey& key, const Envelope& envelope, const MessageBody& body) {
    const Result<void> done = outbox_.send(key, {envelope, body});
    return done.has_value();
}

bool Coordinator::sent(const PublicKey& key, std::uint64_t number, const MessageBody& body) {
    const Job* job = state_.job(number);
    return sent(key, Envelope{number, coordinator_number, 0, 0, job != nullptr ? job->nonce() : 0}, body);
}

MemberSession& Coordinator::session_of(const Membership& at) {
    Sessions& sessions = sessions_[at.job->number()];
    sessions.resize(at.job->members().size());
    return sessions[at.member];
}

bool Coordinator::reachable(std::uint32_t node) const {
    const Connection* found = connection(node);
    return found != nullptr && found->welcome && !found->suspect;
}

void Coordinator::index_job(const Job& job) {
    for (std::uint32_t member = 0; member < job.members().size(); ++member)
        memberships_[job.members()[member].node].emplace_back(job.number(), member);
    Watch& watch = watches_[job.number()];
    watch.since_ms = watch.round_ms = now_ms_;
    watch.elapsed_ms = watch.stored_ms = job.elapsed_ms();
}

// commits

void Coordinator::record(RecordKind kind, std::uint64_t job, std::uint32_t node, std::uint16_t detail) {
    // Where there is no room now, whatever led here will again.
    (void)store_->add({.kind = kind, .node = node, .job = job, .detail = detail});
}

Result<void> Coordinator::commit(std::int64_t now_ms) {
    now_ms_ = now_ms;
    Result<void> result;
    // What was applied may ask for more; the last of it waits for the next commit.
    for (int pass = 0; pass < 4 && store_->gathered(); ++pass) {
        const std::vector<WaitingUpdate> waiting = std::exchange(waiting_updates_, {});
        gathered_.clear();
        for (auto& [number, watch] : watches_) watch.due = false;
        const std::uint64_t before = store_->newest();
        result = store_->commit([this](const Record& record) {
            const Result<JobChange> change = state_.apply(record);
            if (change)
                applied(record, *change);
            else  // what is gathered was looked at before
                ++counters_.refused[change.error().code];
        });
        ++counters_.commits;
        counters_.records += store_->newest() - before;
        for (const auto& [at, sequence] : waiting) {
            session_of(at).waiting_sequence = 0;
            const auto key = keys_.find(at.job->members()[at.member].node);
            if (key == keys_.end()) continue;
            if (result) {
                // Only now: of several updates of one member the last is answered by a model.
                tell(connections_[key->second], at);
                continue;
            }
            ++counters_.refused[Code::not_durable];
            acknowledge(key->second, at.job->number(), sequence, {Reception::refused, result.error(), 0});
        }
        if (!result) {
            ++counters_.commit_failures;
            break;
        }
        for (const std::uint64_t job : std::exchange(dirty_jobs_, {})) tell_all(*state_.job(job));
    }
    for (const std::uint64_t job : std::exchange(dirty_jobs_, {})) tell_all(*state_.job(job));
    if (result && !store_->gathered() && snapshot_due() && now_ms_ >= snapshot_after_ms_) {
        const auto begun = store_->begin_snapshot(state_, [this] { return journal_.keep(); });
        if (!begun) count_snapshot(begun);
        updates_since_ms_ = MemberSession::never;
        updates_over_ = false;
    }
    if (const auto done = store_->finish_snapshot()) count_snapshot(*done);
    return result;
}

/// Because of the log's size, or for the updates in it, which are in the model.
bool Coordinator::snapshot_due() const {
    if (store_->snapshot_due()) return true;
    const bool holds = updates_since_ms_ != MemberSession::never && !store_->drafting();
    return holds && (updates_over_ || now_ms_ - updates_since_ms_ >= settings_.retention_ms);
}

void Coordinator::note_updates(const Job& job) {
    if (updates_since_ms_ == MemberSession::never) updates_since_ms_ = now_ms_;
    updates_over_ = updates_over_ || job.ended();
}

Result<void> Coordinator::snapshot() {
    auto done = store_->snapshot(state_, [this] { return journal_.keep(); });
    count_snapshot(done);
    return done;
}

void Coordinator::count_snapshot(const Result<void>& done) {
    ++(done ? counters_.snapshots : counters_.snapshot_failures);
    snapshot_failure_ = done ? std::nullopt : std::optional(done.error());
    if (done) return;
    snapshot_after_ms_ = now_ms_ + settings_.snapshot_retry_ms;
    updates_since_ms_ = now_ms_ - settings_.retention_ms;  // they are still there
}

Result<void> Coordinator::record_now(const Record& record) {
    // Its own commit: its fate must not hang on anything else's.
    if (auto before = commit(now_ms_); !before) return before;
    const std::uint64_t number = store_->next();
    if (auto added = store_->add(record); !added) return added;
    auto done = commit(now_ms_);
    // Nor on what follows from it.
    if (store_->newest() >= number) return {};
    return done;
}

/// A record is durable and applied: who waits for it is answered.
void Coordinator::applied(const Record& record, const JobChange& change) {
    if (record.kind == RecordKind::node_incarnation) {
        const auto key = keys_.find(record.node);
        if (key == keys_.end()) return;
        Connection& connection = connections_[key->second];
        connection.known = true;
        greet(key->second, connection);
        return;
    }
    if (record.kind == RecordKind::job_deleted) {
        mask_runs_.erase(record.job);
        return forget_job(record.job);
    }
    const Job* job = state_.job(record.job);
    if (job == nullptr) return;
    if (record.kind == RecordKind::job_created || record.kind == RecordKind::rollout_started) index_job(*job);
    if (record.kind == RecordKind::rollout_back && record.base_version != 0 &&
        state_.job(record.base_version) != nullptr) {
        index_job(*state_.job(record.base_version));
        dirty_jobs_.insert(record.base_version);
    }
    if (record.kind == RecordKind::member_fenced) void_state({job, record.node});
    if (record.kind == RecordKind::member_added && record.node < job->members().size()) {
        auto& all = memberships_[job->members()[record.node].node];
        const std::pair place{record.job, record.node};
        if (std::ranges::find(all, place) == all.end()) all.push_back(place);
        session_of({job, record.node}) = {};
        ++watches_[record.job].revision;
    }
    if (change.ended || record.kind == RecordKind::job_paused) store_time(*job);
    if (change.verdict || (change.ended && updates_since_ms_ != MemberSession::never)) note_updates(*job);
    if (record.kind == RecordKind::round_begun) watches_[record.job].round_ms = now_ms_;
    if (job->plan().server.masks.enabled() && !job->serverless()) {
        if (job->ended() || !job->server()->round_running()) mask_runs_.erase(record.job);
        if (record.kind == RecordKind::round_begun && !job->ended() && job->server()->round_running())
            begin_masks(*job);
        summed(*job, change.summed);
    }
    if (change.ledger) {
        find_components(*job);
        for (MemberSession& session : sessions_[record.job]) {
            session.frozen.reset();
            session.offered_ms = session.freeze_ms = session.request_ms = MemberSession::never;
            session.closed.clear();
        }
        ++watches_[record.job].revision;
    }
    if (!change.verdict) {
        if (record.kind == RecordKind::report && record.detail != 0) report_is_kept({job, record.node});
        dirty_jobs_.insert(record.job);
        return;
    }
    const bool refused = change.verdict->outcome == Reception::refused;
    if (refused)
        ++counters_.refused[change.verdict->refusal.code];
    else
        ++counters_.applied;
    if (job->ended() || (job->server()->rounds() && !job->server()->round_running()))
        dirty_jobs_.insert(record.job);
    const auto key = keys_.find(job->members()[record.node].node);
    if (key == keys_.end()) return;
    const Membership at{job, record.node};
    if (!refused && job->server() != nullptr && job->server()->rounds()) {
        Watch& watch = watches_[record.job];
        watch.took_ms[record.node] = now_ms_ - watch.round_ms;
        watch.missed.erase(record.node);
    }
    acknowledge(key->second, record.job, record.sequence, *change.verdict);
    session_of(at).model_due |= !refused;
}

/// A member that was fenced while its connection lasted is to forget what it has before it is offered the job anew.
void Coordinator::void_state(const Membership& at) {
    MemberSession& session = session_of(at);
    const auto key = keys_.find(at.job->members()[at.member].node);
    if (key != keys_.end()) {
        Connection& connection = connections_[key->second];
        // Where there is no room for it now, only a new connection keeps the order.
        if (connection.welcome && connection.job == at.job->number() &&
            !sent(key->second, at.job->number(), JobEnd{JobEndReason::removed}))
            outbox_.silent(key->second);
        if (connection.job == at.job->number()) connection.job = 0;
    }
    session = {};
}

// what members are told

void Coordinator::tell(std::uint32_t node) {
    const auto key = keys_.find(node);
    if (key == keys_.end()) return;
    Connection& connection = connections_[key->second];
    if (!connection.welcome) {
        greet(key->second, connection);
        return;
    }
    tell_stray(key->second, connection);
    for (const auto& [job, member] : memberships_[node]) tell(connection, {state_.job(job), member});
}

/// It goes on with something that nobody counts on any more.
void Coordinator::tell_stray(const PublicKey& key, Connection& connection) {
    if (connection.stray_job == 0 || connection.stray_told) return;
    const Envelope named{connection.stray_job, coordinator_number, 0, 0, connection.stray_nonce};
    connection.stray_told = sent(key, named, JobEnd{JobEndReason::removed});
}

void Coordinator::tell_all(const Job& job) {
    if (job.serverless() && !job.ended()) find_components(job);
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        const auto key = keys_.find(job.members()[member].node);
        if (key != keys_.end()) tell(connections_[key->second], {&job, member});
    }
}

void Coordinator::tell(Connection& connection, const Membership& at) {
    if (!connection.welcome) return;
    const Job& job = *at.job;
    const PublicKey& key = keys_[connection.node];
    MemberSession& session = session_of(at);
    const JobMember& member = job.members()[at.member];
    const bool handed_out = job.request().push && (member.reported || (session.joined && session.has_model));
    if (!member.in() || job.ended() || handed_out) {
        if (session.joined && !session.ended) {
            const JobEndReason reason = job.ended()  ? *job.ended()
                                        : handed_out ? JobEndReason::finished
                                                     : JobEndReason::removed;
            session.ended = sent(key, job.number(), JobEnd{reason});
        }
        if (session.ended) tell_model(key, at, session);
        return;
    }
    if (session.lost && member.holds()) {
        change(at, session,
               member.state == MemberState::leaving ? RecordKind::member_gone : RecordKind::member_lost);
        return;
    }
    session.lost = false;
    if (member.state == MemberState::lost) return;
    if (member.state == MemberState::fenced) {
        // It is back. At the end of a job there is nothing left to begin.
        if (!job.ending() && connection.job == 0 && reachable(connection.node) && now_ms_ >= session.busy_until_ms)
            change(at, session, RecordKind::member_lost);
        return;
    }
    if (!session.joined && !state_.rollouts().released(job.number(), at.member)) return;
    if (!session.joined || (job.serverless() && session.epoch != job.epoch())) {
        offer(connection, key, at, session);
    }
    if (!session.joined) return;
    const bool in_step = !job.serverless() || session.epoch == job.epoch();
    if (member.state == MemberState::offered && in_step) change(at, session, RecordKind::member_accepted);
    if (session.paused != job.paused() && sent(key, job.number(), JobPause{job.paused()}))
        session.paused = job.paused();
    tell_model(key, at, session);
    if (!job.serverless() || !in_step) return;
    tell_neighbours(key, at, session);
    if (job.closing()) tell_closing(key, at, session);
}

/// Gathers a record about a member's state, once for every commit until it is durable.
void Coordinator::change(const Membership& at, MemberSession& session, RecordKind kind) {
    if (session.state_commit == counters_.commits + 1) return;
    session.state_commit = counters_.commits + 1;
    record(kind, at.job->number(), at.member);
}

void Coordinator::tell_model(const PublicKey& key, const Membership& at, MemberSession& session) {
    const Job& job = *at.job;
    if (!session.model_due || (job.paused() && !job.ended() && !job.closing())) return;
    const bool rounds = job.server() != nullptr && job.server()->rounds();
    if (rounds && !job.awaited(at.member)) return;
    // Before it is written down that a member takes part it has nothing that could be lost.
    const MemberState state = job.members()[at.member].state;
    const bool certain = state == MemberState::active || state == MemberState::leaving;
    if (job.serverless() && !job.ended() && !certain) return;
    if (!sent(key, job.number(),
              Model{job.version(), view_values(job.server() != nullptr ? job.server()->download() : job.model())}))
        return;
    session.model_due = false;
    session.has_model = true;
    if (job.request().push && !session.ended)
        session.ended = sent(key, job.number(), JobEnd{job.ended().value_or(JobEndReason::finished)});
}

/// Does this member take and give shares, as far as is known?
bool Coordinator::exchanges(const Job& job, std::uint32_t member) const {
    const JobMember& at = job.members()[member];
    return reachable(at.node) && at.holds() && at.state != MemberState::offered;
}

/// Mass that leaves a member and has no way back to it is mass that it loses: a member gives to those alone who can
/// reach it, among the living.
void Coordinator::find_components(const Job& job) {
    std::vector<std::uint8_t> living(job.members().size());
    for (std::uint32_t member = 0; member < living.size(); ++member) living[member] = exchanges(job, member);
    watches_[job.number()].components = strong_components(job.book()->graph(), living);
}

void Coordinator::tell_neighbours(const PublicKey& key, const Membership& at, MemberSession& session) {
    const Job& job = *at.job;
    const Graph& graph = job.book()->graph();
    const auto out = graph.out(at.member);
    session.closed.resize(out.size(), 2);  // neither
    // A node may greet before time has passed here, and members may have been added since it last did.
    const std::vector<std::uint32_t>& components = watches_[job.number()].components;
    if (components.size() != job.members().size()) find_components(job);
    for (std::size_t k = 0; k < out.size(); ++k) {
        // What is sent to someone who has not begun would be lost, and what comes back from nowhere runs out.
        // At an epoch's end nobody gives anything, and everybody is to hear everybody's last word.
        const bool one_way = !job.closing() && components[out[k]] != components[at.member];
        const bool away = !exchanges(job, out[k]) || one_way;
        if (session.closed[k] == away) continue;
        const Connection* to = connection(job.members()[out[k]].node);
        const bool confirms = to != nullptr && std::min(to->version, connections_[key].version) >= 2;
        if (sent(key, job.number(), Presence{out[k], !away, confirms})) session.closed[k] = away;
    }
    const std::uint32_t revision = watches_[job.number()].revision;
    if (session.peers_told == revision) return;
    std::vector<PeerAddress> peers;
    bool any = !connections_[key].endpoint.empty();
    for (const auto& neighbours : {graph.in(at.member), out}) {
        for (const std::uint32_t other : neighbours) {
            const auto found = keys_.find(job.members()[other].node);
            if (found == keys_.end()) continue;
            if (std::ranges::any_of(peers, [other](const PeerAddress& peer) { return peer.member == other; }))
                continue;
            const std::string& endpoint = connections_[found->second].endpoint;
            any = any || !endpoint.empty();
            peers.push_back({other, endpoint, found->second});
        }
    }
    if (!any || sent(key, job.number(), Peers{peers})) session.peers_told = revision;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What the passing of time asks for, and the end of an epoch.
#include "fleet/coordinator/coordinator.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {

/// The tick of the last share that a member sent, if it is known.
std::optional<std::int64_t> Coordinator::last_tick(const Job& job, std::uint32_t member) const {
    const MassStatement& statement = job.book()->statement(member);
    if (statement.given()) return statement.tick;
    const MemberSession* said = session(job.number(), member);
    return said != nullptr && said->frozen ? std::optional(said->frozen->first) : std::nullopt;
}

/// Has some neighbour not heard a member's last share, as far as is known? Only of mass that matters.
bool Coordinator::unheard(const Job& job, std::uint32_t member) const {
    if (says_floats(job.plan().terms.aggregation)) return false;
    const Graph& graph = job.book()->graph();
    const auto last = last_tick(job, member);
    return std::ranges::any_of(graph.out(member), [&](std::uint32_t to) {
        if (!job.members()[to].holds() || job.book()->statement(to).given()) return false;
        const MemberSession* said = session(job.number(), to);
        if (!last || said == nullptr || !said->frozen) return true;
        const auto in = graph.in(to);
        return said->frozen->second[static_cast<std::size_t>(std::ranges::find(in, member) - in.begin())] != *last;
    });
}

/// As long as the settings say, or as statements of this size take on a serial line.
std::int64_t Coordinator::closing_limit_ms(const Job& job) const {
    constexpr std::int64_t line_bytes_ms = 4;
    const std::int64_t bytes = 2 * std::int64_t{sizeof(Mass)} * job.plan().terms.dimension;
    return std::max({std::int64_t{settings_.closing_ms}, 2 * job.regroup_ms(), bytes / line_bytes_ms});
}

/// Is nothing in flight between members that hold mass? Or waited for any longer: then the books say what is missing.
bool Coordinator::drained(const Job& job) const {
    const auto watch = watches_.find(job.number());
    if (watch != watches_.end() && watch->second.closing_ms > closing_limit_ms(job) / 2) return true;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        if (!job.members()[member].holds()) continue;
        if (!last_tick(job, member) || unheard(job, member)) return false;
    }
    return true;
}

void Coordinator::tell_closing(const PublicKey& key, const Membership& at, MemberSession& session) {
    const Job& job = *at.job;
    if (job.book()->statement(at.member).given()) return;
    if (drained(job) && session.frozen) {
        if (now_ms_ - session.request_ms >= settings_.retry_ms && sent(key, job.number(), MassRequest{job.epoch()}))
            session.request_ms = now_ms_;
    } else if (now_ms_ - session.freeze_ms >= settings_.retry_ms && (!session.frozen || unheard(job, at.member)) &&
               sent(key, job.number(), Freeze{job.epoch()})) {
        session.freeze_ms = now_ms_;
    }
}

// the passing of time

void Coordinator::tick(std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (opened_ms_ == MemberSession::never) {
        opened_ms_ = now_ms;
        // The log may hold updates of before this start.
        if (updates_since_ms_ == MemberSession::never) updates_since_ms_ = now_ms;
    }
    std::vector<PublicKey> silent;
    for (auto& [key, connection] : connections_) {
        const std::int64_t silence_ms = now_ms - connection.heard_ms;
        connection.suspect = silence_ms >= settings_.suspect_ms;
        if (silence_ms >= settings_.silence_ms) silent.push_back(key);
    }
    // What they say may be swallowed although they still hear, and then only a new connection helps.
    for (const PublicKey& key : silent) {
        outbox_.silent(key);
        disconnected(key);
    }
    for (const auto& [number, job] : state_.jobs()) {
        if (!job.ended()) tend(job);
    }
    tend_rollouts();
    if (now_ms - told_ms_ < settings_.retry_ms / 4) return;
    told_ms_ = now_ms;
    for (const auto& [node, key] : keys_) tell(node);
}

void Coordinator::tend(const Job& job) {
    const std::int64_t passed_ms = count_time(job);
    if (job.serverless()) hold_to_time(job, passed_ms);
    if (job.paused() && !job.closing()) {
        watches_[job.number()].away_ms.clear();
        return;
    }
    if (job.serverless())
        tend_push_sum(job, passed_ms);
    else if (job.server()->rounds())
        tend_rounds(job);
}

std::uint64_t Coordinator::elapsed_ms(const Job& job) const {
    const auto watch = watches_.find(job.number());
    return watch == watches_.end() ? job.elapsed_ms() : std::max(watch->second.elapsed_ms, job.elapsed_ms());
}

/// Answers the time that passed since it was last asked, also where the job is paused.
std::int64_t Coordinator::count_time(const Job& job) {
    Watch& watch = watches_[job.number()];
    // The time while nobody served is nobody's; what a clock showed then is not known.
    if (watch.since_ms == 0) watch.since_ms = watch.round_ms = now_ms_;
    const std::int64_t passed_ms = now_ms_ - watch.since_ms;
    watch.since_ms = now_ms_;
    if (job.paused() || passed_ms <= 0) return std::max<std::int64_t>(0, passed_ms);
    watch.elapsed_ms += static_cast<std::uint64_t>(passed_ms);
    const std::uint64_t budget_ms = job.plan().budget.seconds * 1000;
    const bool over = budget_ms > 0 && watch.elapsed_ms >= budget_ms && watch.stored_ms < budget_ms;
    if (over || watch.elapsed_ms - watch.stored_ms >= settings_.time_record_ms) store_time(job);
    return passed_ms;
}

void Coordinator::store_time(const Job& job) {
    Watch& watch = watches_[job.number()];
    if (watch.elapsed_ms == watch.stored_ms) return;
    const Record time{.kind = RecordKind::job_time, .job = job.number(), .sequence = watch.elapsed_ms};
    if (store_->add(time)) watch.stored_ms = watch.elapsed_ms;
}

/// How long the running round waits. One member that hangs must not cost every round a minute, nor must a slow one
/// be left out: each is waited for by what it took itself. Who never delivered is waited for long once, and from
/// then on, or while it is away, by what the slowest of the others took.
std::int64_t Coordinator::patience_ms(const Job& job) const {
    constexpr std::int64_t least_ms = 2000, most_ms = 60'000, times = 3;
    if (job.plan().server.patience_ms > 0) return job.plan().server.patience_ms;
    const Watch& watch = watches_.at(job.number());
    std::int64_t slowest_ms = 0, longest_ms = least_ms;
    for (const auto& [member, took_ms] : watch.took_ms) slowest_ms = std::max(slowest_ms, took_ms);
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        if (!job.awaited(member)) continue;
        const auto took = watch.took_ms.find(member);
        const bool hopeless = watch.missed.contains(member) || !reachable(job.members()[member].node);
        std::int64_t wait_ms = most_ms;
        if (took != watch.took_ms.end())
            wait_ms = times * took->second;
        else if (hopeless && slowest_ms > 0)
            wait_ms = times * slowest_ms;
        longest_ms = std::max(longest_ms, std::min(wait_ms, most_ms));
    }
    return longest_ms;
}

void Coordinator::tend_rounds(const Job& job) {
    Watch& watch = watches_[job.number()];
    const ServerPlan& plan = job.plan().server;
    if (watch.due) return;
    const bool masked = plan.masks.enabled();
    if (job.server()->round_running()) {
        if (masked) return tend_masks(job);
        if (now_ms_ - watch.round_ms < patience_ms(job)) return;
        for (std::uint32_t member = 0; member < job.members().size(); ++member) {
            if (job.awaited(member)) watch.missed.insert(member);
        }
        record(RecordKind::round_closed, job.number());
        watch.due = true;
        return;
    }
    std::vector<std::uint32_t> ready;
    std::size_t in = 0;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        if (!job.members()[member].in()) continue;
        ++in;
        const MemberSession* said = session(job.number(), member);
        if (said != nullptr && said->joined && reachable(job.members()[member].node)) ready.push_back(member);
    }
    if (ready.size() < (masked ? least_summed : 1)) return;
    if (watch.ready_ms == MemberSession::never) watch.ready_ms = now_ms_;
    if (ready.size() < in && now_ms_ - watch.ready_ms < settings_.first_round_ms) return;
    const auto share = std::lround(plan.concurrency * static_cast<float>(in));
    const auto least = static_cast<long>(masked ? least_summed : 1);
    const auto wanted = std::min(ready.size(), static_cast<std::size_t>(std::max(least, share)));
    Stream draws(job.plan().terms.seed, static_cast<std::uint32_t>(job.version()), Purpose::tasks);
    while (ready.size() > wanted) {
        const std::uint32_t at = draws.below(static_cast<std::uint32_t>(ready.size()));
        ready.erase(ready.begin() + at);
    }
    std::vector<std::byte> payload;
    const bool noisy = plan.privacy.enabled() && !masked;
    if (noisy) {
        payload.resize(sizeof(MaskKey));
        secrets()(payload);
    }
    const auto numbers = std::as_bytes(std::span<const std::uint32_t>(ready));
    payload.insert(payload.end(), numbers.begin(), numbers.end());
    const Record begun{.kind = RecordKind::round_begun, .job = job.number(), .detail = noisy, .payload = payload};
    watch.due = store_->add(begun).has_value();
}

/// Those who have been away for too long count no more, as long as somebody is there to go on.
void Coordinator::fence(const Job& job) {
    Watch& watch = watches_[job.number()];
    if (now_ms_ - opened_ms_ < settings_.return_ms || (job.paused() && !job.ending())) return;
    bool any = false;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) any = any || exchanges(job, member);
    if (!any) return;
    for (const auto& [member, since_ms] : watch.away_ms) {
        const JobMember& at = job.members()[member];
        if (!at.in() || at.state == MemberState::lost || at.state == MemberState::fenced) continue;
        // One that is silent may be busy, as long as its connection lasts; with a new one it may be back at once.
        if (connection(at.node) != nullptr) continue;
        // What it has stated is the next epoch's.
        if (now_ms_ - since_ms < job.regroup_ms() || job.book()->statement(member).given()) continue;
        change({&job, member}, session_of({&job, member}), RecordKind::member_fenced);
    }
}

/// Who is there and does not state what it holds is waited for so long and no longer. Where nobody has, it is not
/// they. Time that passes in one leap, on a machine that slept, counts little.
void Coordinator::hold_to_time(const Job& job, std::int64_t passed_ms) {
    Watch& watch = watches_[job.number()];
    if (!job.closing()) {
        watch.closing_ms = 0;
        return;
    }
    watch.closing_ms += std::clamp<std::int64_t>(passed_ms, 0, settings_.heartbeat_ms);
    if (watch.closing_ms <= closing_limit_ms(job)) return;
    std::vector<std::uint32_t> late;
    bool any = false;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        const bool stated = job.book()->statement(member).given();
        any = any || stated;
        if (!stated && job.members()[member].holds()) late.push_back(member);
    }
    for (const std::uint32_t member : late) {
        if (any) change({&job, member}, session_of({&job, member}), RecordKind::member_fenced);
    }
}

void Coordinator::tend_push_sum(const Job& job, std::int64_t passed_ms) {
    find_components(job);
    Watch& watch = watches_[job.number()];
    const std::uint64_t ticks = job.plan().budget.rounds;
    bool all_done = ticks > 0, any = false, some_gone = false;
    std::size_t in = 0, done = 0;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        const JobMember& at = job.members()[member];
        if (!at.in() || at.state == MemberState::fenced) {
            watch.away_ms.erase(member);
            if (at.state != MemberState::fenced || job.plan().removal_ms == 0 || reachable(at.node)) continue;
            // It has been away for regroup_ms already.
            const std::int64_t fenced_ms = watch.fenced_ms.emplace(member, now_ms_).first->second;
            if (now_ms_ - fenced_ms + job.regroup_ms() < job.plan().removal_ms || watch.due) continue;
            record(RecordKind::member_gone, job.number(), member);
            some_gone = true;
            continue;
        }
        watch.fenced_ms.erase(member);
        const MemberSession* said = session(job.number(), member);
        // Whoever has begun nothing may with the next epoch: neither this one nor the end of the job waits for it.
        if (at.state == MemberState::offered && job.closing() && (said == nullptr || !said->joined))
            change({&job, member}, session_of({&job, member}), RecordKind::member_lost);
        if (at.state != MemberState::offered || said == nullptr || !said->cannot) {
            any = true;
            const bool over = said != nullptr && said->tick >= static_cast<std::int64_t>(ticks);
            all_done = all_done && over;
            ++in;
            done += over;
        }
        if (reachable(at.node)) {
            watch.away_ms.erase(member);
            continue;
        }
        const std::int64_t since_ms = watch.away_ms.emplace(member, now_ms_).first->second;
        if (job.paused() && !job.ending()) continue;  // it is not waited for before it goes on
        if (job.plan().removal_ms == 0 || now_ms_ - since_ms < job.plan().removal_ms || watch.due) continue;
        record(RecordKind::member_gone, job.number(), member);
        some_gone = true;
    }
    fence(job);
    watch.due = watch.due || some_gone;
    // One that says that it has hardly begun does not make a job last for ever. A machine that slept saw nobody.
    const std::int64_t awake_ms = std::clamp<std::int64_t>(passed_ms, 0, settings_.heartbeat_ms);
    watch.done_ms = ticks > 0 && 2 * done > in ? watch.done_ms + awake_ms : 0;
    const auto eighth_ms = static_cast<std::int64_t>(watch.elapsed_ms / 8);
    const bool long_done = watch.done_ms > std::max(closing_limit_ms(job), eighth_ms);
    if ((all_done || long_done) && any && !job.ending() && !watch.due) {
        record(RecordKind::job_ending, job.number(), 0, static_cast<std::uint16_t>(JobEndReason::finished));
        watch.due = true;
    }
}

}  // namespace dunlin

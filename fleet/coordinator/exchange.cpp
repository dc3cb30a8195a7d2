// SPDX-License-Identifier: Apache-2.0
// What nodes of a job without a server say: what they hold when they are frozen, and shares for each other.
#include "fleet/coordinator/coordinator.hpp"
#include "transport/session/neighbour_machine.hpp"

namespace dunlin {

Result<void> Coordinator::froze(const Membership& at, const Frozen& frozen) {
    const Job& job = *at.job;
    if (job.book() == nullptr || frozen.epoch != job.epoch())
        return fail(Code::wrong_epoch, frozen.epoch, job.epoch());
    const std::size_t expected = job.book()->graph().in(at.member).size();
    if (frozen.heard.size() != expected) return wrong_size(frozen.heard.size(), expected);
    constexpr std::int64_t most_ticks = std::int64_t{1} << 40;  // a thousand a second for thirty years
    if (frozen.tick < -1 || frozen.tick > most_ticks) return fail(Code::message_malformed, frozen.tick);
    session_of(at).frozen.emplace(frozen.tick, std::vector(frozen.heard.begin(), frozen.heard.end()));
    if (job.closing() && drained(job)) dirty_jobs_.insert(job.number());
    return {};
}

Result<void> Coordinator::stated(const Connection& connection, const Membership& at, const MassReport& report) {
    const Job& job = *at.job;
    if (job.book() == nullptr || report.epoch != job.epoch())
        return fail(Code::wrong_epoch, report.epoch, job.epoch());
    const MemberSession& session = session_of(at);
    if (!job.closing() || !job.members()[at.member].holds() || job.book()->statement(at.member).given() ||
        session.request_ms == MemberSession::never || !session.frozen) {
        return {};  // it came twice, or from before the node's state was lost
    }
    const std::size_t dimension = job.plan().terms.dimension;
    const std::size_t steps = job.plan().terms.audit ? dimension : 0;
    if (report.values.size() != dimension) return wrong_size(report.values.size(), dimension);
    if (report.steps.size() != steps) return wrong_size(report.steps.size(), steps);
    if (report.weight <= 0) return fail(Code::impossible_weight, at.member);  // none has (invariant 2)
    const std::vector<std::byte> payload = statement_payload(report);
    return gather(connection, {.kind = RecordKind::mass_report,
                               .node = at.member,
                               .incarnation = report.epoch,
                               .job = job.number(),
                               .sequence = static_cast<std::uint64_t>(session.frozen->first),
                               .detail = connection.version,
                               .payload = payload});
}

Result<void> Coordinator::shared(const Membership& at, const Message& message, const ShareMessage& share) {
    const Job& job = *at.job;
    if (job.book() == nullptr || share.epoch != job.epoch())
        return fail(Code::wrong_epoch, share.epoch, job.epoch());
    if (share.from != at.member || share.to >= job.members().size() || !job.members()[at.member].holds() ||
        !job.book()->graph().find(share.from, share.to))
        return fail(Code::unknown_sender, share.from);
    const JobTerms& terms = job.plan().terms;
    const MachineKind* kind = machine_kind(terms.aggregation);
    const std::size_t expected = kind != nullptr ? kind->words(terms.dimension) : terms.dimension;
    if (share.values.size() != expected) return wrong_size(share.values.size(), expected);
    const JobMember& receiver = job.members()[share.to];
    const auto key = keys_.find(receiver.node);
    const bool takes = !job.ended() && receiver.holds() && !job.book()->statement(share.to).given();
    if (takes && key != keys_.end() && relays(job, at.member) && outbox_.relay(key->second, message)) {
        ++counters_.relayed;
    } else {
        ++counters_.relay_dropped;
    }
    return {};
}

/// Twice as many shares as the job's ticks ask for, and some at once for who was held up; what is left out the next
/// share says too.
bool Coordinator::relays(const Job& job, std::uint32_t member) {
    MemberSession& session = session_of({&job, member});
    const auto degree = static_cast<double>(job.book()->graph().out(member).size());
    const double most = 16 + 8 * degree, per_ms = 2 * degree / std::max(1u, job.plan().terms.tick_ms);
    const bool first = session.credit_ms == MemberSession::never;
    const double gained = first ? most : per_ms * static_cast<double>(now_ms_ - session.credit_ms);
    session.credit_ms = now_ms_;
    session.share_credit = std::min(most, session.share_credit + gained);
    if (session.share_credit < 1) return false;
    session.share_credit -= 1;
    return true;
}

/// Handed on if there is room: the next one says the same and more.
Result<void> Coordinator::receipted(const Membership& at, const ShareReceipt& receipt) {
    const Job& job = *at.job;
    if (job.book() == nullptr || receipt.epoch != job.epoch())
        return fail(Code::wrong_epoch, receipt.epoch, job.epoch());
    if (receipt.to != at.member || receipt.from >= job.members().size() || !job.members()[at.member].holds() ||
        !job.book()->graph().find(receipt.from, receipt.to))
        return fail(Code::unknown_sender, receipt.to);
    const std::uint32_t node = job.members()[receipt.from].node;
    const Connection* sender = connection(node);
    if (sender == nullptr || !sender->welcome || sender->version < version_of(body_index<ShareReceipt>)) return {};
    sent(keys_[node], job.number(), receipt);
    return {};
}

}  // namespace dunlin

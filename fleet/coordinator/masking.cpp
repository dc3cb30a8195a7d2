// SPDX-License-Identifier: Apache-2.0
// Rounds whose updates are masked: the coordinator hands keys and shares on, and sees sums.
#include "fleet/coordinator/coordinator.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {

/// As many secret bytes as are asked for, of the generator that this coordinator was given.
SecretSource Coordinator::secrets() {
    return [this](std::span<std::byte> out) {
        for (std::size_t at = 0; at < out.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t bits = settings_.random_number();
            std::memcpy(out.data() + at, &bits, std::min(out.size() - at, sizeof bits));
        }
    };
}

/// A round has begun: its masks are agreed upon.
void Coordinator::begin_masks(const Job& job) {
    const MaskPlan& plan = job.plan().server.masks;
    MaskRoundSettings settings;
    settings.nonce = job.nonce();
    while (settings.attempt == 0) settings.attempt = settings_.random_number();
    settings.version = job.version();
    settings.dimension = job.plan().terms.dimension;
    settings.group = plan.group;
    settings.terms = plan.terms;
    std::vector<std::uint32_t> participants;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        if (job.awaited(member)) participants.push_back(member);
    }
    mask_runs_.insert_or_assign(
        job.number(), MaskRun{MaskRound(settings, participants, secrets()), now_ms_, MemberSession::never});
    tell_masks(job, true);
}

/// What the members that are there have to answer next: at once, or again.
void Coordinator::tell_masks(const Job& job, bool at_once) {
    MaskRun& run = mask_runs_.at(job.number());
    if (!at_once && now_ms_ - run.told_ms < settings_.retry_ms) return;
    run.told_ms = now_ms_;
    for (std::uint32_t member = 0; member < job.members().size(); ++member) {
        const auto word = run.round.word_for(member);
        const auto key = word ? keys_.find(job.members()[member].node) : keys_.end();
        const MemberSession* said = session(job.number(), member);
        if (key != keys_.end() && said != nullptr && said->joined) sent(key->second, job.number(), *word);
    }
}

/// Goes on as far as what is there allows.
void Coordinator::advance_masks(const Job& job) {
    MaskRun& run = mask_runs_.at(job.number());
    bool moved = false;
    while (run.round.stage() != MaskRound::Stage::over && run.round.complete()) {
        run.round.next();
        run.since_ms = now_ms_;
        moved = true;
    }
    if (run.round.stage() != MaskRound::Stage::over) return tell_masks(job, moved);
    Watch& watch = watches_[job.number()];
    if (watch.due || !job.server()->round_running()) return;
    if (!run.round.trouble().empty()) watch.masks_trouble = run.round.trouble();
    if (const auto& sum = run.round.sum()) {
        const std::vector<std::byte> payload = sum_payload(*sum);
        const Record summed{.kind = RecordKind::round_summed,
                            .job = job.number(),
                            .base_version = job.version(),
                            .payload = payload};
        watch.due = store_->add(summed).has_value();
    } else {
        record(RecordKind::round_closed, job.number());
        watch.due = true;
    }
}

/// A masked round in time. One that was under way when this coordinator started is not known to it any more, and begins
/// anew: what was masked for it is masked again, under other keys.
void Coordinator::tend_masks(const Job& job) {
    Watch& watch = watches_[job.number()];
    const auto found = mask_runs_.find(job.number());
    if (found == mask_runs_.end()) {
        record(RecordKind::round_closed, job.number());
        watch.due = true;
        return;
    }
    MaskRun& run = found->second;
    const bool learning = run.round.stage() == MaskRound::Stage::updates;
    const std::int64_t waited_ms = now_ms_ - (learning ? std::max(watch.round_ms, run.since_ms) : run.since_ms);
    if (waited_ms >= (learning ? patience_ms(job) : std::int64_t{settings_.masks_ms})) {
        for (std::uint32_t member = 0; learning && member < job.members().size(); ++member) {
            if (run.round.word_for(member)) watch.missed.insert(member);
        }
        run.round.next();
        run.since_ms = now_ms_;
        tell_masks(job, true);
    }
    advance_masks(job);
}

Result<void> Coordinator::mask_said(const Membership& at, const MaskExchange& said) {
    const auto run = mask_runs_.find(at.job->number());
    if (run == mask_runs_.end()) return {};  // of a round that is over
    if (auto taken = run->second.round.take(at.member, said); !taken) return taken;
    advance_masks(*at.job);
    return {};
}

/// What is of another attempt is not answered: its member masks it for the next one, or gives it up.
Result<void> Coordinator::mask_update(const PublicKey& key, Connection& connection, const Message& message,
                                      const MaskedUpdate& update) {
    const auto at = membership(connection, message.envelope);
    if (!at) return tl::unexpected(at.error());
    const Job& job = *at->job;
    const JobMember& member = job.members()[at->member];
    const std::uint64_t sequence = message.envelope.sequence;
    const std::uint32_t incarnation = message.envelope.incarnation;
    if (member.sequence == sequence && member.incarnation == incarnation && sequence != 0) {
        ++counters_.repeated;
        acknowledge(key, job.number(), sequence, {.outcome = Reception::applied});
        session_of(*at).model_due = true;
        tell(connection, *at);
        return {};
    }
    if (job.ended() || job.request().push) {
        session_of(*at).has_model = true;
        session_of(*at).ended = false;
        tell(connection, *at);
        return fail(Code::job_over, static_cast<std::int64_t>(job.number()));
    }
    if (job.server() == nullptr || !job.plan().server.masks.enabled())
        return fail(Code::message_unknown, static_cast<std::int64_t>(message.body.index()));
    if (update.member != at->member || !member.in()) return fail(Code::not_a_participant, at->member);
    if (sequence == 0 || incarnation > state_.roster()[connection.node].incarnation)
        return fail(Code::message_malformed);
    if (incarnation < member.incarnation || (incarnation == member.incarnation && sequence < member.sequence))
        return fail(Code::update_duplicate, static_cast<std::int64_t>(sequence),
                    static_cast<std::int64_t>(member.sequence));
    if (update.base_version < job.version())
        return fail(Code::update_too_stale, static_cast<std::int64_t>(job.version() - update.base_version), 0);
    const auto run = mask_runs_.find(job.number());
    if (run == mask_runs_.end() || run->second.round.attempt() != update.attempt ||
        !run->second.round.includes(at->member))
        return {};
    if (auto taken = run->second.round.take(at->member, incarnation, sequence, update); !taken)
        return taken.error().code == Code::not_a_participant ? Result<void>{} : taken;
    Watch& watch = watches_[job.number()];
    watch.took_ms[at->member] = now_ms_ - watch.round_ms;
    watch.missed.erase(at->member);
    advance_masks(job);
    return {};
}

/// A round's sum is in the model, and that is durable.
void Coordinator::summed(const Job& job, std::span<const MaskedSum::Part> parts) {
    counters_.applied += parts.size();
    for (const MaskedSum::Part& part : parts) {
        session_of({&job, part.member}).model_due = true;
        const auto key = keys_.find(job.members()[part.member].node);
        if (key != keys_.end())
            acknowledge(key->second, job.number(), part.sequence, {.outcome = Reception::applied});
    }
}

std::string Coordinator::masks_trouble(const Job& job) const {
    const auto watch = watches_.find(job.number());
    return watch == watches_.end() ? "" : watch->second.masks_trouble;
}

}  // namespace dunlin

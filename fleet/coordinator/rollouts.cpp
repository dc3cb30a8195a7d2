// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/rollouts.hpp"

#include <algorithm>

namespace dunlin {
namespace {

template <class T>
bool read(const Record& record, T& value) {
    Loader loader(record.payload);
    loader(value);
    return loader.done();
}

/// Ends a job, if it lasts, as the operator would.
JobChange stop(const Record& record, std::uint64_t number, StagedRollouts::Jobs& jobs) {
    const auto found = jobs.find(number);
    if (found == jobs.end() || found->second.ended()) return {};
    Record end = record;
    end.kind = RecordKind::job_ended;
    end.detail = static_cast<std::uint16_t>(JobEndReason::stopped);
    return found->second.apply(end).value_or(JobChange{});
}

}  // namespace

const StagedRollout* StagedRollouts::find(std::uint64_t number) const {
    const auto found = all_.find(number);
    return found == all_.end() ? nullptr : &found->second;
}

std::uint64_t StagedRollouts::of_job(std::uint64_t job) const {
    const auto found = of_job_.find(job);
    return found == of_job_.end() ? 0 : found->second;
}

bool StagedRollouts::released(std::uint64_t job, std::uint32_t member) const {
    const StagedRollout* rollout = of_job_.empty() ? nullptr : find(of_job(job));
    return rollout == nullptr || rollout->released(job, member);
}

std::vector<StagedRollouts::Held> StagedRollouts::history(std::uint32_t node) const {
    std::vector<Held> said;
    for (const auto& [number, rollout] : all_) {
        const auto& nodes = rollout.plan().nodes;
        const auto at = std::ranges::lower_bound(nodes, node);
        if (at == nodes.end() || *at != node) continue;
        const RolloutDevice& device = rollout.devices()[static_cast<std::size_t>(at - nodes.begin())];
        if (device.forward.given()) said.push_back({rollout.plan().model, &device.forward, number});
        if (device.back.given()) said.push_back({rollout.plan().before, &device.back, number});
    }
    std::ranges::sort(said, {}, [](const Held& held) { return held.report->record; });
    return said;
}

StagedRollouts::Held StagedRollouts::held(std::uint32_t node) const {
    const std::vector<Held> said = history(node);
    return said.empty() ? Held{} : said.back();
}

bool StagedRollouts::over(const StagedRollout& rollout, const Jobs& jobs) {
    const auto ended = [&jobs](std::uint64_t number) {
        const auto found = jobs.find(number);
        return found == jobs.end() || found->second.ended();
    };
    return ended(rollout.forward_job()) && ended(rollout.back_job());
}

Result<JobChange> StagedRollouts::apply(const Record& record, Jobs& jobs) {
    if (record.kind == RecordKind::model_kept) {
        ModelVersion version;
        if (!read(record, version) || record.sequence != models_.size() + 1) return unreadable(record);
        version.time_ms = record.time_ms;
        models_.push_back(std::move(version));
        return {};
    }
    if (record.kind == RecordKind::model_named) {
        std::string name;
        if (!read(record, name) || record.sequence == 0 || record.sequence > models_.size())
            return unreadable(record);
        models_[static_cast<std::size_t>(record.sequence - 1)].name = std::move(name);
        return {};
    }
    if (record.kind == RecordKind::rollout_started) return start(record, jobs);
    const auto found = all_.find(record.sequence);
    if (found == all_.end()) return unreadable(record);
    StagedRollout& rollout = found->second;
    std::vector<std::uint32_t> devices;
    std::string reason;
    using Phase = StagedRollout::Phase;
    // What was gathered in the same moment may have ended it: then these do nothing.
    const bool over = rollout.phase() == Phase::aborted || rollout.phase() == Phase::back;
    if (over && record.kind != RecordKind::rollout_aborted && record.kind != RecordKind::rollout_back) return {};
    switch (record.kind) {
        case RecordKind::rollout_released:
            if (!read(record, devices)) return unreadable(record);
            rollout.released_now(devices);
            return {};
        case RecordKind::rollout_paused:
            rollout.set_phase(Phase::paused);
            return {};
        case RecordKind::rollout_resumed:
            rollout.set_phase(Phase::running);
            return {};
        case RecordKind::rollout_halted:
            if (!read(record, reason)) return unreadable(record);
            rollout.set_phase(Phase::halted, std::move(reason));
            return {};
        case RecordKind::rollout_aborted: {
            rollout.set_phase(Phase::aborted);
            JobChange change = stop(record, rollout.forward_job(), jobs);
            (void)stop(record, rollout.back_job(), jobs);
            return change;
        }
        case RecordKind::rollout_back:
            return turn_back(record, rollout, jobs);
        default:
            return unreadable(record);
    }
}

Result<JobChange> StagedRollouts::start(const Record& record, Jobs& jobs) {
    RolloutStart begun;
    if (!read(record, begun)) return unreadable(record);
    const RolloutPlan& plan = begun.plan;
    auto forward = read_job_payload(begun.forward, record.index);
    if (!forward || plan.model == 0 || plan.model > models_.size() || plan.before > models_.size())
        return unreadable(record);
    if (forward->second.nodes != plan.nodes || plan.baseline.size() != plan.nodes.size()) return unreadable(record);
    auto job = Job::make(record.job, std::move(forward->first), std::move(forward->second));
    if (!job || !jobs.emplace(record.job, *std::move(job)).second) return unreadable(record);
    StagedRollout rollout(plan, record.job, std::move(begun.way_back));
    rollout.set_started(record.time_ms);
    if (!all_.emplace(record.sequence, std::move(rollout)).second) return unreadable(record);
    of_job_[record.job] = record.sequence;
    return {};
}

/// From here on the new version is offered to nobody, and whoever may have been given it is offered the old one.
Result<JobChange> StagedRollouts::turn_back(const Record& record, StagedRollout& rollout, Jobs& jobs) {
    RolloutTurn turn;
    const auto forward = jobs.find(rollout.forward_job());
    if (!read(record, turn) || forward == jobs.end() || rollout.plan().before == 0) return unreadable(record);
    if (rollout.phase() == StagedRollout::Phase::back) return {};
    rollout.set_phase(StagedRollout::Phase::back, std::move(turn.reason));
    JobChange change = stop(record, rollout.forward_job(), jobs);
    const auto& members = forward->second.members();
    if (std::ranges::none_of(members, was_offered)) return change;
    auto back = read_job_payload(rollout.way_back(), record.index);
    if (!back) return unreadable(record);
    back->first.first = models_[rollout.plan().before - 1].numbers;
    back->second.nonce = turn.nonce;
    auto job = Job::make(record.base_version, std::move(back->first), std::move(back->second));
    if (!job) return unreadable(record);
    for (std::uint32_t i = 0; i < members.size(); ++i) {
        if (was_offered(members[i])) continue;
        Record out = record;
        out.kind = RecordKind::member_gone;
        out.node = i;
        out.payload = {};
        if (auto done = job->apply(out); !done) return unreadable(record);
    }
    if (!jobs.emplace(record.base_version, *std::move(job)).second) return unreadable(record);
    if (rollout.back_job() != 0) of_job_.erase(rollout.back_job());  // one that was aborted
    rollout.set_back_job(record.base_version);
    of_job_[record.base_version] = record.sequence;
    return change;
}

void StagedRollouts::reported(const Record& record) {
    if (of_job_.empty() || record.detail == 0) return;
    const auto found = all_.find(of_job(record.job));
    if (found == all_.end()) return;
    found->second.reported(record.job, record.node, {record.index, record.time_ms, read_report(record)});
}

void StagedRollouts::index() {
    of_job_.clear();
    for (const auto& [number, rollout] : all_) {
        of_job_[rollout.forward_job()] = number;
        if (rollout.back_job() != 0) of_job_[rollout.back_job()] = number;
    }
}

bool StagedRollouts::fits_together(const Jobs& jobs, std::size_t nodes) const {
    return std::ranges::all_of(all_, [&](const auto& entry) {
        const StagedRollout& rollout = entry.second;
        const RolloutPlan& plan = rollout.plan();
        const auto forward = jobs.find(rollout.forward_job());
        return rollout.fits_together() && plan.model > 0 && plan.model <= models_.size() &&
               plan.before <= models_.size() && forward != jobs.end() &&
               forward->second.members().size() == plan.nodes.size() &&
               (rollout.back_job() == 0 || (jobs.contains(rollout.back_job()) &&
                                            jobs.at(rollout.back_job()).members().size() == plan.nodes.size())) &&
               std::ranges::all_of(plan.nodes, [nodes](std::uint32_t node) { return node < nodes; });
    });
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// Versions of models, and roll-outs as they go on.
#include "fleet/coordinator/coordinator.hpp"

#include <algorithm>
#include <limits>

namespace dunlin {
namespace {

template <class T>
std::vector<std::byte> payload_of(const T& value) {
    Saver saver;
    saver(value);
    return saver.take();
}

/// A node that is given a version may begin to learn from it before it hears that there is nothing to learn, and where
/// its connection is bad it measures what it has. Such a step is to change nothing: what it measures is the version.
/// And a version is handed out until all have it, to each at once: no budget ends that, and no round is waited for.
void hold_still(JobPlan& plan) {
    plan.budget = {};
    plan.server.rule = PersaflRule{};
    plan.server.defence = {};
    plan.server.masks = {};
    plan.server.privacy = {};
    plan.server.concurrency = 1.0f;
    plan.terms.payload = Payload::difference;
    plan.terms.local_steps = 1;
    plan.terms.local_rate = std::numeric_limits<float>::min();  // 0 is refused by who learns
    plan.terms.fedprox_weight = 0;
}

}  // namespace

Result<std::uint32_t> Coordinator::keep_model(const ModelVersion& version) {
    if (auto before = commit(now_ms_); !before) return tl::unexpected(before.error());
    const auto& kept = state_.rollouts().models();
    for (std::size_t k = 0; k < kept.size(); ++k) {
        const bool same = kept[k].experiment == version.experiment &&
                          std::ranges::equal(std::as_bytes(std::span(kept[k].numbers)),
                                             std::as_bytes(std::span(version.numbers)));
        if (same) return static_cast<std::uint32_t>(k + 1);
    }
    if (kept.size() >= StagedRollout::limit)
        return fail(Code::out_of_range, StagedRollout::limit, StagedRollout::limit);
    const auto number = static_cast<std::uint32_t>(kept.size() + 1);
    const std::vector<std::byte> payload = payload_of(version);
    if (auto done = record_now({.kind = RecordKind::model_kept, .sequence = number, .payload = payload}); !done)
        return tl::unexpected(done.error());
    return number;
}

Result<void> Coordinator::name_model(std::uint32_t version, const std::string& name) {
    const std::vector<std::byte> payload = payload_of(name);
    return record_now({.kind = RecordKind::model_named, .sequence = version, .payload = payload});
}

Result<std::uint64_t> Coordinator::start_rollout(const RolloutPlan& plan, JobPlan forward, const JobPlan* back) {
    if (auto before = commit(now_ms_); !before) return tl::unexpected(before.error());
    if (state_.rollouts().all().size() >= StagedRollout::limit)
        return fail(Code::out_of_range, StagedRollout::limit, StagedRollout::limit);
    if (state_.jobs().size() + 1 >= FleetState::job_limit)
        return fail(Code::out_of_range, FleetState::job_limit, FleetState::job_limit);
    const std::uint64_t job = state_.next_job(), number = state_.rollouts().next();
    JobRequest request{.token = {}, .push = true, .nodes = plan.nodes};
    hold_still(forward);
    // What could not be made cannot be stored; the way back neither.
    if (auto made = Job::make(job, forward, request); !made) return tl::unexpected(made.error());
    request.nonce = std::max<std::uint64_t>(settings_.random_number(), 1);
    RolloutStart start{.plan = plan, .forward = job_payload(forward, request), .way_back = {}};
    if (back != nullptr) {
        JobPlan without = *back;
        hold_still(without);
        if (auto made = Job::make(job, without, request); !made) return tl::unexpected(made.error());
        without.first.clear();  // the version has them
        request.nonce = 0;
        start.way_back = job_payload(without, request);
    }
    const std::vector<std::byte> payload = payload_of(start);
    if (auto done =
            record_now({.kind = RecordKind::rollout_started, .job = job, .sequence = number, .payload = payload});
        !done)
        return tl::unexpected(done.error());
    return number;
}

Result<void> Coordinator::change_rollout(std::uint64_t number, RecordKind kind) {
    if (auto before = commit(now_ms_); !before) return before;
    return record_now({.kind = kind, .job = state_.rollouts().find(number)->forward_job(), .sequence = number});
}

Result<void> Coordinator::roll_back(std::uint64_t number, const std::string& reason) {
    if (auto before = commit(now_ms_); !before) return before;
    const std::uint64_t next = store_->next();
    if (auto gathered = gather_step(number, {.kind = RecordKind::rollout_back, .devices = {}, .reason = reason});
        !gathered)
        return gathered;
    auto done = commit(now_ms_);
    return store_->newest() >= next ? Result<void>{} : done;
}

Result<void> Coordinator::gather_step(std::uint64_t number, const RolloutStep& step) {
    Record record{.kind = step.kind, .job = state_.rollouts().find(number)->forward_job(), .sequence = number};
    std::vector<std::byte> payload;
    if (step.kind == RecordKind::rollout_released) payload = payload_of(step.devices);
    if (step.kind == RecordKind::rollout_halted) payload = payload_of(step.reason);
    if (step.kind == RecordKind::rollout_back) {
        record.base_version = state_.next_job();
        payload = payload_of(RolloutTurn{step.reason, std::max<std::uint64_t>(settings_.random_number(), 1)});
    }
    record.payload = payload;
    return store_->add(record);
}

/// Here, and in no other job that lasts?
bool Coordinator::may_begin(std::uint32_t node, std::uint64_t job) const {
    if (!reachable(node)) return false;
    const Connection* found = connection(node);
    const Job* other = found->job == job ? nullptr : state_.job(found->job);
    return other == nullptr || other->ended().has_value();
}

StagedRollout::View Coordinator::view_of(const StagedRollout& rollout, std::int64_t since_ms) const {
    const auto stage = stages_.find(state_.rollouts().of_job(rollout.forward_job()));
    const bool late = now_ms_ - since_ms >= std::int64_t{rollout.plan().patience_s} * 1000;
    return {.free =
                [this, &rollout](std::uint32_t device) {
                    return may_begin(rollout.plan().nodes[device], rollout.forward_job());
                },
            // One that is away may be back at once, as after a start of this coordinator.
            .busy =
                [this, &rollout, stage, late](std::uint32_t device) {
                    if (late) return false;
                    if (reachable(rollout.plan().nodes[device])) return true;
                    if (stage == stages_.end()) return false;
                    const auto away = stage->second.away_ms.find(device);
                    return away == stage->second.away_ms.end() || now_ms_ - away->second < settings_.return_ms;
                },
            .name = [this, &rollout](
                        std::uint32_t device) { return state_.roster()[rollout.plan().nodes[device]].name; }};
}

Coordinator::Staging Coordinator::staging(std::uint64_t number) const {
    const StagedRollout& rollout = *state_.rollouts().find(number);
    const Job* forward = state_.job(rollout.forward_job());
    const auto stage = stages_.find(number);
    const std::int64_t since_ms = stage == stages_.end() ? now_ms_ : stage->second.since_ms;
    Staging told{.next = rollout.next(*forward, view_of(rollout, since_ms))};
    const bool back = rollout.phase() == StagedRollout::Phase::back;
    const Job* job = back ? state_.job(rollout.back_job()) : forward;
    if (job == nullptr || job->ended()) return told;
    for (std::uint32_t i = 0; i < rollout.devices().size(); ++i) {
        const RolloutDevice& device = rollout.devices()[i];
        const bool said = back ? device.back.given() : device.forward.given();
        // What halted is offered to nobody any more.
        const bool held = !back && (device.wave == 0 || (rollout.phase() == StagedRollout::Phase::halted &&
                                                         job->members()[i].state == MemberState::invited));
        if (said || held || !job->members()[i].in()) continue;
        told.waits = told.waits || reachable(rollout.plan().nodes[i]);
    }
    return told;
}

void Coordinator::tend_rollouts() {
    // After a start nobody is here at first, and that says nothing.
    if (now_ms_ - opened_ms_ < settings_.return_ms) return;
    for (const auto& [number, rollout] : state_.rollouts().all()) {
        if (rollout.phase() != StagedRollout::Phase::running) continue;
        Stage& stage = stages_[number];
        if (stage.over || stage.commit == counters_.commits + 1) continue;
        const auto released = static_cast<std::uint64_t>(
            std::ranges::count_if(rollout.devices(), [](const RolloutDevice& device) { return device.wave > 0; }));
        if (stage.since_ms == 0 || stage.released != released) {
            stage.since_ms = now_ms_;
            stage.released = released;
        }
        for (std::uint32_t i = 0; i < rollout.devices().size(); ++i) {
            if (reachable(rollout.plan().nodes[i]))
                stage.away_ms.erase(i);
            else
                stage.away_ms.emplace(i, now_ms_);
        }
        const Job& forward = *state_.job(rollout.forward_job());
        const auto step = rollout.next(forward, view_of(rollout, stage.since_ms));
        if (!step) {
            stage.over = forward.ended().has_value();
            continue;
        }
        if (gather_step(number, *step)) stage.commit = counters_.commits + 1;
        return;  // one at a time: two that begin jobs would give them one number
    }
}

void Coordinator::forget_job(std::uint64_t number) {
    for (auto& [node, places] : memberships_)
        std::erase_if(places, [number](const auto& place) { return place.first == number; });
    sessions_.erase(number);
    watches_.erase(number);
    dirty_jobs_.erase(number);
}

}  // namespace dunlin

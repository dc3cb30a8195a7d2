// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/rollout.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {

std::optional<double> DeviceReport::value(std::string_view metric) const {
    const auto found = std::ranges::find(metrics, metric, &KeptMetric::name);
    return found == metrics.end() ? std::nullopt : std::optional(found->value);
}

std::string_view name_of(StagedRollout::Phase phase) {
    constexpr std::string_view names[] = {"running", "paused", "halted", "aborted", "back"};
    return names[static_cast<std::size_t>(phase)];
}

std::uint32_t StagedRollout::wave() const {
    std::uint32_t newest = 0;
    for (const RolloutDevice& device : devices_) newest = std::max(newest, device.wave);
    return newest;
}

std::optional<double> StagedRollout::gain(std::uint32_t device) const {
    const auto value = devices_[device].forward.value(plan_.watch);
    const double baseline = plan_.baseline[device];
    if (!value || std::isnan(baseline)) return std::nullopt;
    return plan_.lower_is_better ? baseline - *value : *value - baseline;
}

RolloutStep StagedRollout::undo(std::string why) const {
    // Without a version to go back to all that can be done is to go no further.
    return {.kind = plan_.before == 0 ? RecordKind::rollout_halted : RecordKind::rollout_back,
            .reason = std::move(why)};
}

/// Is what was reported reason to stop? A single device is looked at as soon as it reports, a mean when nobody of
/// the wave is waited for any more.
std::optional<RolloutStep> StagedRollout::judge(const View& view, bool wave_is_done) const {
    if (plan_.watch.empty()) return std::nullopt;
    const std::uint32_t newest = wave();
    double sum = 0;
    int count = 0;
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        const RolloutDevice& device = devices_[i];
        if (!device.forward.given() || device.wave <= excused_) continue;
        const auto value = device.forward.value(plan_.watch);
        if (!value)
            return RolloutStep{.kind = RecordKind::rollout_halted,
                               .reason = fmt::format("{} reports no {}", view.name(i), plan_.watch)};
        if (!std::isfinite(*value)) return undo(fmt::format("{} of {} is no number", plan_.watch, view.name(i)));
        const auto better = gain(i);
        if (!better) continue;
        if (*better < -plan_.node_worse_than)
            return undo(fmt::format("{} of {} is worse by {:.4g}, and {:.4g} is allowed", plan_.watch, view.name(i),
                                    -*better, plan_.node_worse_than));
        if (device.wave != newest) continue;
        sum += *better;
        ++count;
    }
    const double mean = count > 0 ? sum / count : 0.0;
    if (!wave_is_done || !(mean < -plan_.worse_than)) return std::nullopt;
    return undo(fmt::format("{} of wave {} is worse by {:.4g} in the mean of {}, and {:.4g} is allowed",
                            plan_.watch, newest, -mean, count, plan_.worse_than));
}

std::optional<RolloutStep> StagedRollout::next(const Job& forward, const View& view) const {
    if (phase_ != Phase::running) return std::nullopt;
    const std::uint32_t newest = wave();
    bool waits = false, spoke = newest == 0, refused = false;
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        if (devices_[i].wave != newest || newest == 0) continue;
        const bool said = devices_[i].forward.given();
        const bool out = !forward.members()[i].in();
        spoke = spoke || said;
        refused = refused || (out && !said);
        waits = waits || (!said && !out && view.busy(i));
    }
    if (auto wrong = judge(view, !waits)) return wrong;
    if (waits || forward.ended()) return std::nullopt;
    if (!spoke && refused && newest > excused_)
        return RolloutStep{.kind = RecordKind::rollout_halted,
                           .reason = fmt::format("nobody of wave {} took the new version", newest)};
    // A wave of which nobody has spoken says nothing of the version: others are tried, as few as before.
    const std::size_t wanted = spoke && newest > 0 ? plan_.batch : newest > 1 ? plan_.batch : plan_.canary;
    RolloutStep step{.kind = RecordKind::rollout_released};
    const bool compares = !plan_.watch.empty();
    const auto choose = [&](bool unknown) {
        for (std::uint32_t i = 0; i < devices_.size() && step.devices.size() < wanted; ++i) {
            if (compares && std::isnan(plan_.baseline[i]) != unknown) continue;
            if (devices_[i].wave == 0 && forward.members()[i].in() && view.free(i)) step.devices.push_back(i);
        }
    };
    choose(false);
    if (compares) choose(true);  // what they say can be held against nothing, so they come behind
    if (step.devices.empty()) return std::nullopt;
    return step;
}

void StagedRollout::released_now(std::span<const std::uint32_t> devices) {
    const std::uint32_t newest = wave();
    const bool spoke = std::ranges::any_of(devices_, [newest](const RolloutDevice& device) {
        return device.wave == newest && device.forward.given();
    });
    const std::uint32_t next = newest <= excused_ || spoke ? newest + 1 : newest;
    for (const std::uint32_t device : devices) {
        if (device < devices_.size() && devices_[device].wave == 0) devices_[device].wave = next;
    }
}

void StagedRollout::set_phase(Phase phase, std::string reason) {
    // Who goes on after it stopped by itself has seen why.
    if (phase == Phase::running && phase_ == Phase::halted) excused_ = wave();
    phase_ = phase;
    reason_ = std::move(reason);
}

void StagedRollout::reported(std::uint64_t job, std::uint32_t device, DeviceReport report) {
    if (device >= devices_.size() || (job != forward_ && job != back_)) return;
    DeviceReport& kept = job == back_ ? devices_[device].back : devices_[device].forward;
    if (!kept.given()) kept = std::move(report);
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/job.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

/// A version of a model that the fleet keeps: what a roll-out hands out, and can go back to.
struct ModelVersion {
    std::string name;        ///< that the operator gave; "": none
    std::string origin;      ///< where it came from, for people
    std::string experiment;  ///< what nodes run with it: a resolved config.toml
    std::vector<float> numbers;
    std::int64_t time_ms = 0;  ///< since 1970, when it was kept

    template <class Archive>
    void fields(Archive& archive) {
        archive(name, origin, experiment, numbers, time_ms);
    }
};

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

/// How a version is handed out. Device i is nodes[i], and member i of the roll-out's jobs.
struct RolloutPlan {
    std::uint32_t model = 0;           ///< the version that they are to have
    std::uint32_t before = 0;          ///< the one that they go back to; 0: there is none
    std::vector<std::uint32_t> nodes;  ///< in the roster, ascending
    std::uint32_t canary = 1;          ///< devices of the first wave
    std::uint32_t batch = 1;           ///< and of each wave after it
    std::string watch;                 ///< the metric that decides; "": none does
    bool lower_is_better = false;
    std::vector<double> baseline;        ///< by device: what `watch` is held against; NaN: not known
    double worse_than = no_number;       ///< back where a wave's mean is worse by more; NaN: no such rule
    double node_worse_than = no_number;  ///< back where one device is worse by more; NaN: no such rule
    std::uint32_t patience_s = 600;      ///< a device that is here and says nothing for so long is not waited for

    template <class Archive>
    void fields(Archive& archive) {
        archive(model, before, nodes, canary, batch, watch, lower_is_better, baseline, worse_than, node_worse_than,
                patience_s);
    }
};

/// A device's final report on a version.
struct DeviceReport {
    std::uint64_t record = 0;  ///< 0: it has not said anything
    std::int64_t time_ms = 0;
    std::vector<KeptMetric> metrics;

    bool given() const { return record > 0; }
    /// Nothing where it does not name this metric.
    std::optional<double> value(std::string_view metric) const;

    template <class Archive>
    void fields(Archive& archive) {
        archive(record, time_ms, metrics);
    }
};

struct RolloutDevice {
    std::uint32_t wave = 0;  ///< 0: not let have the new version yet
    DeviceReport forward;    ///< on the new version
    DeviceReport back;       ///< on the old one, after going back

    template <class Archive>
    void fields(Archive& archive) {
        archive(wave, forward, back);
    }
};

/// What a roll-out wants to become durable next.
struct RolloutStep {
    RecordKind kind{};  ///< rollout_released, rollout_halted or rollout_back
    std::vector<std::uint32_t> devices = {};
    std::string reason = {};
};

/// A staged hand-out of one version of a model: a canary first, then batches, each after the one before it has
/// reported; paused, resumed, aborted, and taken back by itself where what is watched is worse than before. A state
/// machine without I/O: its state is a function of the records about it, and what it does next is a function of that
/// state and of who is here, so that a crash at any moment loses nothing.
///
/// The version travels as a push job of all devices (Job), which offers it to those alone that were let have it; the
/// way back is another push job, of the devices that may have been given the new version. A device has a version once
/// its final report on it is durable. So every device has, or gets when it is back, the new version or the old one.
class StagedRollout {
public:
    enum class Phase : std::uint8_t {
        running,
        paused,   ///< by the operator
        halted,   ///< by itself; `reason` says why
        aborted,  ///< who has the new version keeps it
        back      ///< the old version is handed out again
    };
    static constexpr std::size_t limit = 1000;  ///< of roll-outs, and of versions, that a fleet keeps

    StagedRollout() = default;
    StagedRollout(RolloutPlan plan, std::uint64_t forward_job, std::vector<std::byte> way_back)
        : plan_(std::move(plan)), way_back_(std::move(way_back)), forward_(forward_job) {
        devices_.resize(plan_.nodes.size());
    }

    const RolloutPlan& plan() const { return plan_; }
    Phase phase() const { return phase_; }
    const std::string& reason() const { return reason_; }
    const std::vector<RolloutDevice>& devices() const { return devices_; }
    std::uint32_t wave() const;
    std::uint64_t forward_job() const { return forward_; }
    std::uint64_t back_job() const { return back_; }  ///< 0: none
    /// The plan of the job that would take the old version back, without its numbers; as job_payload made it.
    std::span<const std::byte> way_back() const { return way_back_; }
    std::int64_t started_ms() const { return started_ms_; }
    void set_started(std::int64_t time_ms) { started_ms_ = time_ms; }

    /// Does this job of the roll-out offer itself to the member?
    bool released(std::uint64_t job, std::uint32_t device) const {
        return job != forward_ || device >= devices_.size() ||
               (devices_[device].wave > 0 && phase_ != Phase::halted);
    }
    /// What a device's value is better by than what it is held against; nothing where either is not known.
    std::optional<double> gain(std::uint32_t device) const;

    /// Who is where, as far as is known now.
    struct View {
        std::function<bool(std::uint32_t device)> free;  ///< here, and could begin at once
        std::function<bool(std::uint32_t device)> busy;  ///< of one that was let have it: is it worth waiting for?
        std::function<std::string(std::uint32_t device)> name;
    };
    /// The next step, if there is one; to be made durable and applied before another is asked for.
    std::optional<RolloutStep> next(const Job& forward, const View& view) const;

    // What records do.

    void released_now(std::span<const std::uint32_t> devices);
    void set_phase(Phase phase, std::string reason = {});
    /// A member of one of its jobs has said its last word on a version.
    void reported(std::uint64_t job, std::uint32_t device, DeviceReport report);
    void set_back_job(std::uint64_t job) {
        back_ = job;
        for (RolloutDevice& device : devices_) device.back = {};
    }

    template <class Archive>
    void fields(Archive& archive) {
        archive(plan_, devices_, phase_, reason_, excused_, way_back_, forward_, back_, started_ms_);
    }
    bool fits_together() const {
        return devices_.size() == plan_.nodes.size() && plan_.baseline.size() == plan_.nodes.size() &&
               phase_ <= Phase::back;
    }

private:
    std::optional<RolloutStep> judge(const View& view, bool wave_is_done) const;
    RolloutStep undo(std::string why) const;

    RolloutPlan plan_;
    std::vector<RolloutDevice> devices_;
    Phase phase_ = Phase::running;
    std::string reason_;
    std::uint32_t excused_ = 0;  ///< waves up to this one were looked at by the operator, who went on
    std::vector<std::byte> way_back_;
    std::uint64_t forward_ = 0, back_ = 0;
    std::int64_t started_ms_ = 0;
};

/// May the new version have reached this member of the roll-out's job?
inline bool was_offered(const JobMember& member) {
    // Who fell out over it declined after it was offered; who is off the roster was, or can no longer be asked.
    return member.state != MemberState::invited && member.state != MemberState::gone;
}

std::string_view name_of(StagedRollout::Phase phase);

/// What the record that begins a roll-out holds: the plan, the job that hands the version out, and the one that would
/// take it back (empty: none), each as job_payload gives it, the last one without its numbers.
struct RolloutStart {
    RolloutPlan plan;
    std::vector<std::byte> forward, way_back;

    template <class Archive>
    void fields(Archive& archive) {
        archive(plan, forward, way_back);
    }
};
/// What the record that turns it back holds.
struct RolloutTurn {
    std::string reason;
    std::uint64_t nonce = 0;  ///< of the job that takes the old version back

    template <class Archive>
    void fields(Archive& archive) {
        archive(reason, nonce);
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/run_pauses.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dunlin::app {

/// Seconds between two checkpoints, unless saving one takes more than a twentieth of them.
inline constexpr double checkpoint_s = 2.0;

/// What a run of any kind leaves while it goes on: metrics.csv row by row, checkpoint.dunlin now and then, when it is
/// interrupted and when it ends, and a line about its progress. A run that goes on writes metrics.csv anew, from the
/// rows that its checkpoint holds. On several ranks each saves, for what is saved is on all of them, and the first
/// writes; they leave off where one of them is interrupted. For one thread; `request` outlives it.
class RunRecord {
public:
    ~RunRecord();
    RunRecord(RunRecord&&) noexcept = default;
    RunRecord& operator=(RunRecord&&) = delete;

    /// `header` is that of metrics.csv. Errors: a checkpoint that cannot be read.
    static Outcome<RunRecord> open(const TrainRequest& request, std::string config,
                                   std::vector<std::string> header = {});

    /// Has a training loop leave off when the program is interrupted, save, and go on from what was saved. The record
    /// stays where it is for as long as the loop runs.
    void attach(RunPauses& pauses);

    /// Of a metrics.csv without rows.
    void set_header(std::vector<std::string> header) { header_ = std::move(header); }
    Outcome<void> row(std::vector<report::CsvValue> fields);
    /// Shows a line, if one is due.
    void show(const std::function<std::string()>& line);
    Progress& progress() { return progress_; }

private:
    using Clock = std::chrono::steady_clock;

    RunRecord(const TrainRequest& request, std::string config, std::vector<std::string> header)
        : request_(&request), config_(std::move(config)), header_(std::move(header)), progress_(request.quiet) {}
    Outcome<void> begin();
    Outcome<void> checkpoint(const RunPauses::Save& save, bool now);
    std::uint32_t here() const;
    std::uint32_t look();

    const TrainRequest* request_;
    std::string config_;
    std::vector<std::string> header_;
    std::vector<std::byte> earlier_;
    std::optional<report::CsvFile> metrics_;
    Progress progress_;
    Clock::time_point saved_ = Clock::now();
    double pause_s_ = checkpoint_s;
    std::uint32_t looks_ = 0;
    bool begun_ = false;
    bool too_large_ = false;
    bool attached_ = false;
};

}  // namespace dunlin::app

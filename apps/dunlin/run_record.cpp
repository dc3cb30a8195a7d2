// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/run_record.hpp"

#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "training/navigation/checkpoint_file.hpp"
#include "training/problems/federated_result.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

/// The rows of metrics.csv up to an iteration. A last line without an end was cut off.
Outcome<std::vector<FederatedRow>> older_rows(const std::filesystem::path& path, std::int64_t last_iteration) {
    const Outcome<std::string> text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    const auto columns = static_cast<std::size_t>(std::ranges::count(line, ',')) + 1;
    std::vector<FederatedRow> rows;
    for (int number = 2; std::getline(lines, line) && !lines.eof(); ++number) {
        std::vector<double> values;
        for (const char *at = line.data(), *end = at + line.size(); at < end; ++at) {
            const auto [next, error] = std::from_chars(at, end, values.emplace_back());
            if (error != std::errc())
                return refuse(Error{Code::bad_number, number, std::ssize(values)}, path.string());
            at = next;
        }
        if (values.size() != columns || columns < 4)
            return refuse(Error{Code::column_count, number, std::ssize(values)}, path.string());
        if (static_cast<std::int64_t>(values[0]) > last_iteration) break;
        rows.push_back({.time_s = values[3],
                        .round = static_cast<std::int64_t>(values[0]),
                        .gradients = static_cast<std::int64_t>(values[2]),
                        .environment_steps = static_cast<std::int64_t>(values[1]),
                        .by_node = {values.begin() + 4, values.end()}});
    }
    return rows;
}

/// What the loop would have saved of a navigation run that has a checkpoint of its own kind, and its rows in
/// metrics.csv alone.
Outcome<std::vector<std::byte>> older_state(const TrainRequest& request) {
    const std::filesystem::path path = checkpoint_path(request);
    const auto state = read_checkpoint(path);
    if (!state) return unreadable_checkpoint(path, state.error());
    const auto rows = older_rows(request.directory / "metrics.csv", state->iteration);
    if (!rows) return tl::unexpected(rows.error());
    Saver saver;
    saver(*state, rows->empty() ? 0.0 : rows->back().time_s, *rows);
    return saver.take();
}

}  // namespace

Outcome<RunRecord> RunRecord::open(const TrainRequest& request, std::string config,
                                   std::vector<std::string> header) {
    RunRecord record(request, std::move(config), std::move(header));
    const std::filesystem::path path = checkpoint_path(request);
    std::error_code ignored;
    // Stopped before the first checkpoint it begins again.
    if (!request.resume || !std::filesystem::exists(path, ignored)) return record;
    auto checkpoint = read_run_checkpoint(path);
    if (!checkpoint && checkpoint.error().code == Code::file_magic) {
        auto older = older_state(request);
        if (!older) return tl::unexpected(older.error());
        record.earlier_ = *std::move(older);
        return record;
    }
    if (!checkpoint) return unreadable_checkpoint(path, checkpoint.error());
    record.earlier_ = std::move(checkpoint->state);
    return record;
}

namespace {
constexpr std::uint32_t stop_signal = 1, due_signal = 2;
}

void RunRecord::attach(RunPauses& pauses) {
    pauses.stop = [this] { return (look() & stop_signal) != 0; };
    attached_ = true;
    if (request_->ranks->spread()) request_->ranks->signal = [this] { return here(); };
    pauses.earlier = std::move(earlier_);
    pauses.checkpoint = [this](const RunPauses::Save& save, bool now) { return checkpoint(save, now); };
}

RunRecord::~RunRecord() {
    if (attached_ && request_->ranks->spread()) request_->ranks->signal = [] { return 0u; };
}

std::uint32_t RunRecord::here() const {
    const bool due = std::chrono::duration<double>(Clock::now() - saved_).count() >= pause_s_;
    return (interrupted() ? stop_signal : 0) | (due && request_->ranks->leads() ? due_signal : 0);
}

/// What is to be done now. Ranks know it of each other by what they exchange anyway, and by themselves now and then.
std::uint32_t RunRecord::look() {
    RankGroup& ranks = *request_->ranks;
    if (!ranks.spread()) return here();
    constexpr std::uint32_t stride = 16;
    if (looks_++ % stride == 0) (void)ranks.any(false);
    return ranks.signals();
}

Outcome<void> RunRecord::checkpoint(const RunPauses::Save& save, bool now) {
    if (too_large_ || (!now && (look() & due_signal) == 0)) return {};
    const Clock::time_point start = Clock::now();
    const auto seconds = [](Clock::duration time) { return std::chrono::duration<double>(time).count(); };
    if (auto kept = begin(); !kept) return kept;
    Saver saver(run_state_limit);
    save(saver);
    if (saver.full()) {
        too_large_ = true;
        note("{}: not written, for it would have more than {} bytes: this run begins again if it is stopped\n",
             checkpoint_path(*request_).string(), run_state_limit);
        return {};
    }
    if (auto written = write_run_file(*request_, checkpoint_path(*request_).filename().string(),
                                      run_checkpoint_bytes(saver.bytes(), config_));
        !written)
        return written;
    saved_ = Clock::now();
    pause_s_ = std::max(checkpoint_s, 20.0 * seconds(saved_ - start));
    looks_ = 0;  // what was due is done, and is not to be found due again
    return {};
}

/// What was refused before this has changed nothing.
Outcome<void> RunRecord::begin() {
    if (std::exchange(begun_, true)) return {};
    return keep_config(*request_, config_);
}

Outcome<void> RunRecord::row(std::vector<report::CsvValue> fields) {
    if (auto kept = begin(); !kept || !request_->ranks->leads()) return kept;
    const std::filesystem::path path = request_->directory / "metrics.csv";
    const auto failed_at = [&](const Error& error) { return describe(error, path.string()); };
    if (!metrics_) {
        auto created = report::CsvFile::create(path, header_);
        if (!created) return tl::unexpected(failed_at(created.error()));
        metrics_.emplace(*std::move(created));
    }
    return metrics_->append(fields).map_error(failed_at);
}

void RunRecord::show(const std::function<std::string()>& line) {
    if (progress_.due()) progress_.show(line());
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_trials.hpp"

#include "apps/dunlin/comparison_plan.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "training/host/workers.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

/// A run, in a thread that nothing may be thrown out of.
Outcome<TrialResult> tried(const Kind& kind, const TrainRequest& request) {
    try {
        return kind.trial(request, interrupted);
    } catch (const std::exception& unforeseen) {  // out of memory, say
        return TrialResult{.failure = unforeseen.what()};
    }
}

/// A run as one rank asks another for it.
std::string question_of(const TrainRequest& request) {
    Json json{{"experiment", request.experiment},
              {"config", request.config},
              {"assignments", request.assignments},
              {"seed", *request.seed}};
    if (request.config_text) json["text"] = *request.config_text;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // a path may be any bytes
}

/// What `run_trials` does.
class Runner {
public:
    Runner(const std::vector<PlannedTrial>& trials, const Kind& kind, Ranks& ranks, int threads, bool quiet)
        : trials_(trials), kind_(kind), ranks_(ranks), threads_(threads), progress_(quiet) {}

    Outcome<bool> run() {
        const int count = static_cast<int>(trials_.size());
        // A worker for each run that can be made at a time, here or by another rank.
        Workers workers(std::max(1, std::min(threads_ * ranks_.count(), count)));
        workers.run(count, [&](int piece, int worker) {
            if (!interrupted() && !has_failed()) run_one(trials_[static_cast<std::size_t>(piece)], worker);
        });
        progress_.finish();
        if (failure_) return tl::unexpected(*failure_);
        return done_ == trials_.size();
    }

private:
    bool has_failed() {
        const std::lock_guard lock(mutex_);
        return failure_.has_value();
    }

    /// What becomes of a run, here or on the rank that the worker stands for.
    Outcome<TrialResult> try_one(const TrainRequest& request, int worker) {
        const int rank = worker / threads_, slot = worker % threads_;
        if (rank == 0) return tried(kind_, request);
        const std::string answer = ranks_.ask(rank, slot, question_of(request));
        if (answer.empty()) return TrialResult{.complete = false};
        return TrialResult::parse(answer, "");
    }

    void run_one(const PlannedTrial& trial, int worker) {
        Outcome<TrialResult> result = try_one(trial.request, worker);
        if (!result) result = TrialResult{.failure = result.error().text};
        if (!result->complete) return;
        result->seed = *trial.request.seed;
        const Outcome<void> kept = write(trial.file, result->json(trial.settings));

        const std::lock_guard lock(mutex_);
        if (!kept) {
            failure_ = kept.error();
            return;
        }
        ++done_;
        failed_ += result->failure.empty() ? 0 : 1;
        *trial.result = *std::move(result);
        if (!progress_.due() && done_ < trials_.size()) return;
        const double elapsed_s = std::chrono::duration<double>(Clock::now() - start_).count();
        const auto left = static_cast<double>(trials_.size() - done_);
        progress_.show(fmt::format("run {}/{}{}  {}  {} left", done_, trials_.size(),
                                   failed_ > 0 ? fmt::format(", {} failed", failed_) : "", trial.label,
                                   duration_text(elapsed_s / static_cast<double>(done_) * left)));
    }

    const std::vector<PlannedTrial>& trials_;
    const Kind& kind_;
    Ranks& ranks_;
    int threads_;
    Progress progress_;
    Clock::time_point start_ = Clock::now();
    std::mutex mutex_;  // guards what follows, the progress line and the results
    std::size_t done_ = 0, failed_ = 0;
    std::optional<Failure> failure_;
};

}  // namespace

Outcome<bool> run_trials(const std::vector<PlannedTrial>& trials, const Kind& kind, Ranks& ranks, int threads,
                         bool quiet) {
    return Runner(trials, kind, ranks, threads, quiet).run();
}

void load_trial(const PlannedTrial& trial) {
    const Outcome<std::string> text = read_text(trial.file);
    if (!text) return;
    Outcome<TrialResult> result = TrialResult::parse(*text, trial.settings);
    if (result && result->seed == *trial.request.seed) *trial.result = *std::move(result);
}

std::string answer_to(const std::string& question) {
    const Json json = Json::parse(question);
    TrainRequest request;
    request.experiment = json.at("experiment");
    request.config = json.at("config");
    request.assignments = json.at("assignments").get<std::vector<std::string>>();
    request.seed = json.at("seed").get<std::uint64_t>();
    if (json.contains("text")) request.config_text = json.at("text").get<std::string>();
    Outcome<TrialResult> result =
        kind_of(request).and_then([&](const Kind* kind) { return tried(*kind, request); });
    if (!result) result = TrialResult{.failure = result.error().text};
    return result->complete ? result->json("") : std::string();
}

}  // namespace dunlin::app

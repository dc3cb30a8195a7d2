// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/navigation.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dunlin::app {

/// Means over tasks; NaN of none.
struct TaskMeans {
    double expected_return = TaskOutcome::none;
    double ratio = TaskOutcome::none;  ///< share of the optimum
    double success = TaskOutcome::none;
    double worst_ratio = TaskOutcome::none;
};

/// What metrics.csv holds for one evaluated iteration.
struct MetricsRow {
    std::int64_t iteration = 0;
    std::int64_t environment_steps = 0;
    std::int64_t gradients = 0;
    double seconds = 0;  ///< of training, without evaluation
    std::vector<TaskOutcome> tasks;
    TaskMeans held_out{};  ///< after report.adaptation_steps
};

/// A finished or interrupted run, as the report and other commands need it.
struct NavigationResult {
    NavigationSettings settings;
    std::string kernels;
    bool evaluates_per_state = false;
    bool complete = false;
    int threads = 1;
    std::int64_t iteration = 0;
    std::int64_t environment_steps = 0;
    std::int64_t gradients = 0;
    double seconds = 0;
    double adaptation_environment_steps = 0;  ///< to take the meta-policy to one training task, on average
    std::vector<std::string> task_names;
    std::vector<MetricsRow> history;
    std::vector<TaskOutcome> tasks;        ///< after a fresh adaptation of the training's length
    std::int64_t evaluated_iteration = 0;  ///< whose policy `tasks` and `held_out` are about
    int evaluation_interval = 1;           ///< iterations
    int distinct_tasks = 0, distinct_held_out = 0;
    std::vector<std::string> held_out_names;
    std::vector<std::vector<TaskOutcome>> held_out;  ///< [task][inner step]
    // Of the policy that training began with, by the same adaptation and the same draws; and of one policy for all
    // training tasks without adaptation. Empty where they were not measured.
    std::vector<TaskOutcome> untrained;
    std::vector<std::vector<TaskOutcome>> held_out_untrained;
    std::vector<TaskOutcome> single_policy, held_out_single;

    double steps_per_second() const { return seconds > 0 ? static_cast<double>(environment_steps) / seconds : 0; }
};

/// Trains until the iterations are done, or `stop` says so between two of them. `progress` is called after each.
/// `result` may hold an earlier part of the same run, which goes on. A row of history is handed to `keep` as soon
/// as it exists; `checkpoint` is called now and then, and before an error is returned.
struct NavigationHooks {
    std::function<bool()> stop = [] { return false; };
    std::function<void(const NavigationResult&)> progress = [](const NavigationResult&) {};
    std::function<Outcome<void>(const MetricsRow&)> keep = [](const MetricsRow&) -> Outcome<void> { return {}; };
    std::function<Outcome<void>(NavigationTraining&, const NavigationResult&)> checkpoint =
        [](NavigationTraining&, const NavigationResult&) -> Outcome<void> { return {}; };
};
Outcome<void> train_navigation(NavigationTraining& training, const NavigationHooks& hooks,
                               NavigationResult& result);

/// Trains without files, for comparisons; left off when the program is interrupted.
/// Environment steps that training takes, without looking at what comes of it; 0 when it was interrupted.
Outcome<std::int64_t> environment_steps_of(const NavigationSettings& settings, const std::function<bool()>& stop);
Outcome<NavigationResult> run_navigation(const NavigationSettings& settings, const std::function<bool()>& stop);

/// A run directory (docs/files.md): config.toml, metrics.csv, checkpoint.dunlin, policy.dunlin, summary.json,
/// plots, report.html. Files are written whole or not at all.
class NavigationRun {
public:
    struct Options {
        std::filesystem::path directory;
        int threads = 1;
        bool quiet = false;
        std::string command;  ///< that makes this run again, for the report
    };

    /// A new run. Errors: settings that do not fit, a directory that cannot be written or holds a run.
    static Outcome<NavigationRun> create(const NavigationSettings& settings, const Options& options);
    /// Goes on with the run in options.directory, whose settings these are.
    static Outcome<NavigationRun> resume(const NavigationSettings& settings, const Options& options);

    /// Trains to the end or until interrupted, and writes what there is. Returns an exit code; `result()` then
    /// holds what summary.json does.
    Outcome<int> train();

    /// What runs, in a line: where it is written, the kernels, how the policy is evaluated.
    std::string description() const;
    const NavigationResult& result() const { return result_; }
    std::string summary_json() const;

private:
    NavigationRun() = default;
    Outcome<void> write_results();
    Outcome<void> write_pictures(const char* name, const char* title, int steps);

    Options options_;
    std::string config_;
    std::unique_ptr<NavigationTraining> training_;
    NavigationResult result_;
};

/// Reads config.toml of a run directory.
Outcome<NavigationSettings> read_run_settings(const std::filesystem::path& directory);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/regression_report.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_record.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"
#include "training/host/workers.hpp"
#include "training/runs/adaptable.hpp"

#include <atomic>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

constexpr std::string_view method_key = "method.name";
constexpr int largest_budget = 5;  ///< of PARS-Push's Figure 1

struct Job {
    RegressionRunSettings settings;
    std::string config;
    std::unique_ptr<RegressionTraining> training;
};

Outcome<Job> job_of(const TrainRequest& request) {
    Job job;
    Settings list = regression_settings(job.settings);
    if (Outcome<void> read = read_settings(request, method_key, list); !read) return tl::unexpected(read.error());
    if (job.settings.method.objective == Objective::plain) job.settings.steps = 0;  // u of what is run
    job.config = list.write();
    auto training = RegressionTraining::make(job.settings, request.threads);
    if (!training) return tl::unexpected(training.error());
    job.training = *std::move(training);
    say_notes(job.training->notes());
    return job;
}

std::string progress_line(const RegressionRunSettings& s, const RegressionRow& row) {
    return fmt::format("round {}/{}  {} updates  {} messages lost  worst node {:.2f} % off", row.round + 1,
                       s.rounds, count_text(static_cast<double>(row.wake_ups)),
                       count_text(static_cast<double>(row.messages_lost)), 100 * row.worst_error);
}

/// The runs that the figures need beside the main one.
struct SideRun {
    std::string name;
    RegressionRunSettings settings;
    RegressionOutcome outcome{};
};

std::vector<SideRun> budgets_of(const RegressionRunSettings& s) {
    std::vector<SideRun> runs;
    for (int steps = 0; steps <= largest_budget; ++steps) {
        if (steps == s.steps || (steps > 0 && !s.personalisation)) continue;
        runs.push_back({fmt::format("u = {}", steps), s});
        runs.back().settings.steps = steps;
        runs.back().settings.method.objective = steps > 0 ? Objective::maml : Objective::plain;
    }
    return runs;
}

/// Figure 2: faults one after the other, and who has no running sums.
std::vector<SideRun> variants_of(const RegressionRunSettings& s) {
    if (!s.robustness || !has_neighbours(s.method.aggregation)) return {};  // nobody else looks at these faults
    RegressionRunSettings quiet = s;
    quiet.wake_gap = quiet.delay_limit = 1;
    quiet.loss = quiet.duplication = 0.0f;
    quiet.crash_gap = 0;
    quiet.absences = {};
    quiet.trace.clear();
    RegressionRunSettings idle = quiet;
    idle.wake_gap = s.wake_gap;
    RegressionRunSettings delayed = idle;
    delayed.delay_limit = s.delay_limit;
    const std::string own(title_of(s.method.aggregation));
    std::vector<SideRun> runs{
        {own + ", no faults", quiet}, {own + ", idle nodes", idle}, {own + ", idle nodes and delays", delayed}};
    for (const AggregationName by : {AggregationName::sgp, AggregationName::pars_push}) {
        if (by == s.method.aggregation || runs.size() > 3) continue;
        RegressionRunSettings rival = s, rival_delayed = delayed;
        rival.method.aggregation = rival_delayed.method.aggregation = by;
        if (by != AggregationName::pars_push) rival.absences = {};  // it cannot lose a node and go on
        runs.push_back({fmt::format("{}, idle nodes and delays", title_of(by)), rival_delayed});
        runs.push_back({fmt::format("{}, losses too", title_of(by)), rival});
    }
    return runs;
}

/// Runs them all, side by side. Returns whether nobody interrupted.
bool run_all(std::vector<SideRun>& runs, int threads, Progress& progress) {
    Workers workers(threads);
    std::atomic<int> done{0};
    RegressionHooks hooks;
    hooks.stop = interrupted;
    workers.run(static_cast<int>(runs.size()), [&](int piece, int worker) {
        SideRun& run = runs[static_cast<std::size_t>(piece)];
        auto outcome = RegressionTraining::make(run.settings, 1).and_then([&](auto&& training) {
            return training->run(hooks);
        });
        if (outcome)
            run.outcome = *std::move(outcome);
        else
            run.outcome.failure = outcome.error().text;
        ++done;
        if (worker == 0 && progress.due())
            progress.show(fmt::format("comparing: {} of {} runs", done, runs.size()));
    });
    return !interrupted();
}

void add_budgets(RegressionResult& result, const std::vector<SideRun>& runs) {
    const RegressionRunSettings& s = result.settings;
    const RegressionOutcome& plain = s.steps == 0 ? result.outcome : runs.front().outcome;
    const auto error_of = [&](const RegressionOutcome& outcome, int steps) -> std::optional<double> {
        if (!outcome.failure.empty()) return std::nullopt;
        return personalised_error(s, outcome.models, steps);
    };
    const auto add = [&](int steps, const RegressionOutcome& outcome) {
        result.budgets.push_back({steps, error_of(outcome, steps), error_of(plain, steps)});
    };
    add(s.steps, result.outcome);
    for (const SideRun& run : runs) {
        if (run.settings.steps > 0 || s.personalisation) add(run.settings.steps, run.outcome);
    }
}

Outcome<void> train(const TrainRequest& request, Job& job, RegressionResult& result) {
    const RegressionRunSettings& s = job.settings;
    const std::vector<std::string> header{"round",       "wake_ups",     "task_gradients", "messages_lost",
                                          "worst_error", "median_error", "consensus_error"};
    auto record = RunRecord::open(request, job.config, header);
    if (!record) return tl::unexpected(record.error());
    Progress& progress = record->progress();
    RegressionHooks hooks;
    record->attach(hooks);
    hooks.keep = [&](const RegressionRow& row) -> Outcome<void> {
        if (progress.due()) progress.show(progress_line(s, row));
        return record->row({row.round, row.wake_ups, row.gradients, row.messages_lost, row.worst_error,
                            row.median_error, row.consensus_error});
    };
    auto outcome = job.training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    result.outcome = *std::move(outcome);
    if (!request.quiet && !result.outcome.history.empty())
        progress.show(progress_line(s, result.outcome.history.back()));
    if (!result.outcome.complete) return {};

    std::vector<SideRun> budgets = budgets_of(s), variants = variants_of(s);
    if (!run_all(budgets, request.threads, progress) || !run_all(variants, request.threads, progress)) {
        result.outcome.complete = false;
        return {};
    }
    for (const auto* runs : {&budgets, &variants}) {
        for (const SideRun& run : *runs) {
            if (!run.outcome.failure.empty()) result.failed.push_back({run.name, run.outcome.failure});
        }
    }
    add_budgets(result, budgets);
    for (SideRun& run : variants) result.variants.push_back({run.name, std::move(run.outcome)});
    if (!variants.empty()) {
        const std::string own = std::string(title_of(s.method.aggregation)) + ", losses too (this run)";
        result.variants.insert(result.variants.begin() + 3, {own, result.outcome});
    }
    return {};
}

TrainedModel model_of(const Job& job, const RegressionOutcome& outcome) {
    TrainedModel model = describe_regression(job.settings);
    model.config = job.config;
    model.shared_is = fmt::format("the mean of the agents' coefficients, seed {}", job.settings.seed);
    model.take_nodes(outcome.models);
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const Job& job, const RegressionResult& result) {
    if (auto written = write_model(request, model_of(job, result.outcome)); !written) return written;
    for (const auto& [name, svg] : regression_plots(result)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    const std::string page = regression_html(result, job.config, request.command());
    if (auto written = write_run_file(request, "report.html", page); !written) return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", regression_summary(result));
}

}  // namespace

Outcome<int> train_regression_kind(const TrainRequest& request) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    if (auto ready = prepare_run(request, job->config); !ready) return tl::unexpected(ready.error());
    catch_interrupts();
    RegressionResult result{.settings = job->settings, .threads = request.threads};
    result.notes = job->training->notes();
    Outcome<void> done = train(request, *job, result);
    if (done) done = write_results(request, *job, result);
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    say("{}", request.json ? regression_summary(result) : report::text_table(regression_table(result)));
    const RegressionOutcome& outcome = result.outcome;
    if (!request.json) {
        say("worst node {:.2f} % from the closed form; mass error {}\n", 100 * outcome.max_relative_error,
            outcome.mass_error ? fmt::format("{}", *outcome.mass_error) : "not defined");
    }
    for (const FailedRun& run : result.failed) note("failed: {}: {}\n", run.name, run.failure);
    if (!outcome.failure.empty()) {
        note("dunlin: {}; try a smaller method.step_scale or a larger method.step_offset\n", outcome.failure);
        return failed;
    }
    if (!outcome.complete) {
        tell(request.quiet,
             fmt::format("stopped; go on with: dunlin train --resume {}", shell_path(request.directory)));
        return stopped;
    }
    tell(request.quiet, fmt::format("report: {}/report.html", request.directory.string()));
    return succeeded;
}

Outcome<std::string> resolve_regression(const TrainRequest& request) {
    return job_of(request).map([](const Job& job) { return job.config; });
}

Outcome<TrialResult> try_regression(const TrainRequest& request, const std::function<bool()>& stop) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    RegressionHooks hooks;
    hooks.stop = stop;
    const Outcome<RegressionOutcome> outcome = job->training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    using Show = Measure::Show;
    const double personal = personalised_error(job->settings, outcome->models, job->settings.steps);
    TrialResult trial;
    trial.complete = outcome->complete || !outcome->failure.empty();
    trial.failure = outcome->failure;
    trial.notes = job->training->notes();
    trial.measures = {
        {"max_relative_error", "worst node's relative error", outcome->max_relative_error, Show::mean, true},
        {"personalised_error", "test error after personalisation", personal, Show::mean, true},
        {"consensus_error", "consensus error", outcome->consensus_error},
        {"messages_lost", "messages lost", static_cast<double>(outcome->messages.lost), Show::count}};
    Curve curve{"error", "Distance from the minimiser", "round", "relative error, median node", {}, {}};
    for (const RegressionRow& row : outcome->history) {
        curve.x.push_back(static_cast<double>(row.round));
        curve.y.push_back(row.median_error);
    }
    trial.curves = {std::move(curve)};
    return trial;
}

}  // namespace dunlin::app

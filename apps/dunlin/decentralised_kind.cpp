// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/decentralised_report.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"
#include "training/runs/adaptable.hpp"

#include <fmt/format.h>

namespace dunlin::app {
namespace {

constexpr std::string_view method_key = "method.name";

struct Job {
    DecentralisedSettings settings;
    std::string config;
    std::unique_ptr<DecentralisedTraining> training;
};

Outcome<Job> job_of(const TrainRequest& request) {
    Job job;
    Settings list = decentralised_settings(job.settings);
    if (Outcome<void> read = read_settings(request, method_key, list); !read) return tl::unexpected(read.error());
    job.config = list.write();
    auto training = DecentralisedTraining::make(job.settings, request.threads);
    if (!training) return tl::unexpected(training.error());
    job.training = *std::move(training);
    say_notes(job.training->notes());
    return job;
}

std::string progress_line(const DecentralisedSettings& s, const DecentralisedRow& row) {
    return fmt::format("iteration {}/{}  training loss {:.4f}  accuracy own {:.3f} balanced {:.3f}", row.iteration,
                       s.iterations, row.train_loss, row.accuracy_own, row.accuracy_balanced);
}

/// The methods of the figure on all data and on few, but for what this run did itself. False when interrupted.
bool add_figure(const TrainRequest& request, DecentralisedResult& result, Progress& progress) {
    using Method = DecentralisedMethod;
    DecentralisedHooks hooks;
    hooks.stop = interrupted;
    for (const bool limited : {false, true}) {
        if (limited && result.settings.limited_rows == 0) continue;
        for (const Method method : {Method::spdb, Method::d2, Method::gnsd, Method::dsgd, Method::alone}) {
            result.figure.push_back({method, limited, result.outcome});
            if (!limited && method == result.settings.method) continue;
            DecentralisedSettings settings = result.settings;
            settings.method = method;
            if (limited) settings.data.split.train_limit = settings.limited_rows;
            auto outcome = DecentralisedTraining::make(settings, request.threads).and_then([&](auto&& training) {
                return training->run(hooks);
            });
            DecentralisedOutcome& kept = result.figure.back().outcome;
            kept = {};
            if (outcome)
                kept = *std::move(outcome);
            else
                kept.failure = outcome.error().text;
            if (interrupted()) return false;
            if (progress.due())
                progress.show(fmt::format("figure: {}{} done", title_of(method), limited ? ", few data," : ""));
        }
    }
    return true;
}

Outcome<void> train(const TrainRequest& request, Job& job, DecentralisedResult& result) {
    const std::filesystem::path path = request.directory / "metrics.csv";
    const std::vector<std::string> header{"iteration",         "train_loss", "accuracy_own",
                                          "accuracy_balanced", "loss_own",   "consensus_error"};
    auto metrics = report::CsvFile::create(path, header);
    if (!metrics) return problem(metrics.error(), path.string());
    Progress progress(request.quiet);
    DecentralisedHooks hooks;
    hooks.stop = interrupted;
    hooks.keep = [&](const DecentralisedRow& row) -> Outcome<void> {
        if (progress.due()) progress.show(progress_line(job.settings, row));
        return metrics
            ->append({row.iteration, row.train_loss, row.accuracy_own, row.accuracy_balanced, row.loss_own,
                      row.consensus_error})
            .map_error([&](const Error& error) { return describe(error, path.string()); });
    };
    auto outcome = job.training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    result.outcome = *std::move(outcome);
    if (!request.quiet) progress.show(progress_line(job.settings, result.outcome.history.back()));
    if (!result.outcome.complete || !job.settings.figure) return {};
    if (!add_figure(request, result, progress)) result.figure.clear();
    return {};
}

TrainedModel model_of(const Job& job, const DecentralisedOutcome& outcome) {
    const DecentralisedSettings& s = job.settings;
    TrainedModel model = job.training->description();
    model.experiment = s.experiment;
    model.config = job.config;
    model.shared_is = fmt::format("the mean of the agents' models by {}, seed {}", title_of(s.method), s.seed);
    model.personal_is = personal_sentence(personalisation_of(s));
    model.take_nodes(outcome.models);
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const Job& job, const DecentralisedResult& result) {
    if (auto written = write_model(request, model_of(job, result.outcome)); !written) return written;
    for (const auto& [name, svg] : decentralised_plots(result)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    const std::string page = decentralised_html(result, job.config, request.command());
    if (auto written = write_run_file(request, "report.html", page); !written) return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", decentralised_summary(result));
}

/// The history's row at this share of the iterations.
const DecentralisedRow& row_at(const DecentralisedOutcome& outcome, double share) {
    return outcome.history[static_cast<std::size_t>(share * static_cast<double>(outcome.history.size() - 1))];
}

}  // namespace

Outcome<int> train_decentralised_kind(const TrainRequest& request) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    if (auto ready = prepare_run(request, job->config); !ready) return tl::unexpected(ready.error());
    catch_interrupts();
    DecentralisedResult result{.settings = job->settings, .threads = request.threads};
    result.notes = job->training->notes();
    Outcome<void> done = train(request, *job, result);
    if (done) done = write_results(request, *job, result);
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    const DecentralisedOutcome& outcome = result.outcome;
    if (request.json) {
        say("{}", decentralised_summary(result));
    } else {
        const DecentralisedRow& last = outcome.history.back();
        say("{}training loss {:.4f}; accuracy: own distribution {:.4f}, balanced {:.4f}; {:.0f} bytes per "
            "agent and iteration\n",
            report::text_table(decentralised_table(result)), last.train_loss, last.accuracy_own,
            last.accuracy_balanced, outcome.bytes_per_iteration);
    }
    for (const DecentralisedVariant& one : result.figure) {
        if (!one.outcome.failure.empty()) note("failed: {}: {}\n", title_of(one), one.outcome.failure);
    }
    if (!outcome.failure.empty()) {
        note("dunlin: {}; try a smaller method.step\n", outcome.failure);
        return failed;
    }
    if (!outcome.complete || interrupted()) {
        tell(request.quiet,
             fmt::format("stopped; again from the start, with the same numbers: dunlin train --resume {}",
                         shell_path(request.directory)));
        return stopped;
    }
    tell(request.quiet, fmt::format("report: {}/report.html", request.directory.string()));
    return succeeded;
}

Outcome<std::string> resolve_decentralised(const TrainRequest& request) {
    return job_of(request).map([](const Job& job) { return job.config; });
}

Outcome<TrialResult> try_decentralised(const TrainRequest& request, const std::function<bool()>& stop) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    DecentralisedHooks hooks;
    hooks.stop = stop;
    const Outcome<DecentralisedOutcome> outcome = job->training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    using Show = Measure::Show;
    const DecentralisedRow& last = outcome->history.back();
    const DecentralisedRow &tenth = row_at(*outcome, 0.1), &half = row_at(*outcome, 0.5);
    TrialResult trial;
    trial.complete = outcome->complete || !outcome->failure.empty();
    trial.failure = outcome->failure;
    trial.notes = job->training->notes();
    trial.measures = {{"train_loss", "training loss", last.train_loss, Show::mean, true},
                      {"test_accuracy_own", "accuracy, own", last.accuracy_own, Show::mean, true,
                       "accuracy on each agent's own distribution"},
                      {"test_accuracy_own_tenth", "own at 1/10", tenth.accuracy_own, Show::mean, true,
                       "accuracy on each agent's own distribution after a tenth of the iterations"},
                      {"test_accuracy_own_half", "own at 1/2", half.accuracy_own},
                      {"test_accuracy_balanced", "balanced", last.accuracy_balanced, Show::mean, true,
                       "accuracy where every label counts the same"},
                      {"train_loss_tenth", "training loss at 1/10", tenth.train_loss, Show::file},
                      {"train_loss_half", "training loss at 1/2", half.train_loss, Show::file},
                      {"test_loss_own", "loss, own", last.loss_own, Show::mean},
                      {"bytes_per_iteration", "bytes per iteration", outcome->bytes_per_iteration, Show::count},
                      {"consensus_error", "consensus error", last.consensus_error, Show::file}};
    Curve loss{"curve-train-loss", "Training loss", "iteration", "cross-entropy", {}, {}};
    Curve own{"curve-own", "Accuracy on each agent's own distribution", "iteration", "accuracy", {}, {}};
    Curve balanced{"curve-balanced", "Accuracy where every label counts the same", "iteration", "accuracy", {}, {}};
    for (const DecentralisedRow& row : outcome->history) {
        for (Curve* curve : {&loss, &own, &balanced}) curve->x.push_back(static_cast<double>(row.iteration));
        loss.y.push_back(row.train_loss);
        own.y.push_back(row.accuracy_own);
        balanced.y.push_back(row.accuracy_balanced);
    }
    trial.curves = {std::move(loss), std::move(own), std::move(balanced)};
    return trial;
}

}  // namespace dunlin::app

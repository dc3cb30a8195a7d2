// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_run.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/federated_report.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_record.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"
#include "training/simulation/federated_clock.hpp"

#include <fmt/format.h>

namespace dunlin::app {
namespace {

std::vector<std::string> metrics_header(const FederatedResult& result) {
    std::vector<std::string> header{"time_s", "updates", "version", "task_gradients", "staleness", "active"};
    for (const char* which : {"personal", "shared"}) {
        for (const std::string& key : result.metric_keys) header.push_back(fmt::format("{}_{}", which, key));
    }
    return header;
}

std::vector<report::CsvValue> metrics_fields(const FederatedRow& row) {
    std::vector<report::CsvValue> fields{row.time_s,    row.updates,   row.version,
                                         row.gradients, row.staleness, row.active};
    for (const auto* values : {&row.personal, &row.shared}) {
        for (double value : *values) fields.emplace_back(value);
    }
    return fields;
}

std::string progress_line(const FederatedJob& job, const FederatedResult& result) {
    const FederatedRow& row = result.history.back();
    const double done = static_cast<double>(result.history.size() - 1) / job.settings.evaluations;
    return fmt::format("{:.0f} s simulated  {} updates  staleness {:.1f}  {} {:.3f} (shared {:.3f})  {} left",
                       row.time_s, row.updates, row.staleness, result.metric_titles.front(), row.personal.front(),
                       row.shared.front(), duration_text(done > 0 ? result.seconds / done * (1 - done) : 0));
}

TrainedModel model_of(const FederatedJob& job, const FederatedResult& result) {
    TrainedModel model = job.problem->description();
    const Personalisation how = job.settings.personalisation(job.problem->split().has_personal());
    const bool alone = job.settings.method == preset::local;
    model.experiment = job.experiment;
    model.config = job.config;
    model.parameters = result.shared_model;
    model.personal = result.personal_models;
    model.shared_is = alone
                          ? "the first parameters, untrained, for every node learned alone"
                          : fmt::format("shared model of {}, seed {}; where nodes hold different ones, their mean",
                                        name_of(job.settings.method), job.seed);
    model.personal_is = personal_sentence(how);
    if (model.personal.empty()) model.notes.push_back("The nodes' own models are too many for this file");
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const FederatedJob& job, const FederatedResult& result) {
    if (!result.shared_model.empty()) {
        if (auto written = write_model(request, model_of(job, result)); !written) return written;
    }
    for (const auto& [name, svg] : federated_plots(job, result)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    if (auto written = write_run_file(request, "report.html", federated_html(job, result, request.command()));
        !written)
        return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", federated_summary(job, result, request.threads));
}

Outcome<void> train(const TrainRequest& request, FederatedJob& job, FederatedResult& result) {
    auto record = RunRecord::open(request, job.config);
    if (!record) return tl::unexpected(record.error());
    const auto keep = [&](const FederatedResult& so_far) -> Outcome<void> {
        if (so_far.history.size() == 1) record->set_header(metrics_header(so_far));
        record->show([&] { return progress_line(job, so_far); });
        return record->row(metrics_fields(so_far.history.back()));
    };
    RunPauses pauses;
    record->attach(pauses);
    Workers workers(request.threads, *request.ranks);
    Outcome<void> trained = train_federated(*job.problem, job.settings, job.seed, workers, pauses, keep, result);
    if (!request.quiet && !result.history.empty()) record->progress().show(progress_line(job, result));
    return trained;
}

/// What is wrong with the settings, before anything is run.
Outcome<void> check(const FederatedJob& job) {
    FederatedSettings traced = job.settings;
    if (auto fit = job.settings.check(job.problem->nodes()); !fit) return fit;
    return follow_trace(traced, job.problem->nodes());
}

}  // namespace

Outcome<std::string> resolved_config(const FederatedJob& job) {
    say_notes(notes_of(job));
    return check(job).map([&] { return job.config; });
}

Outcome<int> run_federated(const TrainRequest& request, FederatedJob& job) {
    if (auto fit = check(job); !fit) return tl::unexpected(fit.error());
    if (auto ready = prepare_run(request, job.config); !ready) return tl::unexpected(ready.error());
    tell(request.quiet, job.data);
    say_notes(notes_of(job));
    catch_interrupts();
    FederatedResult result;
    if (auto trained = train(request, job, result); !trained) {
        note("dunlin: {}\n", trained.error().text);
        return failed;
    }
    if (auto written = write_results(request, job, result); !written) return tl::unexpected(written.error());
    if (request.json) {
        say("{}", federated_summary(job, result, request.threads));
    } else {
        say("{}", report::text_table(federated_table(job, result)));
    }
    if (const std::string warning = worse_than_at_first(job, result); !warning.empty())
        note("dunlin: {}\n", warning);
    if (!result.complete) {
        tell(request.quiet, fmt::format("stopped at {:.0f} simulated seconds; go on with: dunlin train --resume {}",
                                        result.history.back().time_s, shell_path(request.directory)));
        return stopped;
    }
    tell(request.quiet, fmt::format("report: {}/report.html", request.directory.string()));
    return diverged(result) ? failed : succeeded;
}

Outcome<TrialResult> try_federated(FederatedJob& job, const std::function<bool()>& stop) {
    Workers workers(1);
    FederatedResult result;
    const auto keep = [](const FederatedResult&) -> Outcome<void> { return {}; };
    RunPauses pauses;
    pauses.stop = stop;
    if (auto trained = train_federated(*job.problem, job.settings, job.seed, workers, pauses, keep, result);
        !trained)
        return tl::unexpected(trained.error());
    TrialResult trial;
    trial.complete = result.complete;
    if (result.complete && diverged(result)) trial.failure = worse_than_at_first(job, result);
    using Show = Measure::Show;
    const FederatedRow& last = result.history.back();
    const std::string first = result.metric_titles.front();
    for (std::size_t metric = 0; metric < result.metric_keys.size(); ++metric) {
        trial.measures.push_back({result.metric_keys[metric], result.metric_titles[metric] + ", personal",
                                  last.personal[metric], Show::mean, metric == 0});
    }
    const auto rows = static_cast<double>(result.history.size() - 1);
    for (const auto& [key, title, share] :
         {std::tuple{"quarter", "at 1/4 of the clock", 0.25}, std::tuple{"half", "at 1/2 of the clock", 0.5}}) {
        const FederatedRow& row = result.history[static_cast<std::size_t>(rows * share)];
        trial.measures.push_back({fmt::format("{}_{}", result.metric_keys.front(), key),
                                  fmt::format("{} {}", first, title), row.personal.front(), Show::mean, true});
    }
    for (std::size_t metric = 0; metric < result.metric_keys.size(); ++metric) {
        trial.measures.push_back({"shared_" + result.metric_keys[metric], result.metric_titles[metric] + ", shared",
                                  last.shared[metric], metric == 0 ? Show::mean : Show::file});
    }
    trial.measures.push_back({"updates", "updates", static_cast<double>(result.counters.applied), Show::count});
    trial.measures.push_back({"task_gradients", "gradients", static_cast<double>(last.gradients), Show::count});
    Curve personal{"personal", first + " of the personal models", "simulated time (s)", first, {}, {}};
    Curve shared{"shared", first + " of the shared model", "simulated time (s)", first, {}, {}};
    for (const FederatedRow& row : result.history) {
        for (Curve* curve : {&personal, &shared}) curve->x.push_back(row.time_s);
        personal.y.push_back(row.personal.front());
        shared.y.push_back(row.shared.front());
    }
    trial.curves = {std::move(personal), std::move(shared)};
    return trial;
}

}  // namespace dunlin::app

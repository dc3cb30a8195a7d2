// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/fleet_navigation_report.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_record.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"
#include "training/navigation/navigation_model.hpp"

#include <fmt/format.h>

namespace dunlin::app {
namespace {

constexpr std::string_view method_key = "method.name";

struct Job {
    FleetNavigationSettings settings;
    std::string config;
    std::unique_ptr<FleetNavigation> training;
};

Outcome<Job> job_of(const TrainRequest& request) {
    Job job;
    Settings list = fleet_navigation_settings(job.settings);
    if (Outcome<void> read = read_settings(request, method_key, list); !read) return tl::unexpected(read.error());
    job.config = list.write();
    auto training = FleetNavigation::make(job.settings, request.threads, *request.ranks);
    if (!training) return tl::unexpected(training.error());
    job.training = *std::move(training);
    say_notes(job.training->notes());
    return job;
}

std::string progress_line(const FleetNavigationSettings& s, const FleetNavigationRow& row, bool centralised) {
    const std::string where =
        centralised ? fmt::format("centralised iteration {}", row.round)
                    : fmt::format("round {}/{}  {} updates", row.round + 1, s.rounds + s.settling_rounds,
                                  count_text(static_cast<double>(row.wake_ups)));
    return fmt::format("{}  {} steps  mean {:.2f} worst {:.2f} of the optimum{}", where,
                       count_text(static_cast<double>(row.environment_steps)), row.mean(), row.worst(),
                       centralised ? "" : fmt::format("  consensus error {:.2f} %", 100 * row.consensus_error));
}

Outcome<void> train(const TrainRequest& request, Job& job, FleetNavigationResult& result) {
    std::vector<std::string> header{"run", "round", "wake_ups", "env_steps", "consensus_error"};
    for (int i = 0; i < job.settings.nodes; ++i) header.push_back(fmt::format("node{}_ratio", i));
    auto record = RunRecord::open(request, job.config, std::move(header));
    if (!record) return tl::unexpected(record.error());
    FleetNavigationHooks hooks;
    record->attach(hooks);
    hooks.keep = [&](const FleetNavigationRow& row, bool centralised) -> Outcome<void> {
        record->show([&] { return progress_line(job.settings, row, centralised); });
        std::vector<report::CsvValue> fields{centralised ? "centralised" : "fleet", row.round, row.wake_ups,
                                             row.environment_steps, row.consensus_error};
        for (const double ratio : row.ratios) fields.emplace_back(ratio);
        return record->row(std::move(fields));
    };
    auto outcome = job.training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    result.outcome = *std::move(outcome);
    return {};
}

TrainedModel model_of(const Job& job, const FleetNavigationOutcome& outcome) {
    TrainedModel model = navigation_model(job.settings, job.training->shape(), {});
    const AggregationName by = job.settings.method.aggregation;
    model.shared_is =
        fmt::format("{} of a fleet, seed {}",
                    outcome.models.size() > model.shape.parameters() ? "the mean of the nodes' policies"
                    : has_server(by)                                 ? "the server's policy"
                                                                     : "one policy for all tasks",
                    job.settings.seed);
    if (outcome.models.size() == model.shape.parameters()) {
        model.parameters = outcome.models;
    } else {
        model.nodes = outcome.task_names;
        model.take_nodes(outcome.models);
    }
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const Job& job, const FleetNavigationResult& result) {
    if (auto written = write_model(request, model_of(job, result.outcome)); !written) return written;
    for (const auto& [name, svg] : fleet_navigation_plots(result)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    const std::string page = fleet_navigation_html(result, job.config, request.command());
    if (auto written = write_run_file(request, "report.html", page); !written) return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", fleet_navigation_summary(result));
}

}  // namespace

Outcome<int> train_fleet_navigation_kind(const TrainRequest& request) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    if (auto ready = prepare_run(request, job->config); !ready) return tl::unexpected(ready.error());
    catch_interrupts();
    FleetNavigationResult result{.settings = job->settings, .threads = request.threads};
    result.notes = job->training->notes();
    Outcome<void> done = train(request, *job, result);
    if (done) done = write_results(request, *job, result);
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    const FleetNavigationOutcome& outcome = result.outcome;
    say("{}", request.json ? fleet_navigation_summary(result) : report::text_table(fleet_navigation_table(result)));
    if (!request.json) {
        say("consensus error {:.3f} %; mass error {}; {} environment steps\n", 100 * outcome.last.consensus_error,
            outcome.mass_error ? fmt::format("{}", *outcome.mass_error) : "not defined",
            outcome.last.environment_steps);
    }
    if (!outcome.failure.empty()) {
        note("dunlin: {}; try a smaller method.interpolation or a larger method.weight_floor\n", outcome.failure);
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

Outcome<std::string> resolve_fleet_navigation(const TrainRequest& request) {
    return job_of(request).map([](const Job& job) { return job.config; });
}

Outcome<TrialResult> try_fleet_navigation(const TrainRequest& request, const std::function<bool()>& stop) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    FleetNavigationHooks hooks;
    hooks.stop = stop;
    const Outcome<FleetNavigationOutcome> outcome = job->training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    using Show = Measure::Show;
    TrialResult trial;
    trial.complete = outcome->complete || !outcome->failure.empty();
    trial.failure = outcome->failure;
    trial.notes = job->training->notes();
    trial.measures = {
        {"worst_ratio", "of the optimum, worst node", outcome->last.worst(), Show::mean, true},
        {"mean_ratio", "of the optimum, mean of nodes", outcome->last.mean(), Show::mean, true},
        {"consensus_error", "consensus error", outcome->last.consensus_error},
        {"env_steps", "env steps", static_cast<double>(outcome->last.environment_steps), Show::count}};
    Curve curve{"returns", "Return after adaptation", "round", "share of the optimum, mean of nodes", {}, {}};
    for (const FleetNavigationRow& row : outcome->history) {
        curve.x.push_back(static_cast<double>(row.round));
        curve.y.push_back(row.mean());
    }
    trial.curves = {std::move(curve)};
    return trial;
}

}  // namespace dunlin::app

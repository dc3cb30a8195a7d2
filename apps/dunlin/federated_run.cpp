// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_run.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/federated_report.hpp"
#include "apps/dunlin/figures.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/patience.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_record.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Clock = std::chrono::steady_clock;
struct Begun {
    Clock::time_point at = Clock::now();
    double done = 0;
};

/// The columns of a fleet by rounds, with one for each node in place of "node*_KEY".
std::vector<std::string> round_header(const FederatedJob& job) {
    std::vector<std::string> header;
    for (const std::string& column : job.rounds->columns) {
        const std::size_t star = column.find('*');
        if (star == std::string::npos) {
            header.push_back(column);
            continue;
        }
        for (std::uint32_t i = 0; i < job.problem->nodes(); ++i)
            header.push_back(fmt::format("{}{}{}", column.substr(0, star), i, column.substr(star + 1)));
    }
    return header;
}

std::vector<report::CsvValue> round_fields(const FederatedJob& job, const FederatedResult& result) {
    const FederatedRow& row = result.newest();
    const std::pair<std::string_view, report::CsvValue> known[] = {
        {"run", result.beside.empty() ? "fleet" : "centralised"},
        {"round", row.round},
        {"iteration", row.round},
        {"stage", row.round / job.rounds->stage},
        {"inner_steps", row.updates / job.problem->nodes()},
        {"wake_ups", row.updates},
        {"task_gradients", row.gradients},
        {"env_steps", row.environment_steps},
        {"messages_lost", row.messages_lost},
        {"consensus_error", row.consensus_error}};
    std::vector<report::CsvValue> fields;
    for (const std::string& column : job.rounds->columns) {
        if (column.find('*') != std::string::npos) {
            fields.insert(fields.end(), row.by_node.begin(), row.by_node.end());
            continue;
        }
        const auto metric = std::ranges::find(result.metric_keys, column);
        if (metric != result.metric_keys.end()) {
            fields.emplace_back(row.personal[static_cast<std::size_t>(metric - result.metric_keys.begin())]);
            continue;
        }
        fields.push_back(std::ranges::find(known, std::string_view(column),
                                           &std::pair<std::string_view, report::CsvValue>::first)
                             ->second);
    }
    return fields;
}

std::vector<std::string> metrics_header(const FederatedJob& job, const FederatedResult& result) {
    if (job.alone) return job.alone->columns();
    if (job.rounds) return round_header(job);
    std::vector<std::string> header{"time_s", "updates", "version", "task_gradients", "staleness", "active"};
    for (const char* which : {"personal", "shared"}) {
        for (const std::string& key : result.metric_keys) header.push_back(fmt::format("{}_{}", which, key));
    }
    return header;
}

std::vector<report::CsvValue> metrics_fields(const FederatedJob& job, const FederatedResult& result) {
    if (job.rounds) return round_fields(job, result);
    const FederatedRow& row = result.history.back();
    if (job.alone) {
        std::vector<report::CsvValue> fields{row.round, row.environment_steps, row.gradients, row.time_s};
        fields.insert(fields.end(), row.by_node.begin(), row.by_node.end());
        return fields;
    }
    std::vector<report::CsvValue> fields{row.time_s,    row.updates,   row.version,
                                         row.gradients, row.staleness, row.active};
    for (const auto* values : {&row.personal, &row.shared}) {
        for (double value : *values) fields.emplace_back(value);
    }
    return fields;
}

/// `began`: when this part of the run did, and with how much of it done.
std::string solo_line(const FederatedJob& job, const FederatedResult& result, const Begun& began) {
    const auto [done, all, line] = job.alone->progress(result);
    const double now = done - began.done,
                 elapsed_s = std::chrono::duration<double>(Clock::now() - began.at).count();
    return fmt::format("{}  {} left", line,
                       duration_text(now > 0 ? elapsed_s / now * std::max(0.0, all - done) : 0));
}

std::string progress_line(const FederatedJob& job, const FederatedResult& result, const Begun& began) {
    if (job.alone) return solo_line(job, result, began);
    const FederatedRow& row = result.newest();
    if (job.rounds) {
        std::string text = result.beside.empty()
                               ? fmt::format("round {}/{}  {} updates", std::max(row.round + 1, result.last.round),
                                             job.rounds->rounds, count_text(static_cast<double>(row.updates)))
                               : fmt::format("centralised iteration {}", row.round);
        for (std::size_t metric = 0; metric < result.metric_titles.size(); ++metric) {
            if (!result.metric_titles[metric].empty())
                text += fmt::format("  {} {:.3f}", result.metric_titles[metric], row.personal[metric]);
        }
        return text;
    }
    const double done = static_cast<double>(result.history.size() - 1) / job.settings.evaluations;
    return fmt::format("{:.0f} s simulated  {} updates  staleness {:.1f}  {} {:.3f} (shared {:.3f})  {} left",
                       row.time_s, row.updates, row.staleness, result.metric_titles.front(), row.personal.front(),
                       row.shared.front(), duration_text(done > 0 ? result.seconds / done * (1 - done) : 0));
}

TrainedModel model_of(const FederatedJob& job, const FederatedResult& result) {
    if (job.alone) return job.alone->model();
    TrainedModel model = job.experiment.description(*job.problem);
    if (model.config.empty()) model.config = job.config;
    model.take(result.shared_model, result.personal_models);
    if (job.rounds) {
        model.shared_is = job.rounds->shared_is;
        if (!model.personal.empty()) model.nodes = job.problem->description().nodes;
    } else {
        model.shared_is =
            job.settings.method == preset::local
                ? "the first parameters, untrained, for every node learned alone"
                : fmt::format("shared model of {}, seed {}; where nodes hold different ones, their mean",
                              name_of(job.settings.method), job.seed());
    }
    const std::size_t all = result.shared_model.size() * job.problem->nodes();
    if (model.personal.empty() && all > FederatedResult::personal_limit)
        model.notes.push_back("The nodes' own models are too many for this file");
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const FederatedJob& job, const FederatedResult& result,
                            const RunFigures& figures) {
    if (!result.shared_model.empty()) {
        if (auto written = write_model(request, model_of(job, result)); !written) return written;
    }
    for (const auto& [name, svg] : federated_plots(job, result, figures)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    if (auto written =
            write_run_file(request, "report.html", federated_html(job, result, figures, request.command()));
        !written)
        return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", federated_summary(job, result, figures, request.threads));
}

/// Runs what this run is compared with, side by side, where the results are written. Returns whether nobody interrupted.
bool run_side_runs(const TrainRequest& request, const FederatedJob& job, FederatedResult& result,
                   Progress& progress) {
    const RegisteredProblem& kind = job.experiment.kind();
    if (!kind.side_runs || !request.ranks->leads()) return true;
    result.side_runs = kind.side_runs(job.experiment.settings());
    std::atomic<int> done{0};
    RunPauses pauses;
    pauses.stop = interrupted;
    const auto run_one = [&](SideRun& run) -> Outcome<void> {
        ProblemExperiment experiment(kind);
        Settings list = experiment.list();
        if (auto read = list.read(job.config, "config.toml"); !read) return read;
        if (auto set = list.set(run.changes); !set) return set;
        auto other = job_of(std::move(experiment), "", 1, RankGroup::alone());
        if (!other) return tl::unexpected(other.error());
        auto ended = std::make_shared<FederatedResult>();
        const auto keep = [](const FederatedResult&) -> Outcome<void> { return {}; };
        if (auto trained = other->run->run(pauses, keep, *ended); !trained) return trained;
        run.result = std::move(ended);
        run.failure = run.result->failure;
        run.problem = std::move(other->problem);
        return {};
    };
    Workers workers(request.threads);
    workers.run(static_cast<int>(result.side_runs.size()), [&](int piece, int worker) {
        SideRun& run = result.side_runs[static_cast<std::size_t>(piece)];
        if (auto ran = run_one(run); !ran) run.failure = ran.error().text;
        ++done;
        if (worker == 0 && progress.due())
            progress.show(fmt::format("comparing: {} of {} runs", done, result.side_runs.size()));
    });
    return !interrupted();
}

Outcome<void> train(const TrainRequest& request, FederatedJob& job, FederatedResult& result) {
    auto record = RunRecord::open(request, job.config);
    if (!record) return tl::unexpected(record.error());
    std::optional<Begun> began;
    const auto show = [&](const FederatedResult& so_far) {
        record->show([&] {
            if (so_far.history.empty()) return fmt::format("round {}/{}", so_far.last.round, job.rounds->rounds);
            return progress_line(job, so_far, *began);
        });
    };
    const auto keep = [&](const FederatedResult& so_far) -> Outcome<void> {
        if (so_far.history.size() == 1) record->set_header(metrics_header(job, so_far));
        if (!began) began = {Clock::now(), job.alone ? job.alone->progress(so_far).done : 0};
        if (!job.alone) show(so_far);  // which shows every step
        return record->row(metrics_fields(job, so_far));
    };
    RunPauses pauses;
    record->attach(pauses);
    pauses.give_up = out_of_patience;
    pauses.progress = [&] { show(result); };
    Outcome<void> trained = job.run->run(pauses, keep, result);
    if (!request.quiet && !result.history.empty()) record->progress().show(progress_line(job, result, *began));
    // What it learned before a step that gives no numbers is kept.
    if (!trained && job.alone && !result.history.empty() && !trained.error().unable)
        return unable(fmt::format("{}; the parameters before it are in {}", trained.error().text,
                                  checkpoint_path(request).string()));
    if (trained && result.complete && !run_side_runs(request, job, result, record->progress())) {
        result.complete = false;
        result.side_runs.clear();
    }
    return trained;
}

}  // namespace

Outcome<int> run_federated(const TrainRequest& request, FederatedJob& job) {
    if (auto ready = prepare_run(request, job.config); !ready) return tl::unexpected(ready.error());
    tell(request.quiet, job.alone ? fmt::format("{}: {}", request.directory.string(), job.data) : job.data);
    say_notes(job.notes());
    catch_interrupts();
    FederatedResult result;
    if (auto trained = train(request, job, result); !trained) {
        if (job.alone && !trained.error().unable) return tl::unexpected(trained.error());
        note("dunlin: {}\n", trained.error().text);
        return failed;
    }
    const RunFigures figures = figures_of(job, result);
    if (auto written = write_results(request, job, result, figures); !written)
        return tl::unexpected(written.error());
    if (request.json) {
        say("{}", federated_summary(job, result, figures, request.threads));
    } else {
        say("{}", federated_text(job, result, figures));
    }
    for (const std::string& warning : {worse_than_at_first(job, result), undefended_text(result)}) {
        if (!warning.empty()) note("dunlin: {}\n", warning);
    }
    for (const FigureWarning& warning : figures.warnings) {
        if (warning.told) tell(request.quiet, "warning: " + warning.text);
    }
    for (const SideRun& run : result.side_runs) {
        if (!run.failure.empty()) note("failed: {}: {}\n", run.name, run.failure);
    }
    if (!result.failure.empty()) {
        note("dunlin: {}; {}\n", result.failure, job.rounds->advice);
        return failed;
    }
    if (job.alone && !job.alone->left_off().empty()) note("{}\n", job.alone->left_off());
    if (!result.complete) {
        tell(request.quiet,
             fmt::format("stopped{}; go on with: dunlin train --resume {}",
                         job.alone    ? fmt::format(" after iteration {}", result.last.round)
                         : job.rounds ? ""
                                      : fmt::format(" at {:.0f} simulated seconds", result.history.back().time_s),
                         shell_path(request.directory)));
        return stopped;
    }
    tell(request.quiet, fmt::format("report: {}/report.html", request.directory.string()));
    if (job.alone)
        tell(request.quiet,
             fmt::format("next: dunlin adapt {} shows how it adapts to new tasks", shell_path(request.directory)));
    return diverged(result) ? failed : succeeded;
}

Outcome<TrialResult> try_federated(FederatedJob& job, const std::function<bool()>& stop) {
    FederatedResult result;
    const auto keep = [](const FederatedResult&) -> Outcome<void> { return {}; };
    RunPauses pauses;
    pauses.stop = stop;
    pauses.give_up = interrupted;
    if (auto trained = job.run->run(pauses, keep, result); !trained) return tl::unexpected(trained.error());
    TrialResult trial;
    trial.notes = job.notes();
    if (!job.by_clock()) {
        trial.failure = result.failure;
        add_figures(trial, figures_of(job, result, false));
        trial.complete = (result.complete && !trial.measures.empty()) || !result.failure.empty();
        return trial;
    }
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
    add_figures(trial, figures_of(job, result));
    return trial;
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/pdbo_report.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"
#include "training/runs/adaptable.hpp"

#include <atomic>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

constexpr std::string_view method_key = "method.name";

struct Job {
    PdboSettings settings;
    std::string config;
    std::unique_ptr<PdboTraining> training;
};

Outcome<Job> job_of(const TrainRequest& request) {
    Job job;
    Settings list = pdbo_settings(job.settings);
    if (Outcome<void> read = read_settings(request, method_key, list); !read) return tl::unexpected(read.error());
    job.config = list.write();
    auto training = PdboTraining::make(job.settings, request.threads);
    if (!training) return tl::unexpected(training.error());
    job.training = *std::move(training);
    say_notes(job.training->data().notes);
    return job;
}

/// All methods at both budgets, but for this run.
std::vector<PdboPeer> peers_of(const PdboSettings& s) {
    std::vector<PdboPeer> peers;
    if (!s.peers) return peers;
    if (s.method != PdboMethod::pdbo_mtl) peers.push_back({PdboMethod::pdbo_mtl, s.budget});
    for (const PdboMethod method : {PdboMethod::pdbo_mtl_local, PdboMethod::sgp, PdboMethod::local}) {
        for (const PdboBudget budget : {PdboBudget::inner_steps, PdboBudget::gradients}) {
            if (method != s.method || budget != s.budget) peers.push_back({method, budget});
        }
    }
    return peers;
}

/// Runs them side by side. Returns whether nobody interrupted.
bool run_peers(const PdboSettings& s, std::vector<PdboPeer>& peers, int threads, Progress& progress) {
    Workers workers(threads);
    std::atomic<int> done{0};
    PdboHooks hooks;
    hooks.stop = interrupted;
    workers.run(static_cast<int>(peers.size()), [&](int piece, int worker) {
        if (interrupted()) return;
        PdboPeer& peer = peers[static_cast<std::size_t>(piece)];
        PdboSettings own = s;
        own.method = peer.method;
        own.budget = peer.budget;
        PdboHooks here = hooks;
        here.progress = [&](std::int64_t step, std::int64_t steps) {
            if (worker != 0 || !progress.due()) return;
            progress.show(fmt::format("comparing: {} of {} runs  {} step {}/{}", done, peers.size(),
                                      name_of(own.method), step, steps));
        };
        auto outcome = PdboTraining::make(own, 1).and_then([&](auto&& training) { return training->run(here); });
        if (outcome)
            peer.outcome = *std::move(outcome);
        else
            peer.outcome.failure = outcome.error().text;
        ++done;
    });
    return !interrupted();
}

Outcome<void> train(const TrainRequest& request, Job& job, PdboResult& result) {
    const PdboSettings& s = job.settings;
    const std::filesystem::path path = request.directory / "metrics.csv";
    const std::vector<std::string> header{
        "stage",         "inner_steps",   "task_gradients", "validation_accuracy",
        "test_accuracy", "bottom_decile", "train_loss",     "hyper_gradient_norm"};
    auto metrics = report::CsvFile::create(path, header);
    if (!metrics) return problem(metrics.error(), path.string());
    Progress progress(request.quiet);
    PdboHooks hooks;
    hooks.stop = interrupted;
    std::string judged;
    hooks.keep = [&](const PdboRow& row) -> Outcome<void> {
        judged = fmt::format("  test {:.3f} (bottom decile {:.3f})", row.test_accuracy, row.bottom_decile);
        return metrics
            ->append({row.stage, row.inner_steps, row.gradients, row.validation_accuracy, row.test_accuracy,
                      row.bottom_decile, row.train_loss, row.hyper_norm})
            .map_error([&](const Error& error) { return describe(error, path.string()); });
    };
    hooks.progress = [&](std::int64_t step, std::int64_t steps) {
        if (progress.due()) progress.show(fmt::format("{} step {}/{}{}", name_of(s.method), step, steps, judged));
    };
    auto outcome = job.training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    result.outcome = *std::move(outcome);
    if (!request.quiet) {
        progress.show(
            fmt::format("{} step {}{}", name_of(s.method), result.outcome.history.back().inner_steps, judged));
    }
    if (!result.outcome.complete) return {};
    std::vector<PdboPeer> peers = peers_of(s);
    if (!run_peers(s, peers, request.threads, progress)) {
        result.outcome.complete = false;
        return {};
    }
    result.peers = std::move(peers);
    return {};
}

TrainedModel model_of(const Job& job, const PdboOutcome& outcome) {
    const PdboSettings& s = job.settings;
    TrainedModel model = describe_pdbo(s, job.training->data(), job.training->shape());
    model.config = job.config;
    model.shared_is = fmt::format("the mean of the agents' predictors by {}, seed {}, with equal weights",
                                  name_of(s.method), s.seed);
    model.node_weights = outcome.weights;
    model.take_nodes(outcome.models);
    if (model.personal.empty()) model.node_weights.clear();
    return model;
}

Outcome<void> write_results(const TrainRequest& request, const Job& job, const PdboResult& result) {
    if (!result.outcome.models.empty()) {
        if (auto written = write_model(request, model_of(job, result.outcome)); !written) return written;
    }
    for (const auto& [name, svg] : pdbo_plots(result)) {
        if (auto written = write_run_file(request, name, svg); !written) return written;
    }
    const std::string page = pdbo_html(result, job.config, request.command());
    if (auto written = write_run_file(request, "report.html", page); !written) return written;
    // Last: who finds it finds the rest.
    return write_run_file(request, "summary.json", pdbo_summary(result));
}

}  // namespace

Outcome<int> train_pdbo_kind(const TrainRequest& request) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    if (auto ready = prepare_run(request, job->config); !ready) return tl::unexpected(ready.error());
    catch_interrupts();
    PdboResult result{.settings = job->settings,
                      .data = job->training->data().description,
                      .names = job->training->data().names,
                      .threads = request.threads};
    result.notes = job->training->data().notes;
    Outcome<void> done = train(request, *job, result);
    if (done) done = write_results(request, *job, result);
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    say("{}", request.json ? pdbo_summary(result) : report::text_table(pdbo_table(result)));
    for (const PdboPeer& peer : result.peers) {
        if (!peer.outcome.failure.empty()) note("failed: {}: {}\n", title_of(peer), peer.outcome.failure);
    }
    if (!result.outcome.failure.empty()) {
        note("dunlin: {}\n", result.outcome.failure);
        return failed;
    }
    if (!result.outcome.complete) {
        tell(request.quiet,
             fmt::format("stopped; again from the start, with the same numbers: dunlin train --resume {}",
                         shell_path(request.directory)));
        return stopped;
    }
    tell(request.quiet, fmt::format("report: {}/report.html", request.directory.string()));
    return succeeded;
}

Outcome<std::string> resolve_pdbo(const TrainRequest& request) {
    return job_of(request).map([](const Job& job) { return job.config; });
}

Outcome<TrialResult> try_pdbo(const TrainRequest& request, const std::function<bool()>& stop) {
    Outcome<Job> job = job_of(request);
    if (!job) return tl::unexpected(job.error());
    PdboHooks hooks;
    hooks.stop = stop;
    const Outcome<PdboOutcome> outcome = job->training->run(hooks);
    if (!outcome) return tl::unexpected(outcome.error());
    using Show = Measure::Show;
    const PdboRow& best = outcome->best();
    const auto agents = static_cast<std::uint32_t>(job->settings.agents);
    TrialResult trial;
    trial.complete = outcome->complete || !outcome->failure.empty();
    trial.failure = outcome->failure;
    trial.notes = job->training->data().notes;
    trial.measures = {
        {"test_accuracy", "test accuracy, average", best.test_accuracy, Show::mean, true},
        {"test_accuracy_bottom_decile", "bottom decile", best.bottom_decile, Show::mean, true},
        {"validation_accuracy", "validation", best.validation_accuracy, Show::file},
        {"chosen_stage", "outer steps chosen", static_cast<double>(best.stage), Show::file},
        {"inner_steps", "inner steps", static_cast<double>(outcome->history.back().inner_steps), Show::count},
        {"task_gradients", "gradients of an agent", outcome->history.back().gradients, Show::count},
        {"bytes_per_agent", "bytes of an agent",
         static_cast<double>(outcome->counters.push_bytes + outcome->counters.hyper_bytes) / agents, Show::count}};
    Curve test{"test", "Test accuracy, average of the agents", "inner steps", "accuracy", {}, {}};
    Curve decile{"bottom-decile", "Test accuracy, bottom decile", "inner steps", "accuracy", {}, {}};
    for (const PdboRow& row : outcome->history) {
        for (Curve* curve : {&test, &decile}) curve->x.push_back(static_cast<double>(row.inner_steps));
        test.y.push_back(row.test_accuracy);
        decile.y.push_back(row.bottom_decile);
    }
    trial.curves = {std::move(test), std::move(decile)};
    return trial;
}

}  // namespace dunlin::app

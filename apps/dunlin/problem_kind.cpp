// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_report.hpp"
#include "apps/dunlin/federated_run.hpp"
#include "apps/dunlin/run_directory.hpp"

namespace dunlin::app {
namespace {

constexpr std::string_view method_key = "federated.method";
constexpr std::string_view methods =
    "persafl-me,persafl-maml,persafl,pfedme,per-fedavg,fedavg,fedprox,fedasync,fedbuff,pars-push,pars-push-maml,"
    "pars-push-me,local,global";

Outcome<FederatedJob> job_of(const RegisteredProblem& kind, const TrainRequest& request, int threads) {
    ProblemExperiment experiment(kind);
    Settings list = experiment.list();
    if (auto read = read_settings(request, method_key, list); !read) return tl::unexpected(read.error());
    auto problem = experiment.make(threads);
    if (!problem) return tl::unexpected(problem.error());
    const ProblemSettings& settings = experiment.settings();
    return FederatedJob{.experiment = settings.experiment,
                        .seed = settings.seed,
                        .config = list.write(),
                        .nodes_are = kind.nodes_are,
                        .data = experiment.about(**problem),
                        .settings = settings.federated,
                        .problem = *std::move(problem)};
}

}  // namespace

Kind problem_kind(const RegisteredProblem& kind) {
    return {
        .name = kind.name,
        .train = [&kind](const TrainRequest& request) -> Outcome<int> {
            auto job = job_of(kind, request, request.threads);
            if (!job) return tl::unexpected(job.error());
            return run_federated(request, *job);
        },
        .help = [&kind](std::string_view toml) -> std::string {
            ProblemExperiment experiment(kind);
            Settings list = experiment.list();
            const Outcome<void> read = list.read(toml, "the experiment");
            return read ? list.help() : read.error().text + "\n";
        },
        .method_key = method_key,
        .resolve =
            [&kind](const TrainRequest& request) { return job_of(kind, request, 1).and_then(resolved_config); },
        .trial = [&kind](const TrainRequest& request, const std::function<bool()>& stop) -> Outcome<TrialResult> {
            auto job = job_of(kind, request, 1);
            if (!job) return tl::unexpected(job.error());
            return try_federated(*job, stop).map([&](TrialResult trial) {
                trial.notes = notes_of(*job);
                return trial;
            });
        },
        .methods = methods,
        .spreads = true};
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_report.hpp"
#include "apps/dunlin/federated_run.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "fleet/classification_fleet.hpp"

#include <fmt/format.h>

namespace dunlin::app {
namespace {

Outcome<FederatedJob> classification_job(const TrainRequest& request, int threads) {
    ClassificationSettings settings;
    Settings list = classification_settings(settings);
    if (auto read = read_settings(request, "federated.method", list); !read) return tl::unexpected(read.error());
    auto problem = make_classification_problem(settings, threads);
    if (!problem) return tl::unexpected(problem.error());
    return FederatedJob{
        .experiment = settings.experiment,
        .seed = settings.seed,
        .config = list.write(),
        .nodes_are = "clients",
        .data = fmt::format(
            "Classification: {}. {} clients, {} of each one's rows held out{}.",
            settings.data.path.empty() ? "generated digits" : settings.data.path, (*problem)->nodes(),
            settings.data.split.test_fraction,
            settings.data.split.conflicting ? "; every client names the labels in a way of its own" : ""),
        .settings = settings.federated,
        .problem = *std::move(problem)};
}

}  // namespace

Outcome<int> train_classification_kind(const TrainRequest& request) {
    auto job = classification_job(request, request.threads);
    if (!job) return tl::unexpected(job.error());
    return run_federated(request, *job);
}

Outcome<std::string> resolve_classification(const TrainRequest& request) {
    return classification_job(request, 1).and_then(resolved_config);
}

Outcome<TrialResult> try_classification(const TrainRequest& request, const std::function<bool()>& stop) {
    auto job = classification_job(request, 1);
    if (!job) return tl::unexpected(job.error());
    return try_federated(*job, stop).map([&](TrialResult trial) {
        trial.notes = notes_of(*job);
        return trial;
    });
}

}  // namespace dunlin::app

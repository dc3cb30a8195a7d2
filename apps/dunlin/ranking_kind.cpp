// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_report.hpp"
#include "apps/dunlin/federated_run.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "fleet/ranking_fleet.hpp"

#include <fmt/format.h>

namespace dunlin::app {
namespace {

Outcome<FederatedJob> ranking_job(const TrainRequest& request, int threads) {
    RankingSettings settings;
    Settings list = ranking_settings(settings);
    if (auto read = read_settings(request, "federated.method", list); !read) return tl::unexpected(read.error());
    auto problem = make_ranking_problem(settings, threads);
    if (!problem) return tl::unexpected(problem.error());
    return FederatedJob{
        .experiment = settings.experiment,
        .seed = settings.seed,
        .config = list.write(),
        .nodes_are = "users",
        .data = fmt::format("Search ranking: {}, {}. {} users.",
                            settings.path.empty() ? "generated queries" : settings.path,
                            settings.validate ? "judged on the last fifth of each user's training queries"
                                              : "judged on the test split",
                            (*problem)->nodes()),
        .settings = settings.federated,
        .problem = *std::move(problem)};
}

}  // namespace

Outcome<int> train_ranking_kind(const TrainRequest& request) {
    auto job = ranking_job(request, request.threads);
    if (!job) return tl::unexpected(job.error());
    return run_federated(request, *job);
}

Outcome<std::string> resolve_ranking(const TrainRequest& request) {
    return ranking_job(request, 1).and_then(resolved_config);
}

Outcome<TrialResult> try_ranking(const TrainRequest& request, const std::function<bool()>& stop) {
    auto job = ranking_job(request, 1);
    if (!job) return tl::unexpected(job.error());
    return try_federated(*job, stop).map([&](TrialResult trial) {
        trial.notes = notes_of(*job);
        return trial;
    });
}

}  // namespace dunlin::app

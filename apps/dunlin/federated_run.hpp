// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "training/runs/federated_training.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace dunlin::app {

/// A run of a registered problem that is ready to start, whatever its task is.
struct FederatedJob {
    ProblemExperiment experiment;
    std::string config;                              ///< the resolved settings
    std::string data = {};                           ///< what is learned from, for the report
    FederatedSettings settings = {};                 ///< how nodes learn
    std::unique_ptr<FederatedProblem> problem = {};  ///< null where there are no nodes
    std::unique_ptr<SoloCourse> alone = {};          ///< null where there are
    std::optional<RoundPlan> rounds = {};            ///< of a fleet that lives by rounds
    std::unique_ptr<Workers> workers = {};
    std::unique_ptr<FederatedRun> run = {};

    bool by_clock() const { return !alone && !rounds; }
    const std::string& name() const { return experiment.settings().experiment; }
    std::uint64_t seed() const { return experiment.settings().seed; }
    const std::string& nodes_are() const { return experiment.kind().nodes_are; }
    const DataNotes& notes() const { return run->notes(); }
};

/// A job of these settings, which `config` are as text. Errors: the kind's; settings that do not fit; the network.
Outcome<FederatedJob> job_of(ProblemExperiment experiment, std::string config, int threads, RankGroup& ranks);

/// Trains and writes a run directory (docs/files.md): config.toml, metrics.csv, summary.json, plots, report.html.
/// Returns the exit code.
Outcome<int> run_federated(const TrainRequest& request, FederatedJob& job);

/// One run in one thread without files, for comparisons.
Outcome<TrialResult> try_federated(FederatedJob& job, const std::function<bool()>& stop);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "training/runs/federated_training.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace dunlin::app {

/// A federated experiment that is ready to run, whatever its task is.
struct FederatedJob {
    std::string experiment;
    std::uint64_t seed = 1;
    std::string config;     ///< the resolved settings
    std::string nodes_are;  ///< "users" or "clients"
    std::string data;       ///< what is learned from, for the report
    FederatedSettings settings;
    std::unique_ptr<FederatedProblem> problem;
};

/// Trains and writes a run directory (docs/files.md): config.toml, metrics.csv, summary.json, plots, report.html.
/// A run that is resumed is replayed from its seed, which ends with the same numbers. Returns the exit code.
Outcome<int> run_federated(const TrainRequest& request, FederatedJob& job);

/// The resolved settings, after checking that a run of them could start.
Outcome<std::string> resolved_config(const FederatedJob& job);

/// One run in one thread without files, for comparisons.
Outcome<TrialResult> try_federated(FederatedJob& job, const std::function<bool()>& stop);

}  // namespace dunlin::app

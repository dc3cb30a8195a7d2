// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/run_pauses.hpp"
#include "training/problems/federated_problem.hpp"
#include "training/simulation/federated_fleet.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace dunlin {

/// One moment at which models were judged.
struct FederatedRow {
    double time_s = 0;  ///< simulated
    std::uint64_t updates = 0;
    std::uint64_t version = 0;
    std::int64_t gradients = 0;    ///< charged so far
    double staleness = 0;          ///< mean over the updates since the row before
    double active = 0;             ///< share of clients computing, mean since the row before
    std::vector<double> shared;    ///< the problem's metrics, of the shared model as it is
    std::vector<double> personal;  ///< of the models that the clients make of it

    template <class Archive>
    void fields(Archive& archive) {
        archive(time_s, updates, version, gradients, staleness, active, shared, personal);
    }
};

struct FederatedResult {
    bool complete = false;
    std::vector<std::string> metric_keys, metric_titles;
    std::vector<FederatedRow> history;
    std::vector<std::uint64_t> staleness;     ///< FederatedFleet::staleness_counts
    std::vector<double> personal_by_node;     ///< the first metric at the end, of each node that is honest
    std::vector<std::uint32_t> liars;         ///< the others, whom no figure counts
    FleetCounters counters;                   ///< without a server `applied` counts wake-ups
    std::optional<double> consensus_error;    ///< without a server: of the shared parameters
    std::optional<std::uint64_t> mass_error;  ///< and of the total mass: 0 (invariant 1)
    std::vector<float> shared_model;          ///< at the end: what nodes were given, their mean
    std::vector<float>
        personal_models;  ///< and made of it, node by node; empty: more than `personal_limit` numbers
    static constexpr std::size_t personal_limit = TrainedModel::personal_limit;
    double seconds = 0;  ///< of real time, evaluation included
    std::uint64_t trace = 0;
};

/// Called with a result that has a new row, those of an earlier part of the run first; an error ends the run.
using FederatedKeep = std::function<Outcome<void>(const FederatedResult&)>;

/// Trains over the simulated clock, and judges the models `evaluations` times on the way and at both ends. `local`
/// and `global` take their steps at median speed instead. When `pauses` stop it it ends early, with the rows so far; it
/// goes on from an earlier part, also of one that had ended, where settings give it more time. The numbers do not
/// depend on the number of workers. `workers` and `problem` have as many threads.
Outcome<void> train_federated(FederatedProblem& problem, const FederatedSettings& settings, std::uint64_t seed,
                              Workers& workers, const RunPauses& pauses, const FederatedKeep& keep,
                              FederatedResult& result);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/federated_problem.hpp"
#include "training/problems/side_course.hpp"
#include "training/simulation/federated_fleet.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

/// One moment at which models were judged.
struct FederatedRow {
    double time_s = 0;          ///< simulated; of a fleet by the clock
    std::int64_t round = 0;     ///< that was the last; of a fleet by rounds, or an iteration of a run beside it
    std::uint64_t updates = 0;  ///< without a server wake-ups
    std::uint64_t version = 0;
    std::int64_t gradients = 0;          ///< charged so far
    std::int64_t environment_steps = 0;  ///< sampled in training so far
    std::int64_t messages_lost = 0;      ///< by rounds
    double staleness = 0;                ///< mean over the updates since the row before
    double active = 0;                   ///< share of clients computing, mean since the row before
    double consensus_error = std::numeric_limits<double>::quiet_NaN();  ///< by rounds
    std::vector<double> shared = {};    ///< the problem's metrics, of the shared model as it is; by rounds empty
    std::vector<double> personal = {};  ///< of the models that the clients make of it
    std::vector<double> by_node = {};   ///< by rounds: of each node's the first

    template <class Archive>
    void fields(Archive& archive) {
        archive(time_s, round, updates, version, gradients, environment_steps, messages_lost, staleness, active,
                consensus_error, shared, personal, by_node);
    }
};

struct FederatedResult {
    bool complete = false;
    std::string failure;  ///< by rounds: what stopped it, a node that diverged; empty else
    std::vector<std::string> metric_keys, metric_titles;
    std::vector<FederatedRow> history;
    std::size_t selected = 0;  ///< the row whose models the run ends with, of a plan that says best_by
    FederatedRow last;         ///< the models at the end: the last row, that one, or as they are judged then
    std::vector<FederatedRow> beside;         ///< of the run in one process that goes with it, where there is one
    std::vector<std::uint64_t> staleness;     ///< FederatedFleet::staleness_counts
    std::vector<double> personal_by_node;     ///< the first metric at the end, of each node that is honest
    std::vector<std::uint32_t> liars;         ///< the others, whom no figure counts
    std::vector<FleetScore> scores;           ///< by rounds: of each node's model at the end
    std::uint64_t undefended = 0;             ///< rounds of too few updates for the defence, which changed nothing
    FleetCounters counters;                   ///< without a server `applied` counts wake-ups
    GossipCounters gossip;                    ///< by rounds
    simulation::Counters messages;            ///< by rounds
    std::uint32_t edges = 0;                  ///< by rounds, of the graph
    std::optional<double> consensus_error;    ///< without a server: of the shared parameters
    std::optional<std::uint64_t> mass_error;  ///< and of the total mass: 0 (invariant 1)
    std::vector<float> shared_model;          ///< at the end: what nodes were given, their mean
    std::vector<float>
        personal_models;  ///< and made of it, node by node; empty: more than `personal_limit` numbers
    static constexpr std::size_t personal_limit = TrainedModel::personal_limit;
    double seconds = 0;  ///< of real time, evaluation included
    std::uint64_t trace = 0;
    std::vector<SideRun> side_runs;  ///< once they have been

    const FederatedRow& newest() const { return beside.empty() ? history.back() : beside.back(); }
};

}  // namespace dunlin

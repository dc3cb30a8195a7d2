// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"
#include "envs/regression.hpp"
#include "training/axes/axes.hpp"
#include "training/host/failure.hpp"
#include "training/host/run_pauses.hpp"
#include "training/settings/settings.hpp"
#include "training/simulation/round_settings.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// All that a run of decentralised regression can be told. Defaults are PARS-Push's section 5.
struct RegressionRunSettings : RoundSettings {
    std::string kind = "regression";
    std::string experiment = "regression";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

    RegressionSettings data = RegressionSettings::paper();

    int steps = 1;             ///< u, the personalisation budget
    float inner_rate = 0.08f;  ///< alpha

    Method method{Objective::maml, AggregationName::pars_push};
    float step_scale = 0.0f;      ///< c of theta(t) = c / (t + t0); 0: 2 / mean curvature of F^(u)
    float step_offset = 0.0f;     ///< t0; 0: 20 c times the largest curvature
    bool personalisation = true;  ///< also train for the other budgets, for the figure
    bool robustness = true;       ///< also train with fewer faults and by stochastic gradient push

    RegressionRunSettings() {
        graph = "erdos-renyi";
        probability = 0.15f;
        loss_limit = 1;
        loss = 0.3f;
        rounds = 6000;
        weight_floor = 0x1p-12f;
        evaluate_every = 20;
    }
};

/// The list of these settings, for files, --set and help.
Settings regression_settings(RegressionRunSettings& settings);

/// The fleet at the end of one round. Errors are relative distances |z - z*| / |z*| from the minimiser of F^(u).
struct RegressionRow {
    std::int64_t round = 0;
    std::int64_t wake_ups = 0;
    std::int64_t gradients = 0;
    std::int64_t messages_lost = 0;
    double worst_error = 0;   ///< over nodes
    double median_error = 0;  ///< over nodes
    double consensus_error = 0;

    template <class Archive>
    void fields(Archive& archive) {
        archive(round, wake_ups, gradients, messages_lost, worst_error, median_error, consensus_error);
    }
};

struct RegressionOutcome {
    static constexpr int tail_rounds = 500;

    bool complete = false;
    std::string failure;  ///< what stopped it: a node that diverged; empty else
    std::vector<RegressionRow> history;
    std::vector<double> node_errors;  ///< the median of each node over the last tail_rounds rounds
    double max_relative_error = 0;    ///< the worst of them
    std::optional<std::uint64_t> mass_error;
    double consensus_error = 0;
    GossipCounters counters;
    simulation::Counters messages;
    std::uint64_t trace = 0;
    std::vector<float> models;  ///< z of all nodes at the end
    double step_scale = 0, step_offset = 0;
    std::uint32_t edges = 0;
    double seconds = 0;
};

struct RegressionHooks : RunPauses {
    /// Those of an earlier part of the run first.
    std::function<Outcome<void>(const RegressionRow&)> keep = [](const RegressionRow&) -> Outcome<void> {
        return {};
    };
};

/// A run that is ready to start.
class RegressionTraining {
public:
    /// Errors: settings that do not fit each other or the network.
    static Outcome<std::unique_ptr<RegressionTraining>> make(const RegressionRunSettings& settings, int threads);
    virtual ~RegressionTraining() = default;

    /// What the graph's file says that is not used, or was renumbered.
    virtual const DataNotes& notes() const = 0;

    /// From the first round, or where an earlier part was left off, to the last, once. A run that had ended goes on
    /// where settings give it more rounds. Errors: what hooks return, and an earlier part of another run. A node that
    /// diverges is an outcome with a `failure`.
    virtual Outcome<RegressionOutcome> run(const RegressionHooks& hooks) = 0;
};

/// The mean over agents of E |b - a'z_u|^2, where z_u is what `steps` stochastic gradient steps make of the agent's
/// own model in `models`: the test error after personalisation. The same batches for the same settings.
double personalised_error(const RegressionRunSettings& settings, std::span<const float> models, int steps);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/regression.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/simulation/round_settings.hpp"

#include <memory>
#include <span>
#include <vector>

namespace dunlin {

/// Decentralised regression: every agent draws samples of its own linear model. Defaults are PARS-Push's section 5.
struct RegressionRunSettings : ProblemSettings, RoundSettings {
    RegressionSettings data = RegressionSettings::paper();

    int steps = 1;             ///< u, the personalisation budget, and the envelope's inner steps
    float inner_rate = 0.08f;  ///< alpha
    float prox_weight = 1.0f;  ///< lambda of the Moreau envelope

    float step_scale = 0.0f;   ///< c of theta(t) = c / (t + t0); 0: 2 / mean curvature of F
    float step_offset = 0.0f;  ///< t0; 0: 20 c times the largest curvature

    bool personalisation = true;  ///< also train for the other budgets, for the figure
    bool robustness = true;       ///< also train with fewer faults and by stochastic gradient push

    RegressionRunSettings() {
        kind = experiment = "regression";
        federated.method = {Objective::maml, AggregationName::pars_push};
        graph = "erdos-renyi";
        probability = 0.15f;
        loss_limit = 1;
        loss = 0.3f;
        rounds = 6000;
        weight_floor = 0x1p-12f;
        evaluate_every = 20;
    }

    /// The steps of the objective: none of the plain one.
    int budget() const { return federated.objective() == Objective::plain ? 0 : steps; }
};

/// The list of these settings, for files, --set and help.
Settings regression_settings(RegressionRunSettings& settings);
/// The problem "regression", for registered_problems.
ProblemKind<RegressionRunSettings> regression_kind();
/// Its agents, for so many callers at a time. Errors: settings that do not fit each other.
Outcome<std::unique_ptr<FederatedProblem>> make_regression(const RegressionRunSettings& settings, int threads);

/// A run is judged by its last rounds.
inline constexpr int regression_tail_rounds = 500;

/// The steps theta(t) of rounds without a server; where the settings leave them to the curvature, by that of F.
StepSchedule regression_steps(const RegressionRunSettings& settings);

/// The mean over agents of E |b - a'z_u|^2, where z_u is what `steps` stochastic gradient steps make of the agent's
/// own model in `models`: the test error after personalisation. The same batches for the same settings.
double personalised_error(const RegressionRunSettings& settings, std::span<const float> models, int steps);

/// What a run adds to its report, and the runs that it is compared with.
void report_regression(const RegressionRunSettings& settings, FederatedProblem& agents,
                       const FederatedResult& result, RunFigures& figures);
std::vector<SideRun> regression_side_runs(const RegressionRunSettings& settings);

}  // namespace dunlin

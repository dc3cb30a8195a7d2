// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_planning.hpp"
#include "envs/navigation_tasks.hpp"
#include "training/navigation/navigation.hpp"
#include "training/problems/policy_problem.hpp"
#include "training/simulation/round_settings.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;

/// Meta-reinforcement learning on a fleet: every node owns one navigation task on a grid and adapts to it by an inner
/// loop; what it optimises (as a rule MEMRL's Moreau envelope) and how the fleet agrees is the method's affair.
/// Defaults are those of experiments/fleet-navigation.toml.
struct FleetNavigationSettings : ProblemSettings, RoundSettings {
    int nodes = 8;
    std::string map = "empty-7x7";
    std::vector<std::string> rows;  ///< or the map itself
    std::vector<int> start;         ///< row, column; empty: random
    Reward reward = Reward::sparse;
    bool permute_actions = true;
    float wind_limit = 0.1f;
    float slip_limit = 0.0f;
    int horizon = 30;
    float discount = 0.95f;

    std::vector<int> hidden{64, 64};
    Activation activation = Activation::tanh;
    PolicyInput input = PolicyInput::one_hot;
    float output_gain = 0.01f;
    std::vector<std::string> personal_layers;

    MoreauEnvelope inner{.prox_weight = 0.01f,  // lambda
                         .inner_rate = 1.0f,    // beta
                         .accuracy = 0.0f,      // nu
                         .step_limit = 10,
                         .step_clip = 0.5f,
                         .fresh_batches = true};
    bool first_order = true;  ///< with MAML: leave the Hessians and scores out
    RolloutSettings rollout{.trajectories = 40};

    float interpolation = 0.05f;        ///< eta lambda of one round at the start
    float step_offset = 0.0f;           ///< t0: the step of round t is t0 / (t + t0) of that; 0: constant
    float rate = 0.1f;                  ///< eta of one round with another objective than the Moreau envelope
    float local_interpolation = 0.15f;  ///< eta lambda of a local step

    int adaptations = 10;     ///< that an evaluation takes the mean of
    bool centralised = true;  ///< also train in one process, for as many environment steps

    FleetNavigationSettings() {
        kind = experiment = "fleet-navigation";
        settling_rounds = 300;
        server_rate = 0.2f;
        federated.method = preset::pars_push_me;
        federated.bilevel = {.personal_rate = 1.0f};
        federated.ditto = {.prox_weight = 0.01f, .personal_rate = 1.0f, .steps = 1};
    }
};

/// The list of these settings, for files, --set and help.
Settings fleet_navigation_settings(FleetNavigationSettings& settings);
/// Those that nodes of older Dunlins do not know.
NewerSettings newer_fleet_navigation_settings();
/// The problem "fleet-navigation", for registered_problems.
ProblemKind<FleetNavigationSettings> navigation_fleet_kind();

/// How its nodes learn.
FederatedSettings learning_of(const FleetNavigationSettings& settings);
/// Its nodes, for so many callers at a time. Errors: settings that do not fit each other, the map.
Outcome<std::unique_ptr<FederatedProblem>> make_navigation_fleet(const FleetNavigationSettings& settings,
                                                                 int threads);

/// Navigation tasks, one for each node, which are judged by the exact return over the optimal one.
struct NavigationWorld : PolicyWorld<GridNavigation> {
    std::shared_ptr<const std::vector<GridTask>> tasks;  ///< the environments are views of them

    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const;
    std::vector<FleetMetric> metrics(const FleetScore& score) const;
    std::vector<FleetMetric> node_metrics(std::uint32_t node, const FleetScore& score) const;
    std::vector<FleetMetric> metrics_of(std::span<const FleetScore> scores) const;

    /// Of the node's task; each is planned when it is first asked for.
    double optimum(std::uint32_t node) const;

    mutable std::vector<double> optima{};  ///< 0: not planned yet
};
using NavigationFleet = WorldProblem<NavigationWorld>;

/// What a run adds to its report.
void report_navigation_fleet(const FleetNavigationSettings& settings, FederatedProblem& fleet,
                             const FederatedResult& result, RunFigures& figures);

/// The model of a fleet's policy of this shape. The map goes with it where the settings name a file.
TrainedModel navigation_model(const FleetNavigationSettings& settings, const MlpShape& shape);

/// The tasks of a fleet's nodes and its inner loop, as one process sees them.
NavigationSettings in_one_process(const FleetNavigationSettings& fleet);
/// The other way round: what nodes of `fleet` do with a policy that was trained in one process. Errors: what nodes
/// do not have.
Outcome<FleetNavigationSettings> on_a_fleet(const NavigationSettings& settings, FleetNavigationSettings fleet);

/// Nothing, or what in these settings makes another network than the policy's, by key.
Outcome<void> check_network(const FleetNavigationSettings& settings, const TrainedModel& policy);

}  // namespace dunlin

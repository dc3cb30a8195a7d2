// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/bilevel.hpp"
#include "core/adapt/ditto.hpp"
#include "core/adapt/maml.hpp"
#include "envs/data_notes.hpp"
#include "training/axes/axes.hpp"
#include "training/host/failure.hpp"
#include "training/host/rank_group.hpp"
#include "training/host/run_pauses.hpp"
#include "training/navigation/navigation.hpp"
#include "training/settings/deployment.hpp"
#include "training/settings/settings.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// Meta-reinforcement learning on a fleet: every node owns one navigation task and adapts to it by an inner loop;
/// what it optimises (as a rule MEMRL's Moreau envelope) and how the fleet agrees is the method's affair.
/// Defaults are those of experiments/fleet-navigation.toml.
struct FleetNavigationSettings {
    std::string kind = "fleet-navigation";
    std::string experiment = "fleet-navigation";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

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
    Bilevel bilevel{.personal_rate = 1.0f};
    Ditto ditto{.prox_weight = 0.01f, .personal_rate = 1.0f, .steps = 1};

    std::string graph = "directed-ring";
    float probability = 0.3f;
    std::string graph_file;
    int wake_gap = 2;
    int delay_limit = 2;
    int loss_limit = -1;
    float loss = 0.2f;
    int crash_gap = 0;
    int downtime = 20;
    AbsenceSettings absences;
    std::string trace;      ///< a file of NetworkTrace; empty: none
    float tick_ms = 50.0f;  ///< that a round lasts, as a trace of round trips counts it

    Method method = preset::pars_push_me;
    int rounds = 600;
    int settling_rounds = 300;          ///< after them, in which nodes learn no more and only agree
    float interpolation = 0.05f;        ///< eta lambda of one round at the start
    float step_offset = 0.0f;           ///< t0: the step of round t is t0 / (t + t0) of that; 0: constant
    float rate = 0.1f;                  ///< eta of one round with another objective than the Moreau envelope
    int local_steps = 1;                ///< Q, with a server
    float local_interpolation = 0.15f;  ///< eta lambda of a local step
    float server_rate = 0.2f;           ///< beta
    int fraction_bits = 48;
    float largest_value = 1000.0f;
    float weight_floor = 0.01f;

    int evaluate_every = 50;
    int adaptations = 10;     ///< that an evaluation takes the mean of
    bool centralised = true;  ///< also train in one process, for as many environment steps

    Deployment deployment;
};

/// The list of these settings, for files, --set and help.
Settings fleet_navigation_settings(FleetNavigationSettings& settings);
/// Settings that nodes of older Dunlins do not know, each with the value that they go by: while it has that, a
/// job's text leaves it out.
std::span<const std::pair<std::string_view, std::string_view>> newer_fleet_navigation_settings();

struct FederatedSettings;
GraphRecipe graph_recipe(const FleetNavigationSettings& settings);
GossipSettings gossip_settings(const FleetNavigationSettings& settings);
/// The inner loop as MAML has it.
Maml maml_of(const FleetNavigationSettings& settings);
/// Of the methods with a server.
FederatedSettings federated_settings(const FleetNavigationSettings& settings);

/// How well every task is adapted to at some moment: exact return over optimal return, of the node's own
/// parameters after the inner loop, the mean of several such adaptations.
struct FleetNavigationRow {
    std::int64_t round = 0;  ///< or iteration, of a centralised run
    std::int64_t wake_ups = 0;
    std::int64_t environment_steps = 0;
    double consensus_error = 0;  ///< NaN of a centralised run
    std::vector<double> ratios;  ///< by node

    double worst() const;
    double mean() const;

    template <class Archive>
    void fields(Archive& archive) {
        archive(round, wake_ups, environment_steps, consensus_error, ratios);
    }
};

struct FleetNavigationOutcome {
    bool complete = false;
    std::string failure;  ///< what stopped it: a node that diverged; empty else
    std::vector<std::string> task_names;
    std::vector<double> optimal_returns;
    std::vector<FleetNavigationRow> history;
    FleetNavigationRow last;
    std::vector<FleetNavigationRow> centralised;
    std::optional<std::uint64_t> mass_error;
    GossipCounters counters;
    simulation::Counters messages;
    std::vector<float> models;  ///< policies of all nodes at the end, or the one that they share
    std::uint64_t trace = 0;
    double seconds = 0;
};

struct FleetNavigationHooks : RunPauses {
    /// A row of the fleet's history, or of the centralised run's; those of an earlier part of the run first.
    std::function<Outcome<void>(const FleetNavigationRow&, bool centralised)> keep =
        [](const FleetNavigationRow&, bool) -> Outcome<void> { return {}; };
};

/// A run that is ready to start.
class FleetNavigation {
public:
    /// Errors: settings that do not fit each other, the map or the network. Nodes are spread over `ranks`, which outlive
    /// the run; all of them make it.
    static Outcome<std::unique_ptr<FleetNavigation>> make(const FleetNavigationSettings& settings, int threads,
                                                          RankGroup& ranks = RankGroup::alone());
    virtual ~FleetNavigation() = default;

    /// What was assumed of the settings; what the graph's file says that is not used, or was renumbered.
    virtual const DataNotes& notes() const = 0;

    /// From the first round, or where an earlier part was left off, to the last, once. A run that had ended goes on
    /// where settings give it more rounds. Errors: what hooks return, and an earlier part of another run. A node that
    /// diverges is an outcome with a `failure`.
    virtual const MlpShape& shape() const = 0;
    virtual Outcome<FleetNavigationOutcome> run(const FleetNavigationHooks& hooks) = 0;
};

}  // namespace dunlin

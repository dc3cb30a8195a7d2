// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "training/axes/objective_settings.hpp"
#include "training/axes/round_network_settings.hpp"
#include "training/navigation/fleet_navigation.hpp"
#include "training/settings/run_settings.hpp"
#include "training/simulation/any_fleet.hpp"

#include <algorithm>

namespace dunlin {

GraphRecipe graph_recipe(const FleetNavigationSettings& s) {
    GraphRecipe recipe;
    recipe.kind = s.graph;
    recipe.nodes = static_cast<std::uint32_t>(s.nodes);
    recipe.probability = static_cast<double>(s.probability);
    recipe.path = s.graph_file;
    return recipe;
}

Maml maml_of(const FleetNavigationSettings& s) {
    Maml maml;
    maml.steps = s.inner.step_limit;
    maml.inner_rate = s.inner.inner_rate;
    maml.first_order = s.first_order;
    maml.score_term = !s.first_order;  // what is sampled depends on the parameters
    maml.step_clip = s.inner.step_clip;
    return maml;
}

GossipSettings gossip_settings(const FleetNavigationSettings& s) {
    GossipSettings gossip;
    gossip.seed = s.seed;
    const bool envelope = s.method.objective == Objective::moreau;
    const double largest = envelope
                               ? static_cast<double>(s.interpolation) / static_cast<double>(s.inner.prox_weight)
                               : static_cast<double>(s.rate);
    const auto offset = static_cast<double>(s.step_offset);
    gossip.theta = {offset > 0.0 ? largest * offset : largest, offset, s.wake_gap};
    gossip.format.fraction_bits = s.fraction_bits;
    gossip.largest_value = s.largest_value;
    gossip.weight_floor = s.weight_floor;
    gossip.link = simulation::LinkProfile::rounds(
        s.delay_limit,
        s.loss_limit < 0 ? simulation::LinkProfile::unbounded : static_cast<std::uint32_t>(s.loss_limit), s.loss);
    gossip.wake_gap = s.wake_gap;
    gossip.lives.up_mean = s.crash_gap;
    gossip.lives.down_mean = s.downtime;
    gossip.absences = s.absences;
    gossip.absences.graph = graph_recipe(s);
    gossip.learn_until = s.rounds;
    return gossip;
}

FederatedSettings federated_settings(const FleetNavigationSettings& s) {
    FederatedSettings federated;
    federated.method = s.method;
    federated.moreau = s.inner;
    if (s.method.objective == Objective::maml) federated.maml = maml_of(s);
    federated.local_rate = federated.maml_local_rate = s.rate;
    federated.buffer_size = std::min(federated.buffer_size, s.nodes);
    federated.moreau_local_rate =
        (has_server(s.method.aggregation) ? s.local_interpolation : s.interpolation) / s.inner.prox_weight;
    federated.bilevel = s.bilevel;
    federated.ditto = s.ditto;
    federated.fedprox_weight = s.inner.prox_weight;
    federated.local_steps = s.local_steps;
    federated.server_rate = s.server_rate;
    federated.clock.loss = s.loss;
    federated.clock.patience_s = 100.0f;
    return federated;
}

std::span<const std::pair<std::string_view, std::string_view>> newer_fleet_navigation_settings() {
    static constexpr std::pair<std::string_view, std::string_view> newer[] = {
        {"environment.rows", "[]"},
        {"environment.start", "[]"},
        {"environment.slip_limit", "0.0"},
        {"policy.input", "\"one-hot\""},
        {"policy.personal_layers", "[]"},
        {"adaptation.baseline", "\"leave-one-out\""},
        {"adaptation.first_order", "true"},
        {"bilevel.personal_rate", "1.0"},
        {"bilevel.ridge", "0.0"},
        {"bilevel.hyper_gradient", "\"cheap\""},
        {"bilevel.neumann_terms", "10"},
        {"bilevel.neumann_rate", "0.02"},
        {"ditto.prox_weight", "0.01"},
        {"ditto.personal_rate", "1.0"},
        {"ditto.steps", "1"},
        {"method.rate", "0.1"},
        {"network.trace", "\"\""},
        {"network.tick_ms", "50.0"}};
    return newer;
}

Settings fleet_navigation_settings(FleetNavigationSettings& s) {
    using Range = Settings::Range;
    Settings list;
    add_run_settings(list, s);

    list.add("environment.nodes", s.nodes, "nodes, each with a task of its own", Range{1, grid_task_limit});
    list.add_path("environment.map", s.map, "built-in map (empty-RxC, four-rooms, ...) or a MovingAI .map file",
                  is_built_in_map);
    list.add("environment.rows", s.rows, "a map of its own: '.' is free, '#' a wall; instead of map");
    list.add("environment.start", s.start, "[row, column]; [] for a random start", Range{0, 65535});
    list.add("environment.reward", s.reward, "sparse: 1 at the goal, which ends; dense: 1 - distance, no end",
             {{"sparse", Reward::sparse}, {"dense", Reward::dense}});
    list.add("environment.permute_actions", s.permute_actions, "each task permutes the five actions");
    list.add("environment.wind_limit", s.wind_limit, "tasks have wind up to this probability", Range{0, 1});
    list.add("environment.slip_limit", s.slip_limit, "tasks slip up to this probability", Range{0, 1});
    list.add("environment.horizon", s.horizon, "steps of a trajectory H", Range{1, 10000});
    list.add("environment.discount", s.discount, "gamma", Range{0, 1, true});

    list.add("policy.hidden", s.hidden, "widths of the hidden layers; [] is a table", Range{1, 4096});
    list.add("policy.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});
    list.add("policy.input", s.input, "what a policy sees",
             {{"one-hot", PolicyInput::one_hot}, {"coordinates", PolicyInput::coordinates}});
    list.add("policy.output_gain", s.output_gain, "scale of the last layer at the start", Range{0, 10});

    list.add("policy.personal_layers", s.personal_layers,
             "layers that never leave their node: first, last, numbers from 0; empty: none");

    list.add("adaptation.prox_weight", s.inner.prox_weight, "lambda: pull towards the node's parameters",
             Range{0, 1e6, true});
    list.add("adaptation.inner_rate", s.inner.inner_rate, "beta: step size of the inner loop", Range{0, 1e3, true});
    list.add("adaptation.steps", s.inner.step_limit, "most steps of the inner loop", Range{1, 1000});
    list.add("adaptation.accuracy", s.inner.accuracy,
             "nu: the inner loop stops at this gradient norm; 0: at its step limit", Range{0, 1e6});
    list.add("adaptation.first_order", s.first_order,
             "with MAML: leave Hessians and scores out; with them it takes far smaller steps");
    list.add("adaptation.step_clip", s.inner.step_clip, "longest inner step, as a norm; 0: no limit",
             Range{0, 1e6});
    list.add("adaptation.trajectories", s.rollout.trajectories, "trajectories in a batch D", Range{2, 100000});
    list.add("adaptation.baseline", s.rollout.baseline, "what rewards to go are centred by",
             {{"none", Baseline::none}, {"leave-one-out", Baseline::leave_one_out}, {"linear", Baseline::linear}});

    add_bilevel_settings(list, "bilevel", s.bilevel);
    add_ditto_settings(list, s.ditto);

    add_round_network_settings(list, s);
    list.add("network.crash_gap", s.crash_gap, "mean rounds between a node's crashes; 0: none", Range{0, 1e9});
    list.add("network.downtime", s.downtime, "mean rounds until it restarts", Range{1, 1e9});
    add_absence_settings(list, s.absences);
    add_trace_settings(list, s.trace, s.tick_ms);

    auto names = with_neighbours(Objective::moreau);
    for (auto& [name, method] : names) {
        if (method.aggregation == AggregationName::spd) name = "d2";
    }
    names.insert(names.end(), {{"spdb", preset::spdb},
                               {"persafl-me", preset::persafl_me},
                               {"pfedme", preset::pfedme},
                               {"local", {Objective::moreau, AggregationName::local}},
                               {"global", {Objective::moreau, AggregationName::global}}});
    list.add_preset("method.name", s.method,
                    "a method with the Moreau envelope, which is an objective.name and an aggregation.name; write "
                    "these instead for any other pair",
                    std::move(names), {"objective.name", "aggregation.name"});
    add_axes(list, s.method);
    list.add("method.rounds", s.rounds,
             "rounds in which nodes learn; with a server: as many updates a node, on average", Range{1, 1e6})
        .may_change();
    list.add("method.settling_rounds", s.settling_rounds, "rounds after them in which they only agree",
             Range{0, 1e6})
        .may_change();
    list.add("method.interpolation", s.interpolation, "eta lambda of one round, at the start", Range{0, 1, true});
    list.add("method.rate", s.rate, "eta of one round with another objective than moreau", Range{0, 1e3, true});
    list.add("method.step_offset", s.step_offset, "t0: round t steps t0 / (t + t0) of that; 0: constant",
             Range{0, 1e9});
    list.add("method.local_steps", s.local_steps, "with a server: Q, local steps of an update", Range{1, 1000});
    list.add("method.local_interpolation", s.local_interpolation, "with a server: eta lambda of a local step",
             Range{0, 0.999, true});
    list.add("method.server_rate", s.server_rate, "beta of persafl-me: between 1/n and 5/n", Range{0, 10, true});
    list.add("method.fraction_bits", s.fraction_bits, "of the fixed point in which mass is kept", Range{8, 60});
    list.add("method.largest_value", s.largest_value, "a node whose parameters go beyond has diverged",
             Range{0, 1e9, true});
    list.add("method.weight_floor", s.weight_floor,
             "push-sum weight that a node never gives away; 0.01 where nodes crash or losses have no bound",
             Range{0, 0.25});

    list.add("report.evaluate_every", s.evaluate_every, "rounds between evaluations", Range{1, 1e6}).may_change();
    list.add("report.adaptations", s.adaptations, "adaptations that an evaluation takes the mean of", Range{1, 100})
        .may_change();
    list.add("report.centralised", s.centralised, "moreau: train in one process too, for as many environment steps")
        .may_change();
    add_deployment_settings(list, s.deployment);
    return list;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "training/axes/objective_settings.hpp"
#include "training/problems/navigation_fleet.hpp"

namespace dunlin {

NewerSettings newer_fleet_navigation_settings() {
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
        {"hgp.inner_steps", "10"},
        {"hgp.neumann_steps", "5"},
        {"method.rate", "0.1"},
        {"network.trace", "\"\""},
        {"network.tick_ms", "50.0"}};
    return newer;
}

Settings fleet_navigation_settings(FleetNavigationSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);

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

    add_bilevel_settings(list, "bilevel", s.federated.bilevel);
    add_ditto_settings(list, s.federated.ditto);
    add_series_settings(list, s.federated.series);

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
    list.add_preset("method.name", s.federated.method,
                    "a method with the Moreau envelope, which is an objective.name and an aggregation.name; write "
                    "these instead for any other pair",
                    std::move(names), {"objective.name", "aggregation.name"});
    add_axes(list, s.federated.method);
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
    add_mass_settings(list, s);

    list.add("report.evaluate_every", s.evaluate_every, "rounds between evaluations", Range{1, 1e6}).may_change();
    list.add("report.adaptations", s.adaptations, "adaptations that an evaluation takes the mean of", Range{1, 100})
        .may_change();
    list.add("report.centralised", s.centralised, "moreau: train in one process too, for as many environment steps")
        .may_change();
    add_deployment_settings(list, s.federated.deployment);
    return list;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/problems/regression_fleet.hpp"

namespace dunlin {

Settings regression_settings(RegressionRunSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);

    list.add("environment.agents", s.data.agents, "n", Range{2, 100000});
    list.add("environment.dimension", s.data.dimension, "d", Range{1, regression_dimension_limit});
    list.add("environment.batch", s.data.batch, "b: samples in a batch", Range{1, regression_batch_limit});
    list.add("environment.noise", s.data.noise, "sigma: deviation of the observations", Range{0, 1000});
    list.add("environment.spread", s.data.spread, "deviation of each agent's coefficients from the common ones",
             Range{0, 1000});
    list.add("environment.group_shift", s.data.group_shift,
             "what the first half of the agents has more of a common shift and the second less", Range{0, 1000});
    list.add("environment.first_feature_scale", s.data.feature_scale[0], "deviation of features, first half",
             Range{0, 1000});
    list.add("environment.second_feature_scale", s.data.feature_scale[1], "deviation of features, second half",
             Range{0, 1000});

    list.add("adaptation.steps", s.steps, "u: steps of MAML, or of the envelope's inner loop; 0: plain",
             Range{0, Maml::step_limit});
    list.add("adaptation.inner_rate", s.inner_rate, "alpha: size of these steps", Range{0, 10});
    list.add("adaptation.prox_weight", s.prox_weight, "moreau: lambda, the pull towards an agent's coefficients",
             Range{0, 1e6, true});

    add_round_network_settings(list, s);
    list.add("network.duplication", s.duplication, "probability that a message arrives twice", Range{0, 1});
    list.add("network.crash_gap", s.crash_gap,
             "mean rounds between a node's crashes (see method.weight_floor); 0: none", Range{0, 1e9});
    list.add("network.downtime", s.downtime, "mean rounds until it restarts", Range{1, 1e9});
    add_absence_settings(list, s.absences);
    add_trace_settings(list, s.trace, s.tick_ms);

    auto names = with_neighbours(Objective::maml);
    names.insert(names.end(), {{"persafl-maml", preset::persafl_maml},
                               {"per-fedavg", preset::per_fedavg},
                               {"local", {Objective::maml, AggregationName::local}},
                               {"global", {Objective::maml, AggregationName::global}}});
    list.add_preset(
        "method.name", s.federated.method,
        "a method with MAML, which is an objective.name and an aggregation.name; write these instead for "
        "any other pair",
        std::move(names), {"objective.name", "aggregation.name"});
    add_axes(list, s.federated.method);
    list.add("method.rounds", s.rounds, "T; with a server: as many updates a node, on average", Range{1, 1e9})
        .may_change();
    list.add("method.local_steps", s.local_steps, "with a server: Q, local steps of an update", Range{1, 1000});
    list.add("method.server_rate", s.server_rate, "beta of persafl: between 1/n and 5/n", Range{0, 10, true});
    list.add("method.step_scale", s.step_scale, "c of theta(t) = c / (t + t0); 0: 2 / mean curvature",
             Range{0, 1e6});
    list.add("method.step_offset", s.step_offset, "t0; 0: 20 c times the largest curvature", Range{0, 1e9});
    add_mass_settings(list, s);

    list.add("report.evaluate_every", s.evaluate_every, "rounds between rows of metrics.csv", Range{1, 1e6})
        .may_change();
    list.add("report.personalisation", s.personalisation, "train for the budgets 1 to 5 and plain too, and compare")
        .may_change();
    list.add("report.robustness", s.robustness, "train with fewer faults and by plain push too, and compare")
        .may_change();
    add_deployment_settings(list, s.federated.deployment);
    return list;
}

}  // namespace dunlin

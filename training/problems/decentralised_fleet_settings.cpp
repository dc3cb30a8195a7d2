// SPDX-License-Identifier: Apache-2.0
#include "training/axes/objective_settings.hpp"
#include "training/problems/decentralised_fleet.hpp"

namespace dunlin {

Settings decentralised_settings(DecentralisedSettings& s) {
    using Range = Settings::Range;
    const Range rate{0, 1e3, true};
    Settings list = problem_settings(s);
    add_data_settings(list, s.data);

    list.add("model.hidden", s.hidden, "widths of the hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}, {"sigmoid", Activation::sigmoid}});
    list.add("model.input_transform", s.input_transform,
             "an affine transform of the inputs in front, as layer 0, which starts as the identity");
    list.add("model.personal_layers", s.personal_layers,
             "layers that never leave their agent: first, last, numbers from 0");

    add_round_network_settings(list, s);

    list.add_preset("method.name", s.federated.method,
                    "how agents learn, which is an objective.name and an aggregation.name; write these instead for "
                    "any other pair",
                    decentralised_methods(), {"objective.name", "aggregation.name"});
    add_axes(list, s.federated.method);
    list.add("method.iterations", s.rounds, "T", Range{1, 1e8}).may_change();
    list.add("method.batch", s.batch, "samples in a batch, at either level", Range{1, 16384});
    list.add("method.step", s.step, "step size of the shared layers, SPDB's 1/(alpha n)", rate);
    list.add("method.mixing", s.mixing,
             "weights of neighbours; automatic: the first of the others whose spectrum SPDB can live with",
             {{"automatic", Mixing::automatic},
              {"laplacian", Mixing::laplacian},
              {"metropolis", Mixing::metropolis},
              {"lazy-metropolis", Mixing::lazy_metropolis}});
    list.add("method.rho_over_tau", s.rho_over_tau, "rho/tau of I - (rho/tau) A'A, for mixing = laplacian",
             Range{0, 1, true});
    add_bilevel_settings(list, "method", s.federated.bilevel);
    add_series_settings(list, s.federated.series);
    list.add("method.personal_for_all", s.personal_for_all,
             "d2, gnsd and dsgd keep the personal layers at home too, unlike their authors' versions");
    add_mass_settings(list, s);

    list.add("report.evaluations", s.evaluations, "how often the models are judged", Range{1, 10000}).may_change();
    list.add("report.figure", s.figure, "train by the other methods too, on all data and on few, and compare")
        .may_change();
    list.add("report.limited_rows", s.limited_rows, "of each agent, where data are few; 0: leave that out",
             Range{0, 1e8})
        .may_change();
    add_deployment_settings(list, s.federated.deployment);
    return list;
}

}  // namespace dunlin

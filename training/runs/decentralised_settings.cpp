// SPDX-License-Identifier: Apache-2.0
#include "training/axes/objective_settings.hpp"
#include "training/runs/decentralised.hpp"
#include "training/settings/run_settings.hpp"

namespace dunlin {

AggregationName recursion_of(DecentralisedMethod method) {
    switch (method) {
        case DecentralisedMethod::gnsd:
            return AggregationName::gnsd;
        case DecentralisedMethod::dsgd:
            return AggregationName::dsgd;
        default:
            return AggregationName::spd;
    }
}

Settings decentralised_settings(DecentralisedSettings& s) {
    using Range = Settings::Range;
    const Range rate{0, 1e3, true};
    Settings list;
    add_run_settings(list, s);

    add_data_settings(list, s.data);

    list.add("model.hidden", s.hidden, "widths of the hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}, {"sigmoid", Activation::sigmoid}});
    list.add("model.input_transform", s.input_transform,
             "an affine transform of the inputs in front, as layer 0, which starts as the identity");
    list.add("model.personal_layers", s.personal_layers,
             "layers that never leave their agent: first, last, numbers from 0");

    list.add("network.graph", s.graph, "ring, complete, star, erdos-renyi-undirected, or file");
    list.add("network.probability", s.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("network.file", s.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");

    list.add("method.name", s.method, "how agents learn",
             {{"spdb", DecentralisedMethod::spdb},
              {"d2", DecentralisedMethod::d2},
              {"gnsd", DecentralisedMethod::gnsd},
              {"dsgd", DecentralisedMethod::dsgd},
              {"alone", DecentralisedMethod::alone}});
    list.add("method.iterations", s.iterations, "T", Range{1, 1e8}).may_change();
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
    add_bilevel_settings(list, "method", s.bilevel);
    list.add("method.personal_for_all", s.personal_for_all,
             "d2, gnsd and dsgd keep the personal layers at home too, unlike their authors' versions");

    list.add("report.evaluations", s.evaluations, "how often the models are judged", Range{1, 10000}).may_change();
    list.add("report.figure", s.figure, "train by the other methods too, on all data and on few, and compare")
        .may_change();
    list.add("report.limited_rows", s.limited_rows, "of each agent, where data are few; 0: leave that out",
             Range{0, 1e8})
        .may_change();
    return list;
}

}  // namespace dunlin

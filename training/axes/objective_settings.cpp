// SPDX-License-Identifier: Apache-2.0
#include "training/axes/objective_settings.hpp"

namespace dunlin {

void add_bilevel_settings(Settings& list, const std::string& section, Bilevel& bilevel) {
    using Range = Settings::Range;
    const Range rate{0, 1e3, true};
    list.add(section + ".personal_rate", bilevel.personal_rate, "beta: step size of the personal layers", rate);
    list.add(section + ".ridge", bilevel.ridge, "weight of |y|^2/2 at the lower level", Range{0, 1e3});
    list.add(section + ".hyper_gradient", bilevel.hyper_gradient,
             "cheap: as if personal layers did not react; neumann: with the implicit term",
             {{"cheap", HyperGradient::cheap}, {"neumann", HyperGradient::neumann}});
    list.add(section + ".neumann_terms", bilevel.neumann_terms, "M: length of the Neumann series", Range{0, 1000});
    list.add(section + ".neumann_rate", bilevel.neumann_rate, "eta: below 2 / the lower level's curvature", rate);
}

void add_series_settings(Settings& list, SeriesPlan& series) {
    using Range = Settings::Range;
    list.add("hgp.inner_steps", series.inner_rounds,
             "T: rounds in which the shared parameters step, before each step of a node's own", Range{1, 1e6});
    list.add("hgp.neumann_steps", series.series_rounds,
             "M: rounds that push the derivative of all nodes' costs; 0: a node's own derivative alone",
             Range{0, 1000});
}

void add_ditto_settings(Settings& list, Ditto& ditto) {
    using Range = Settings::Range;
    list.add("ditto.prox_weight", ditto.prox_weight, "lambda: pull of a node's own model towards the shared one",
             Range{0, 1e3});
    list.add("ditto.personal_rate", ditto.personal_rate,
             "step size of a node's own model; times prox_weight below 1", Range{0, 1e3, true});
    list.add("ditto.steps", ditto.steps, "steps of a node's own model for every model that it is given",
             Range{0, 10000});
}

}  // namespace dunlin

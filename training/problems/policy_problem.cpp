// SPDX-License-Identifier: Apache-2.0
#include "training/problems/policy_problem.hpp"

namespace dunlin {

void add_policy_settings(Settings& list, PolicySettings& s, bool gaussian) {
    using Range = Settings::Range;
    list.add("environment.nodes", s.nodes, "nodes, each with an environment of its own", Range{1, 1e6});
    list.add("model.hidden", s.hidden, "widths of the policy's hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});
    list.add("model.personal_layers", s.personal_layers,
             "layers that never leave their node: first, last, numbers from 0; empty: none");
    list.add("model.output_gain", s.output_gain, "scale of the last layer at the start", Range{0, 10});
    if (gaussian)
        list.add("model.first_log_sigma", s.first_log_sigma, "logarithm of the actions' deviation at the start",
                 Range{-10, 10});
    list.add("model.baseline", s.baseline, "what rewards to go are centred by",
             {{"none", Baseline::none}, {"leave-one-out", Baseline::leave_one_out}, {"linear", Baseline::linear}});
    list.add("adaptation.step_clip", s.step_clip,
             "longest step of maml's and moreau's inner loops, and to a personal model, as a norm; 0: no limit",
             Range{0, 1e6});
    list.add("report.trajectories", s.judged, "trajectories that a policy is judged on, at least", Range{1, 1e6});
}

}  // namespace dunlin

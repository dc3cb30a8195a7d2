// SPDX-License-Identifier: Apache-2.0
#include "training/problems/pdbo_fleet.hpp"

namespace dunlin {

std::string_view name_of(PdboMethod method) {
    switch (method) {
        case PdboMethod::pdbo_mtl:
            return "pdbo-mtl";
        case PdboMethod::pdbo_mtl_local:
            return "pdbo-mtl-local";
        case PdboMethod::sgp:
            return "sgp";
        case PdboMethod::local:
            return "local";
    }
    return {};
}

Settings pdbo_settings(PdboSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    list.add("data.task", s.task, "images of digits, or the next character of what a speaker says",
             {{"digits", PdboTask::digits}, {"characters", PdboTask::characters}});
    list.add_path(
        "data.path", s.path,
        "digits: folder of IDX files (MNIST); characters: text of lines \"SPEAKER: ...\"; empty: generated");
    list.add("data.agents", s.agents, "n; characters: the speakers who say most", Range{2, 1000});
    list.add("data.test_fraction", s.test_fraction,
             "of each agent's rows, held out; a quarter of the rest validates", Range{0.01, 0.9});
    list.add("data.rows", s.rows, "digits: use the first rows only; 0: all, or 10000 generated", Range{0, 1e8});
    list.add("data.side", s.digits.side, "generated digits: pixels of an image's side", Range{4, 64});
    list.add("data.wobble", s.digits.wobble, "generated digits: how much the strokes vary", Range{0, 10});
    list.add("data.noise", s.digits.noise, "generated digits: deviation per pixel", Range{0, 10});
    list.add("data.alpha", s.alpha, "digits: Dirichlet split by labels; small: agents see few",
             Range{0, 1e6, true});
    list.add("data.clusters", s.clusters, "digits: groups of agents that normalise pixels in a way of their own",
             Range{1, 1000});
    list.add("data.cluster_labels", s.cluster_labels,
             "digits: each group also names the labels in a way of its own");
    list.add("data.context", s.context, "characters: how many the next is guessed from", Range{1, 16});
    list.add("data.characters", s.speech.characters, "characters: most of each speaker", Range{10, 1e6});
    list.add("data.dialects", s.speech.dialects, "generated speech: dialects that speakers mix", Range{1, 100});
    list.add("data.sharpness", s.speech.sharpness, "generated speech: how certain a dialect's next character is",
             Range{0, 20});
    list.add("data.spread", s.speech.spread, "generated speech: how differently speakers mix", Range{0, 20});

    list.add("model.predictors", s.mixture.predictors, "K: predictors that an agent averages",
             Range{1, MixtureSettings::predictor_limit});
    list.add("model.hidden", s.hidden, "widths of a predictor's hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});

    list.add("network.probability_low", s.probability_low,
             "an edge is there in a round with a probability of its own, at least this", Range{0, 1, true});
    list.add("network.probability_high", s.probability_high, "and at most this", Range{0, 1, true});
    list.add("network.fraction_bits", s.fraction_bits, "of the fixed point in which mass is kept", Range{8, 60});

    list.add("method.name", s.method, "who is personal, and by what gradient",
             {{"pdbo-mtl", PdboMethod::pdbo_mtl},
              {"pdbo-mtl-local", PdboMethod::pdbo_mtl_local},
              {"sgp", PdboMethod::sgp},
              {"local", PdboMethod::local}});
    list.add("method.budget", s.budget, "what the cheaper methods get as much of as PDBO-MTL",
             {{"inner-steps", PdboBudget::inner_steps}, {"gradients", PdboBudget::gradients}});
    list.add("method.inner_steps", s.inner_steps, "T: steps before the first and after every outer step",
             Range{1, 1e6});
    list.add("method.inner_rate", s.inner_rate, "eta; a tenth and a hundredth at the end of T",
             Range{0, 1000, true});
    list.add("method.inner_ridge", s.mixture.inner_ridge, "L2 on the predictors", Range{0, 100});
    list.add("method.batch", s.mixture.batch, "rows a step", Range{1, classification_batch_limit});
    list.add("method.outer_steps", s.outer_steps, "of Adam on the personal weights", Range{0, 10000}).may_change();
    list.add("method.outer_rate", s.outer_rate, "their size", Range{0, 1000, true});
    list.add("method.outer_ridge", s.mixture.outer_ridge, "L2 on the personal weights' logits", Range{0, 100});
    list.add("method.neumann_steps", s.neumann_steps, "M: rounds of hyper-gradient push; 0: the local gradient",
             Range{0, 100000});
    list.add("method.one_sample", s.one_sample,
             "one batch and graph for both Jacobians of a round, at half the cost; false: Algorithm 2 as printed");
    list.add("method.largest_value", s.largest_value, "an agent whose parameters go beyond has diverged",
             Range{0, 1e9, true});

    list.add("report.peers", s.peers, "run the other methods too, for the report's table").may_change();
    return list;
}

}  // namespace dunlin

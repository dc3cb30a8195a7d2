// SPDX-License-Identifier: Apache-2.0
#include "training/problems/federated_learners.hpp"

#include <fmt/format.h>

namespace dunlin {

Outcome<void> keep_beside(PersonalLayers& layers, const FederatedSettings& settings, ConstVector<float> first) {
    if (keeps_slopes(settings)) layers.keep_slopes();
    if (traits_of(settings.objective()).kept != Kept::model) return {};
    if (layers.split().has_personal())
        return refuse(fmt::format(
            "objective.name = {}: a node keeps a whole model of its own, so set model.personal_layers = []",
            name_of(settings.objective())));
    layers.keep_models(first);
    return {};
}

void make_personal(FederatedProblem& problem, const PersonalLayers& layers, const Personalisation& how,
                   std::uint32_t node, Stream& random, Vector<float> theta, int worker) {
    if (layers.keeps_models()) return (void)std::ranges::copy(layers.model_of(node), theta.begin());
    const std::vector<float> w(theta.begin(), theta.end());
    problem.personalise(node, w, how, random, theta, worker);
}

LearnerOf learner_of(FederatedProblem& problem, const FederatedSettings& settings, PersonalLayers& layers,
                     int threads) {
    LearnerOf whole = [&problem](std::uint32_t node, int worker) -> Learner& {
        return problem.learner(node, worker);
    };
    if (layers.keeps_models()) {
        return following_learners(
            layers, std::move(whole),
            [&problem, how = settings.following()](std::uint32_t node, int worker, ConstVector<float> w,
                                                   Stream& random, Vector<float> v) {
                problem.personalise(node, w, how, random, v, worker);
                return how.steps;
            },
            threads);
    }
    if (layers.keeps_slopes()) {
        return outer_learners(
            layers, std::move(whole),
            [&problem](std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s, Stream& random,
                       Vector<float> out) { return problem.hessian_product(node, worker, w, s, random, out); },
            settings.bilevel, threads);
    }
    if (settings.objective() == Objective::bilevel) {
        return shared_learners(
            layers,
            [&problem](std::uint32_t node, int worker, Vector<float> w, Stream& random, Vector<float> out) {
                return problem.bilevel_gradient(node, worker, w, random, out);
            },
            threads);
    }
    // One model for all is whole: it belongs to no node.
    if (!layers.split().has_personal() || settings.method.aggregation == AggregationName::global) return whole;
    const float rate = settings.baseline() ? settings.baseline_rate : settings.rate();
    return shared_learners(layers, descend_together(std::move(whole), layers.split(), rate), threads);
}

}  // namespace dunlin

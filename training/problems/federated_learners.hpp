// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/federated_problem.hpp"
#include "training/problems/personal_layers.hpp"

namespace dunlin {

/// Do nodes keep slopes, as hyper-gradient push wants?
inline bool keeps_slopes(const FederatedSettings& settings) {
    return settings.method.aggregation == AggregationName::hgp;
}

/// Lets every node keep what its method wants beside its layers: a whole model that begins as `first`, or slopes. Error:
/// it is to keep a model, and the problem keeps layers too.
Outcome<void> keep_beside(PersonalLayers& layers, const FederatedSettings& settings, ConstVector<float> first);

/// Makes `theta`, a node's model with the shared parameters that it was given, the one that the node uses: after the
/// steps that `how` says, or the one that it keeps.
void make_personal(FederatedProblem& problem, const PersonalLayers& layers, const Personalisation& how,
                   std::uint32_t node, Stream& random, Vector<float> theta, int worker);

/// What the nodes learn with: the objective of the whole model, or of what its layers leave to be shared. `problem`
/// and `layers` outlive it.
LearnerOf learner_of(FederatedProblem& problem, const FederatedSettings& settings, PersonalLayers& layers,
                     int threads);

}  // namespace dunlin

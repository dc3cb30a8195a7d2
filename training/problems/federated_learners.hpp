// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/federated_problem.hpp"
#include "training/problems/personal_layers.hpp"

namespace dunlin {

/// Lets every node keep a whole model that begins as `first`, as its objective wants. Error: the problem keeps layers
/// too.
Outcome<void> keep_own_models(PersonalLayers& layers, const FederatedSettings& settings, ConstVector<float> first);

/// Makes `theta`, a node's model with the shared parameters that it was given, the one that the node uses: after the
/// steps that `how` says, or the one that it keeps.
void make_personal(FederatedProblem& problem, const PersonalLayers& layers, const Personalisation& how,
                   std::uint32_t node, Stream& random, Vector<float> theta, int worker);

/// What the nodes learn with: the objective of the whole model, or of what its layers leave to be shared. `problem`
/// and `layers` outlive it.
LearnerOf learner_of(FederatedProblem& problem, const FederatedSettings& settings, PersonalLayers& layers,
                     int threads);

}  // namespace dunlin

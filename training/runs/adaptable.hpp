// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/federated_problem.hpp"
#include "training/problems/pdbo_settings.hpp"

#include <memory>

namespace dunlin {

/// Nodes that make a saved model their own, of supervised experiments that are no registered problems
/// (problem_kinds.hpp); each for one caller at a time.
using Adaptable = Outcome<std::unique_ptr<AdaptableProblem>>;
/// A model is the predictors' parameters and then lambda; a node moves its lambda alone.
Adaptable make_adaptable(const PdboSettings& settings);

/// How an experiment's nodes make its model their own.
Personalisation personalisation_of(const PdboSettings& settings);

/// The model of this experiment, without parameters.
TrainedModel describe_pdbo(const PdboSettings& settings, const PdboData& data, const MlpShape& shape);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/classification_fleet.hpp"
#include "fleet/decentralised.hpp"
#include "fleet/pdbo_settings.hpp"
#include "fleet/ranking_fleet.hpp"
#include "fleet/regression_training.hpp"

#include <memory>

namespace dunlin {

/// Nodes that make a saved model their own, of each supervised experiment; each for one caller at a time.
using Adaptable = Outcome<std::unique_ptr<AdaptableProblem>>;
Adaptable make_adaptable(const ClassificationSettings& settings);
Adaptable make_adaptable(const RankingSettings& settings);
/// Judged as `classification` is: on rows held out, or on test rows of nobody's, which count alike.
Adaptable make_adaptable(const DecentralisedSettings& settings);
/// A model is the predictors' parameters and then lambda; a node moves its lambda alone.
Adaptable make_adaptable(const PdboSettings& settings);
/// Judged by the expected squared error, in closed form.
Adaptable make_adaptable(const RegressionRunSettings& settings);

/// How an experiment's nodes make its model their own.
inline Personalisation personalisation_of(const ClassificationSettings& s) {
    return s.federated.personal;
}
inline Personalisation personalisation_of(const RankingSettings& s) {
    return s.federated.personal;
}
Personalisation personalisation_of(const DecentralisedSettings& settings);
Personalisation personalisation_of(const PdboSettings& settings);
Personalisation personalisation_of(const RegressionRunSettings& settings);

/// The models of these experiments, without parameters.
TrainedModel describe_pdbo(const PdboSettings& settings, const PdboData& data, const MlpShape& shape);
TrainedModel describe_regression(const RegressionRunSettings& settings);

}  // namespace dunlin

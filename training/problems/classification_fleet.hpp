// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/classification_data.hpp"
#include "training/problems/network_settings.hpp"
#include "training/problems/problem_kinds.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// Classification on a fleet whose clients hold different parts of a table.
struct ClassificationSettings : ProblemSettings, NetworkSettings {
    DataSettings data;
};

Settings classification_settings(ClassificationSettings& settings);

/// Reads or draws the data and shares it out. A client's held-out rows come from its own part, so that they follow
/// its own distribution. A table is always standardised, which fills missing values in. Metrics: accuracy,
/// loss. Errors: of the files, of the settings.
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(const ClassificationSettings& settings,
                                                                       int threads);

ProblemKind<ClassificationSettings> classification_kind();

/// The same of data that were read, with a network and layers of the caller's: MlpShape or NetworkShape. Where they
/// have a table of test rows, every node is judged on all of these. Error: federated.batch.
template <class Shape>
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data, const Shape& shape,
                                                                       const LayerSplit& split,
                                                                       const Kernels<float>& kernels,
                                                                       const FederatedSettings& settings,
                                                                       std::uint64_t seed, int threads);

/// The same with a network that `network` says. Errors also: of it.
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data,
                                                                       const NetworkSettings& network,
                                                                       const ProblemSettings& settings,
                                                                       int threads);

}  // namespace dunlin

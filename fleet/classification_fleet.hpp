// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_split.hpp"
#include "envs/data_table.hpp"
#include "fleet/federated_problem.hpp"
#include "fleet/federated_settings.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// Classification on a fleet whose clients hold different parts of a table.
struct ClassificationSettings {
    std::string kind = "classification";
    std::string experiment = "classification";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

    std::string path;  ///< a folder of IDX files, or an ARFF file; empty: generated digits
    int rows = 0;      ///< use the first ones only; 0: all (generated: 5000)
    bool standardise = false;
    DigitSettings digits;
    SplitSettings split;

    std::vector<int> hidden{32};
    Activation activation = Activation::relu;

    FederatedSettings federated;
};

Settings classification_settings(ClassificationSettings& settings);

/// Reads or draws the data and shares it out. A client's held-out rows come from its own part, so that they follow
/// its own distribution. An ARFF file is always standardised, which fills missing values in. Metrics: accuracy,
/// loss. Errors: of the files, of the settings.
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(const ClassificationSettings& settings,
                                                                       int threads);

}  // namespace dunlin

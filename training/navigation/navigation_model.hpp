// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/models/model_file.hpp"
#include "training/navigation/navigation.hpp"

#include <string>
#include <vector>

namespace dunlin {

/// A meta-policy with all that is needed to run it. The map goes with it where the settings name a file.
TrainedModel navigation_model(const NavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters);

/// What an adaptation by these settings does that the inner steps of boards, fleets' nodes and Python do not: words that
/// follow "it adapts by"; empty: nothing.
std::string beyond_plain_steps(const NavigationSettings& settings);

/// Puts the rows of a map that is a file into the settings, so that they can travel.
void carry_map(const std::string& name, std::vector<std::string>& rows);

}  // namespace dunlin

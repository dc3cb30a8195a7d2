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
/// Of a policy with a memory: `parameters` may have more than the network's, which training alone needs.
TrainedModel navigation_model(const NavigationSettings& settings, const NetworkShape& network,
                              ConstVector<float> parameters);

/// Refuses a policy with a memory, for what evaluates models sample by sample and would begin anew with each.
Outcome<void> check_memoryless(const TrainedModel& model);

/// What an adaptation by these settings does that the inner steps of boards, fleets' nodes and Python do not: words that
/// follow "it adapts by"; empty: nothing.
std::string beyond_plain_steps(const NavigationSettings& settings);

/// Puts the rows of a map that is a file into the settings, so that they can travel.
void carry_map(const std::string& name, std::vector<std::string>& rows);

}  // namespace dunlin

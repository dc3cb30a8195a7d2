// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/models/model_file.hpp"
#include "training/navigation/fleet_navigation.hpp"
#include "training/navigation/navigation.hpp"

#include <vector>

namespace dunlin {

/// A meta-policy with all that is needed to run it. The map goes with it where the settings name a file.
TrainedModel navigation_model(const NavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters);
TrainedModel navigation_model(const FleetNavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters);

/// The tasks of a fleet's nodes and its inner loop, as one process sees them.
NavigationSettings in_one_process(const FleetNavigationSettings& fleet);
/// The other way round: what nodes of `fleet` do with a policy that was trained in one process. Errors: what nodes
/// do not have.
Outcome<FleetNavigationSettings> on_a_fleet(const NavigationSettings& settings, FleetNavigationSettings fleet);

/// Nothing, or what in these settings makes another network than the policy's, by key.
Outcome<void> check_network(const FleetNavigationSettings& settings, const TrainedModel& policy);

}  // namespace dunlin

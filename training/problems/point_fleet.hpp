// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/policy_problem.hpp"

namespace dunlin {

/// Point navigation in a fleet: every node owns a goal in the plane.
struct PointFleetSettings : PolicySettings {
    int horizon = 100;
    float discount = 0.99f;
};

/// The problem "fleet-point-navigation", for registered_problems.
ProblemKind<PointFleetSettings> point_fleet_kind();

}  // namespace dunlin

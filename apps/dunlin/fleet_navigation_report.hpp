// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/table.hpp"
#include "training/navigation/fleet_navigation.hpp"

#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// A run of meta-reinforcement learning without a server, as its files show it.
struct FleetNavigationResult {
    FleetNavigationSettings settings;
    int threads = 1;
    FleetNavigationOutcome outcome = {};
    DataNotes notes = {};  ///< about data that was left out or changed
};

report::Table fleet_navigation_table(const FleetNavigationResult& result);
/// Names and contents of the plots.
std::vector<std::pair<std::string, std::string>> fleet_navigation_plots(const FleetNavigationResult& result);
std::string fleet_navigation_html(const FleetNavigationResult& result, const std::string& config,
                                  const std::string& command);
std::string fleet_navigation_summary(const FleetNavigationResult& result);

}  // namespace dunlin::app

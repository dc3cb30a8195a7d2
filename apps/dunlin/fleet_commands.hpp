// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/fleet_client.hpp"

namespace dunlin::app {

/// What --metrics takes.
inline constexpr const char* metrics_form = "HOST:PORT with the host in digits, such as 127.0.0.1:9464, or off";

// `dunlin fleet ...`, by what they are about.
void add_fleet_serve(CLI::App& fleet, Command& run);
void add_fleet_roster(CLI::App& fleet, Command& run);    ///< init, admit, revoke, rotate, nodes
void add_fleet_jobs(CLI::App& fleet, Command& run);      ///< run, push, jobs, pause, resume, stop, pull
void add_fleet_rollouts(CLI::App& fleet, Command& run);  ///< rollout, models
void add_fleet_views(CLI::App& fleet, Command& run);     ///< status, wait, watch, logs, ledger
void add_fleet_top(CLI::App& fleet, Command& run);
void add_fleet_access(CLI::App& fleet, Command& run);   ///< token, alerts, audit
void add_fleet_keeping(CLI::App& fleet, Command& run);  ///< backup, restore, doctor

}  // namespace dunlin::app

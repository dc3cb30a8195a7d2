// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/navigation_run.hpp"
#include "apps/report/table.hpp"

#include <string>
#include <vector>

namespace dunlin::app {

/// Figure 1 of MEMRL, left: maps, starts, trajectories, goals.
std::string trajectories_svg(const std::vector<TaskRecord>& records, const std::string& title, bool grid);
/// Figure 1, right: each task's adapted return over iterations, the optimum dashed.
std::string returns_svg(const NavigationResult& result);
/// The exact returns behind it, as shares of the optimum. Empty in the point world.
std::string shares_svg(const NavigationResult& result);
/// Held-out tasks after each inner step, from the meta-policy and from the untrained one: mean and range. Success where
/// the reward is dense. Empty when there are none.
std::string held_out_svg(const NavigationResult& result);
/// Their mean after report.adaptation_steps over training. Empty without two points.
std::string held_out_curve_svg(const NavigationResult& result);
/// The same at the end beside its baselines, in a sentence.
std::string held_out_text(const NavigationResult& result);
/// The tasks at the end, a row each, beside what they are measured against; `baselines_text` says what that is.
std::string baselines_text(const NavigationResult& result);
report::Table task_table(const NavigationResult& result);
/// For a terminal: all tasks, or of many the ten worst and the mean.
report::Table worst_tasks(const NavigationResult& result);

/// report.html; the pictures are SVG texts.
std::string report_html(const NavigationResult& result, const std::string& config, const std::string& command,
                        const std::string& start_svg, const std::string& end_svg);
std::string summary_json(const NavigationResult& result);

}  // namespace dunlin::app

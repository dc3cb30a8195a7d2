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
/// Return on held-out tasks after each inner step: mean and range. Empty when there are none.
std::string held_out_svg(const NavigationResult& result);
/// The tasks at the end, a row each.
report::Table task_table(const NavigationResult& result);
/// For a terminal: all tasks, or of many the ten worst and the mean.
report::Table worst_tasks(const NavigationResult& result);

/// report.html; the pictures are SVG texts.
std::string report_html(const NavigationResult& result, const std::string& config, const std::string& command,
                        const std::string& start_svg, const std::string& end_svg);
std::string summary_json(const NavigationResult& result);

}  // namespace dunlin::app

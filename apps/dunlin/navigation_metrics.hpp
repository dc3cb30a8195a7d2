// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/navigation_run.hpp"
#include "apps/report/run_files.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// metrics.csv of a navigation run (docs/files.md).
namespace dunlin::app {

/// The columns for so many training tasks, and with `held_out` those of the mean held-out task.
std::vector<std::string> metrics_header(std::size_t tasks, bool held_out);
std::vector<report::CsvValue> metrics_fields(const MetricsRow& row, bool held_out);

/// Whether a file has the columns of held-out tasks.
bool has_held_out(const std::filesystem::path& path);
/// The rows up to an iteration, as they were written. A last line without an end was cut off.
Outcome<std::vector<MetricsRow>> read_metrics(const std::filesystem::path& path, std::size_t tasks,
                                              std::int64_t last_iteration);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin::app {

/// What a run's metrics.csv says, as curves for other programs.
struct RunCurves {
    std::string step_name;            ///< the column that counts: "iteration", "updates"; "row" where there is none
    std::vector<std::int64_t> steps;  ///< of each row
    std::vector<double> seconds;      ///< since the run's start, where it says so; else the rows' numbers
    std::vector<std::pair<std::string, std::vector<double>>> metrics;  ///< NaN where there is no number
};

/// Reads DIR/metrics.csv. A row that is not whole, as the last one of a run that goes on, is left out; columns of text
/// are. Errors: no such file; no rows.
Outcome<RunCurves> read_curves(const std::filesystem::path& run);

/// A row for each number: step, seconds, metric, value.
std::string curves_csv(const RunCurves& curves);
/// An object for each row: the step by its name, and every metric that has a number.
std::string curves_jsonl(const RunCurves& curves);
/// An event file of TensorBoard: TFRecords with masked CRC-32C of `Event` messages (tensorflow/core/util/event.proto,
/// tensorflow/core/lib/io/record_writer.h). `start_s`: when the run began, in seconds since 1970.
std::string curves_tensorboard(const RunCurves& curves, double start_s);

/// The files of a run's curves as csv, jsonl or tensorboard, names and bytes. Errors: read_curves'.
Outcome<std::vector<std::pair<std::string, std::string>>> curve_files(const std::filesystem::path& run,
                                                                      std::string_view format);

/// The masked CRC-32C of TFRecords: ((c >> 15) | (c << 17)) + 0xa282ead8.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace dunlin::app

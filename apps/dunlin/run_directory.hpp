// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "training/models/model_file.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace dunlin::app {

/// The whole of a text file.
Outcome<std::string> read_text(const std::filesystem::path& path);

/// What kinds of experiment that are replayed from their seed when resumed have in common.

/// Reads where the settings of a request come from: config.toml of the run to go on with, or the experiment and
/// the options over it.
Outcome<void> read_settings(const TrainRequest& request, std::string_view method_key, Settings& list);

/// Puts config.toml into the directory, which the caller has locked. Error: it holds a run that nobody asked to
/// resume, or cannot be written.
Outcome<void> prepare_run(const TrainRequest& request, std::string_view config);

/// Writes a whole file of the run or nothing.
Outcome<void> write_run_file(const TrainRequest& request, const std::string& name, std::string_view text);

/// The run's model: policy.dunlin of navigation, model.dunlin of other runs.
Outcome<void> write_model(const TrainRequest& request, const TrainedModel& model);

}  // namespace dunlin::app

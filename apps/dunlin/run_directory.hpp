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

/// What all kinds of experiment have in common.

/// Reads where the settings of a request come from: the experiment and the options over it, or config.toml of the run
/// to go on with and `--set` over it. Errors also: of a run that goes on, a setting that it may not change since its
/// checkpoint, by name.
Outcome<void> read_settings(const TrainRequest& request, std::string_view method_key, Settings& list);

/// checkpoint.dunlin of a run.
std::filesystem::path checkpoint_path(const TrainRequest& request);
/// What is wrong with it, and what to do.
tl::unexpected<Failure> unreadable_checkpoint(const std::filesystem::path& path, const Error& error);

/// Puts config.toml into the directory, which the caller has locked, but for a run that goes on. Error: it holds a run
/// that nobody asked to resume, or cannot be written.
Outcome<void> prepare_run(const TrainRequest& request, std::string_view config);

/// Of a run that goes on, once it does: writes config.toml if it says something else now. Error: it cannot be written.
Outcome<void> keep_config(const TrainRequest& request, std::string_view config);

/// Writes a whole file of the run or nothing; on other ranks than the first nothing.
Outcome<void> write_run_file(const TrainRequest& request, const std::string& name, std::string_view text);

/// The run's model: policy.dunlin of navigation, model.dunlin of other runs.
Outcome<void> write_model(const TrainRequest& request, const TrainedModel& model);

}  // namespace dunlin::app

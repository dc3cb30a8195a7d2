// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/directory_lock.hpp"
#include "apps/dunlin/kinds.hpp"

#include <CLI/App.hpp>

namespace dunlin::app {

/// The options by which every command that trains is told what: experiment, --config, --set, --seed, --json,
/// --quiet. `request` outlives the parsing.
void add_request_options(CLI::App& command, TrainRequest& request);

/// `directory`, or where it is empty the next free runs/PREFIX-EXPERIMENT, locked.
Outcome<DirectoryLock> run_directory(const TrainRequest& request, const std::string& directory,
                                     const std::string& prefix = "");

/// For the foot of a command's help: the settings of the experiment that is named, or of the file where no other is,
/// or else how to see them.
std::string settings_help(const std::string& command, const std::string& experiment, const std::string& file);

}  // namespace dunlin::app

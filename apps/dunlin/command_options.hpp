// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"

#include <CLI/App.hpp>

namespace dunlin::app {

/// The options by which every command that trains is told what: experiment, --config, --set, --seed, --json,
/// --quiet. `request` outlives the parsing.
void add_request_options(CLI::App& command, TrainRequest& request);

/// runs/NAME, or the next of runs/NAME-2, runs/NAME-3, ... that is free.
std::filesystem::path free_directory(const std::string& name);

/// The settings of every kind, for the foot of a help text.
std::string settings_help();

/// The kind of a ready-made experiment; an unknown name gives navigation, which then says what is wrong with it.
Outcome<const Kind*> kind_of_experiment(const std::string& name);

}  // namespace dunlin::app

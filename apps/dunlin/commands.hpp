// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <functional>

#include <CLI/App.hpp>

namespace dunlin::app {

/// Each command declares its options on `program` and returns through `run` what to do when it was chosen: a
/// function that gives the exit code, or the failure to print: exit code 1 where it is `unable`, else 2.
using Command = std::function<Outcome<int>()>;
void add_train(CLI::App& program, Command& run);
void add_adapt(CLI::App& program, Command& run);
void add_export(CLI::App& program, Command& run);
void add_import(CLI::App& program, Command& run);
void add_inspect(CLI::App& program, Command& run);
void add_footprint(CLI::App& program, Command& run);
void add_compare(CLI::App& program, Command& run);
void add_sweep(CLI::App& program, Command& run);
void add_fleet(CLI::App& program, Command& run);
void add_gateway(CLI::App& program, Command& run);
void add_list(CLI::App& program, Command& run);
void add_privacy(CLI::App& program, Command& run);
void add_audit(CLI::App& program, Command& run);

}  // namespace dunlin::app

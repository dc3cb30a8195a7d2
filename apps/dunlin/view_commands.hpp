// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/commands.hpp"

namespace dunlin::app {

/// `dunlin view` and `dunlin report`: runs that are there already.
void add_view(CLI::App& program, Command& run);
void add_report(CLI::App& program, Command& run);

}  // namespace dunlin::app

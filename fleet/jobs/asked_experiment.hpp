// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/jobs/experiments.hpp"

#include <span>

namespace dunlin {

/// An experiment for real nodes as somebody asks for it: a document, what it says for its method alone ([methods.NAME],
/// training/settings/method_settings.hpp), and assignments over both, each "KEY=VALUE". Errors: those of read_deployed and
/// of the settings; a method that is none of the kind's.
Outcome<ProblemExperiment> asked_experiment(std::string_view toml, std::string_view where,
                                            std::span<const std::string> assignments);

}  // namespace dunlin

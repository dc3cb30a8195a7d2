// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/federated_settings.hpp"
#include "training/problems/classification_data.hpp"
#include "training/problems/federated_problem.hpp"
#include "training/problems/run_figures.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace dunlin {

/// Nodes of these data, for one thread: those that a newcomer could be one of.
using MakeNodes = std::function<Outcome<std::unique_ptr<FederatedProblem>>(SharedData)>;

/// Adds to a run's figures how users fare whom it has never met: each takes the shared model `w`, with the personal layers
/// that everybody begins with, makes it its own with a few rows of each class of its own, drawn `repeats` times, and is
/// judged on the rows that it holds out; beside it the same network learned from these rows alone. Errors: of the data and
/// of `make`.
Outcome<void> report_newcomers(const DataSettings& data, const Personalisation& personal, std::uint64_t seed,
                               ConstVector<float> w, const MakeNodes& make, RunFigures& figures);

}  // namespace dunlin

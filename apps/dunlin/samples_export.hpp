// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/board_export.hpp"
#include "training/models/model_export.hpp"

namespace dunlin::app {

/// Samples of the node that --node names, as a run of classification shared them out, for an image that has no sensor: of
/// each class the first --count that it trains on (none: all), and all that it holds out. Errors: another kind of run, no such
/// node, rows with several labels.
Outcome<std::string> samples_of(const ExportOptions& options, const SavedModel& saved);

/// How a node learns such a model in a fleet; none where its settings are not in the file, or say nothing of that.
std::optional<BoardLearning> learning_of(const SavedModel& saved);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/saved_model.hpp"
#include "training/models/bundle.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// What `dunlin export` is asked for.
struct ExportOptions {
    std::string directory;
    std::string out;
    bool trajectories = false, metrics = false, one_body = false;
    std::string format;
    bool named = false;
    std::string name;  ///< of what is exported; empty: names as of old
    std::string task;
    bool quiet = false;
    std::optional<int> count;
    std::optional<int> steps;  ///< none: as many as in training, or for a board as report.adaptation_steps says
    std::string node;          ///< whose own model; empty: the shared one
};

using Files = std::vector<std::pair<std::string, std::string>>;

/// A model as a header of C++, and what a board does with it.
struct BoardHeader {
    BundleUse use;
    std::string text;
};
Outcome<BoardHeader> header_of(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model);

/// A folder for a firmware's build system, at `out`. A bundle that is there takes a second model, and keeps its name.
/// Errors: header_of's; a bundle there of another Dunlin.
Outcome<Files> bundle_files(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model,
                            const std::filesystem::path& out);

}  // namespace dunlin::app

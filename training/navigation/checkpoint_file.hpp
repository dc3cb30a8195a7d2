// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/array_file.hpp"
#include "training/navigation/meta_trainer.hpp"

#include <filesystem>
#include <string>

namespace dunlin {

/// A run that goes on later: checkpoint.dunlin.
std::string checkpoint_bytes(const MetaTrainerState& state);
/// Errors: ArrayFile's.
Result<MetaTrainerState> read_checkpoint(const std::filesystem::path& path);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/array_file.hpp"
#include "training/navigation/meta_trainer.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// A run that goes on later: checkpoint.dunlin (docs/files.md). `config` are the settings that it was made with so
/// far, as TOML.

/// Of navigation by Dunlin 0.1 and the first of 0.2, whose rows are in metrics.csv. Errors: ArrayFile's.
Result<MetaTrainerState> read_checkpoint(const std::filesystem::path& path);

/// What a training loop saved (RunPauses), of at most run_state_limit bytes.
inline constexpr std::size_t run_state_limit = ArrayFile::size_limit - (std::size_t{1} << 20);
std::string run_checkpoint_bytes(std::span<const std::byte> state, const std::string& config);
struct RunCheckpoint {
    std::string config;
    std::vector<std::byte> state;
};
/// Errors: ArrayFile's; file_version.
Result<RunCheckpoint> read_run_checkpoint(const std::filesystem::path& path);

/// The settings in a checkpoint of any kind; empty: it is older than they are. Errors: ArrayFile's.
Result<std::string> checkpoint_config(const std::filesystem::path& path);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mlp.hpp"
#include "fleet/array_file.hpp"
#include "fleet/meta_trainer.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace dunlin {

/// A policy as it is kept and passed on: policy.dunlin.
struct PolicyFile {
    std::string experiment;
    MlpShape shape;
    bool gaussian = false;  ///< the last shape.outputs() parameters are log standard deviations
    std::vector<float> parameters;
    std::string config = {};  ///< of a policy that travels alone: the settings of its experiment, as TOML

    std::string bytes() const;
    /// Errors: ArrayFile's; too_many_layers, bad_width (the shape), shape_mismatch (parameters), not_finite.
    static Result<PolicyFile> read(const std::filesystem::path& path);
};

/// A run that goes on later: checkpoint.dunlin.
std::string checkpoint_bytes(const MetaTrainerState& state);
/// Errors: ArrayFile's.
Result<MetaTrainerState> read_checkpoint(const std::filesystem::path& path);

}  // namespace dunlin

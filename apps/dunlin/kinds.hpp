// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/problem.hpp"
#include "fleet/settings.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::app {

/// What a person asked for: an experiment, and what to change in it.
struct TrainRequest {
    std::string experiment;                ///< name of a ready-made one; may be empty when resuming
    std::string config;                    ///< TOML file over it; may be empty
    std::vector<std::string> assignments;  ///< KEY=VALUE over both
    std::string method;                    ///< shorthand for the kind's method setting; may be empty
    std::optional<std::uint64_t> seed;
    std::filesystem::path directory;  ///< where the run is written, or goes on
    bool resume = false;
    int threads = 1;
    bool json = false;
    bool quiet = false;

    /// The command line that makes this run again.
    std::string command() const;
    /// Reads the ready-made experiment, then the file, then --method (as `method_key`), the assignments and the
    /// seed into a list of settings that has "seed".
    Outcome<void> apply(Settings& settings, std::string_view method_key) const;
};

/// A kind of experiment: what a file in experiments/ names by its first key, `kind`. A new kind is one row in
/// kinds.cpp.
struct Kind {
    std::string_view name;
    /// Trains; returns the exit code, or wrong input.
    Outcome<int> (*train)(const TrainRequest& request);
    /// The settings with their defaults, for --help.
    std::string (*help)();
};

std::span<const Kind> kinds();
/// The kind that a TOML text names; without the key it is "navigation". Error: no such kind.
Outcome<const Kind*> kind_of(std::string_view toml, std::string_view where);

Outcome<int> train_navigation_kind(const TrainRequest& request);
std::string navigation_help();

}  // namespace dunlin::app

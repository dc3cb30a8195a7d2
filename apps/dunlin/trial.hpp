// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"
#include "training/host/failure.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::app {

/// One number that a run ends with, as tables and plots of a comparison show it.
struct Measure {
    enum class Show : std::uint8_t {
        mean,   ///< mean and standard deviation over seeds
        count,  ///< the same for large numbers: "356k"
        share,  ///< 1 or 0 in each run: how many seeds have it
        file    ///< in files only
    };
    std::string key;    ///< in CSV and JSON: "env_steps"
    std::string title;  ///< in tables: "worst task"
    double value = 0;
    Show show = Show::mean;
    bool drawn = false;     ///< has a plot
    std::string meaning{};  ///< the plot's heading: "return on the worst task as a share of its optimum"
};

/// How a run went: points (x[k], y[k]) with ascending x.
struct Curve {
    std::string key;  ///< names the picture's file
    std::string title;
    std::string x_title;
    std::string y_title;
    std::vector<double> x, y;
};

/// What a comparison keeps of a run. All runs of one experiment have the same measures and curves, by their order.
/// The first measure is the one that methods are judged by.
struct TrialResult {
    bool complete = true;
    std::uint64_t seed = 0;
    std::string failure{};  ///< why there are no numbers; empty when there are
    std::vector<Measure> measures{};
    std::vector<Curve> curves{};
    DataNotes notes{};  ///< about data that was left out or changed

    /// As it is kept in a file (docs/files.md), with the settings that gave it.
    std::string json(std::string_view settings) const;
    /// Error: not such a text, or from other settings.
    static Outcome<TrialResult> parse(std::string_view json, std::string_view settings);
};

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/ranks.hpp"
#include "apps/report/table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// One setting that a comparison varies.
struct VariedSetting {
    std::string key;                  ///< "rl.prox_weight"; empty: the method
    std::vector<std::string> values;  ///< as `--set` takes them; of methods none for the kind's usual ones
};

/// An experiment run for every combination of the axes' values and for several seeds: what `dunlin compare` and
/// `dunlin sweep` do.
struct ComparisonPlan {
    std::string command;  ///< "compare" or "sweep"
    TrainRequest base;    ///< the experiment, without the axes; the directory; the first seed
    std::vector<VariedSetting> axes;
    int seeds = 1;
    int threads = 1;  ///< runs at a time, on each rank

    std::uint64_t first_seed() const { return base.seed.value_or(1); }
    /// Combinations of the axes' values; the last axis varies fastest.
    std::size_t combinations() const;
    std::vector<std::string> values(std::size_t combination) const;
    /// "memrl", or "prox_weight=0.01, horizon=30".
    std::string label(std::size_t combination) const;
    TrainRequest request(std::size_t combination, std::uint64_t seed) const;
    /// The command line that makes this comparison again.
    std::string command_line() const;
};

/// results[combination][seed]; empty where a run has not ended.
struct Comparison {
    ComparisonPlan plan;
    std::vector<std::vector<std::optional<TrialResult>>> results;
    bool complete = false;
};

/// Runs what is missing in the plan's directory, keeps every run in a file of its own there, writes the report and
/// prints the table. With plan.base.resume the rest of the plan is read from the directory. Returns an exit code;
/// errors are wrong input, and then nothing was written.
Outcome<int> run_comparison(ComparisonPlan plan, Ranks& ranks);
/// What the other ranks do meanwhile: runs that rank 0 asks for.
Outcome<int> serve_comparison(const ComparisonPlan& plan, Ranks& ranks);

// The results as people and programs read them (comparison_report.cpp).
report::Table comparison_table(const Comparison& comparison);
/// A line for each run that failed.
std::vector<std::string> comparison_failures(const Comparison& comparison);
/// A row for each run that ended.
std::string comparison_csv(const Comparison& comparison);
std::string comparison_json(const Comparison& comparison);
/// File names and SVG texts.
std::vector<std::pair<std::string, std::string>> comparison_pictures(const Comparison& comparison);
std::string comparison_html(const Comparison& comparison, const std::string& config);

}  // namespace dunlin::app

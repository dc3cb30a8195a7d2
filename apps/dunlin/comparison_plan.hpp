// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
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
    int threads = 1;             ///< runs at a time, on each rank
    bool by_iterations = false;  ///< methods train for as many iterations as settings say, not equally long
    int tune = 0;                ///< candidates of step sizes for each method; 0: they are as settings say
    /// METHOD:KEY=VALUE of what is one method's alone, for a resumed comparison: config.toml has the rest.
    std::vector<std::string> method_settings{};

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

/// Completes a plan by what its directory says.
Outcome<void> read_plan(ComparisonPlan& plan);
/// What the axes say is theirs alone, and seeds are no setting here.
Outcome<void> check_axes(const ComparisonPlan& plan);
/// The resolved settings of every combination, for the first seed. Error: the first that cannot run.
Outcome<std::vector<std::string>> resolve_all(const ComparisonPlan& plan, const Kind& kind);
/// A new directory with the plan, or what is wrong with it.
Outcome<void> prepare(const ComparisonPlan& plan, const std::string& config);
/// A file of a comparison, whole or not at all.
Outcome<void> write(const std::filesystem::path& path, std::string_view text);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/comparison_plan.hpp"
#include "apps/dunlin/ranks.hpp"
#include "apps/report/table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace dunlin::app {

/// What looking for step sizes took and found (`--tune`); empty without it.
struct Tuning {
    struct Method {
        std::string name;
        int runs = 0;
        double environment_steps = 0;       ///< of training, in all its runs
        std::vector<std::string> chosen{};  ///< KEY=VALUE; none: what settings say was best
    };
    std::uint64_t first_seed = 0;  ///< its seeds are not those that are reported
    std::string measure;           ///< that candidates were judged by
    std::vector<Method> methods;
};

/// results[combination][seed]; empty where a run has not ended.
struct Comparison {
    ComparisonPlan plan;
    std::vector<std::vector<std::optional<TrialResult>>> results;
    bool complete = false;
    Tuning tuning{};
};

/// Chooses each method's step sizes among plan.tune candidates by successive halving: all are run for one seed, the
/// better half for another one, and so on, the mean over its seeds judging a candidate. Every method has as many runs,
/// on seeds apart from those that are reported. The choice is added to the plan's assignments and method_settings, and
/// kept in tuning.json. False: interrupted.
Outcome<bool> tune(ComparisonPlan& plan, const Kind& kind, Ranks& ranks, Tuning& tuning);
/// What an earlier program kept. Error: a file that is none.
Outcome<Tuning> read_tuning(const ComparisonPlan& plan);
nlohmann::ordered_json tuning_json(const Tuning& tuning);

/// Runs what is missing in the plan's directory, keeps every run in a file of its own there, writes the report and
/// prints the table. With plan.base.resume the rest of the plan is read from the directory. Returns an exit code;
/// errors are wrong input, and then nothing was written.
Outcome<int> run_comparison(ComparisonPlan plan, Ranks& ranks);
/// What the other ranks do meanwhile: runs that rank 0 asks for.
Outcome<int> serve_comparison(const ComparisonPlan& plan, Ranks& ranks);

/// The better runs have less of it: an error or a loss.
bool less_is_better(const Measure& measure);

// The results as people and programs read them (comparison_report.cpp, comparison_pictures.cpp).
report::Table comparison_table(const Comparison& comparison);
/// What was tuned and what that took, in a sentence; empty without it.
std::string tuning_text(const Tuning& tuning);
/// A line for each run that failed.
std::vector<std::string> comparison_failures(const Comparison& comparison);
/// A row for each run that ended.
std::string comparison_csv(const Comparison& comparison);
std::string comparison_json(const Comparison& comparison);
/// File names and SVG texts.
std::vector<std::pair<std::string, std::string>> comparison_pictures(const Comparison& comparison);
std::string comparison_html(const Comparison& comparison, const std::string& config);

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/table.hpp"
#include "training/runs/regression_training.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// Test errors after u steps of personalisation: of the model that was trained for it and of the plain one.
struct BudgetResult {
    int steps = 0;
    std::optional<double> trained_for_it = {};  ///< without a value where the run failed
    std::optional<double> plain = {};
};

/// A run beside the main one that has no numbers, and why.
struct FailedRun {
    std::string name;
    std::string failure;
};

/// The same experiment in another network or by another method.
struct RegressionVariant {
    std::string name;
    RegressionOutcome outcome = {};
};

/// All that a run of decentralised regression found.
struct RegressionResult {
    RegressionRunSettings settings;
    int threads = 1;
    RegressionOutcome outcome = {};
    std::vector<BudgetResult> budgets = {};  ///< of this run's u first
    std::vector<RegressionVariant> variants = {};
    DataNotes notes = {};                ///< about data that was left out or changed
    std::vector<FailedRun> failed = {};  ///< of the budgets and the variants
};

report::Table regression_table(const RegressionResult& result);
/// Names and contents of the plots.
std::vector<std::pair<std::string, std::string>> regression_plots(const RegressionResult& result);
std::string regression_html(const RegressionResult& result, const std::string& config, const std::string& command);
std::string regression_summary(const RegressionResult& result);

}  // namespace dunlin::app

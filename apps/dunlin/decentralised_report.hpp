// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/table.hpp"
#include "training/runs/decentralised.hpp"

#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// A method on all of the data or on few of it.
struct DecentralisedVariant {
    DecentralisedMethod method = DecentralisedMethod::spdb;
    bool limited = false;
    DecentralisedOutcome outcome = {};
};

/// All that a run found: its own outcome, and those of the figure, in the order of the methods, on all data first.
struct DecentralisedResult {
    DecentralisedSettings settings;
    int threads = 1;
    DecentralisedOutcome outcome = {};
    std::vector<DecentralisedVariant> figure = {};
    DataNotes notes = {};  ///< about data that was left out or changed
};

/// "DSGD, few data".
std::string title_of(const DecentralisedVariant& variant);
report::Table decentralised_table(const DecentralisedResult& result);
/// Names and contents of the plots.
std::vector<std::pair<std::string, std::string>> decentralised_plots(const DecentralisedResult& result);
std::string decentralised_html(const DecentralisedResult& result, const std::string& config,
                               const std::string& command);
std::string decentralised_summary(const DecentralisedResult& result);

}  // namespace dunlin::app

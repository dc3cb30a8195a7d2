// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/table.hpp"
#include "training/runs/pdbo_training.hpp"

#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// The same experiment by another method, or with another budget.
struct PdboPeer {
    PdboMethod method;
    PdboBudget budget;
    PdboOutcome outcome = {};
};

/// All that a run of PDBO found.
struct PdboResult {
    PdboSettings settings;
    std::string data;                     ///< what was learned from, for people
    std::vector<std::string> names = {};  ///< of the agents; empty: they are numbers
    int threads = 1;
    PdboOutcome outcome = {};
    std::vector<PdboPeer> peers = {};
    DataNotes notes = {};  ///< about data that was left out or changed
};

std::string method_title(PdboMethod method);
/// "SGP at equal gradients".
std::string title_of(const PdboPeer& peer);
/// The paper's Table 1: every method's test accuracy, average and bottom decile of the agents, in percent.
report::Table pdbo_table(const PdboResult& result);
/// Names and contents of the plots.
std::vector<std::pair<std::string, std::string>> pdbo_plots(const PdboResult& result);
std::string pdbo_html(const PdboResult& result, const std::string& config, const std::string& command);
std::string pdbo_summary(const PdboResult& result);

}  // namespace dunlin::app

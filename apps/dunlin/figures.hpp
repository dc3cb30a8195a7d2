// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/federated_run.hpp"
#include "apps/report/html_report.hpp"
#include "training/problems/run_figures.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace dunlin::app {

/// What the problem adds to the report of its run; of a fleet by rounds also how its nodes agree. `drawn`: charts are
/// looked at.
RunFigures figures_of(const FederatedJob& job, const FederatedResult& result, bool drawn = true);

/// The table on the terminal. `figures` have one.
report::Table first_table(const RunFigures& figures);
std::string svg_of(const FigureMap& map);
/// File names and SVG of all charts.
std::vector<std::pair<std::string, std::string>> plots_of(const RunFigures& figures);
/// Puts them into a page, a summary and what a comparison keeps.
void add_figures(report::HtmlReport& page, const RunFigures& figures);
void add_figures(nlohmann::ordered_json& summary, const RunFigures& figures);
void add_figures(TrialResult& trial, const RunFigures& figures);

/// Of a fleet by rounds: its counts in a summary, its key numbers on a page.
void add_rounds(nlohmann::ordered_json& summary, const FederatedResult& result);
void add_rounds(report::HtmlReport& page, const FederatedResult& result);

}  // namespace dunlin::app

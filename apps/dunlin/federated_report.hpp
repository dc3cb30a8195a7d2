// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/federated_run.hpp"
#include "apps/report/table.hpp"

#include <string>
#include <utility>
#include <vector>

namespace dunlin::app {

/// How the method makes a personal model of the shared one, in words.
std::string personalisation_text(const FederatedSettings& settings);

/// Empty, or a warning: training has made the models worse.
/// Says of rounds that the defence could not decide that they changed nothing; empty where there were none.
std::string undefended_text(const FederatedResult& result);
std::string worse_than_at_first(const FederatedJob& job, const FederatedResult& result);
/// Have personal models lost half of what the same personal steps make of untrained parameters (all first metrics
/// are the better the larger), or is that no number?
bool diverged(const FederatedResult& result);

/// What the terminal shows.
std::string federated_text(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures);
/// The pictures of a run: file name and SVG.
std::vector<std::pair<std::string, std::string>> federated_plots(const FederatedJob& job,
                                                                 const FederatedResult& result,
                                                                 const RunFigures& figures);
std::string federated_html(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures,
                           const std::string& command);
std::string federated_summary(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures,
                              int threads);

}  // namespace dunlin::app

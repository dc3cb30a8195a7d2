// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/archive.hpp"
#include "training/problems/federated_result.hpp"
#include "training/problems/round_plan.hpp"

#include <cstdint>
#include <vector>

namespace dunlin {

/// Are the models of a row to come those that the run ends with, as far as is known?
bool is_best(const RoundPlan& plan, const FederatedRow& row, const FederatedResult& result);

/// Of a plan that says best_by what the run would end with if it ended here, and nothing of others; and back, with how
/// long its stages were. The result has its history. Errors: shape_mismatch, of another run.
void save_best(Saver& saver, const RoundPlan& plan, const FederatedResult& result);
Result<void> restore_best(Loader& loader, const FederatedProblem& problem, const RoundPlan& plan,
                          std::int64_t& stage, FederatedResult& result);

/// A run that has so many rounds behind it, in stages of `stage` and by a plan by which nodes learned in the first
/// `learning`: may it go on by this plan? Errors name the setting that says how long it is.
Outcome<void> check_rounds(const RoundPlan& plan, std::int64_t done, std::int64_t learning, std::int64_t stage);

/// Cuts what nodes were judged by after each of the last rounds down to those that are among the last by this plan, from
/// `first` on. `all`: rounds of the plan before. Error: some of these are over without having been judged.
Outcome<void> fit_tail(const RoundPlan& plan, std::int64_t done, std::int64_t all, std::int64_t first,
                       std::vector<std::vector<double>>& tail);

}  // namespace dunlin

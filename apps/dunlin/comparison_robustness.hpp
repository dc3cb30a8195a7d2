// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/comparison.hpp"
#include "apps/report/table.hpp"

#include <vector>

#include <nlohmann/json.hpp>

namespace dunlin::app {

/// What `dunlin compare robustness` varies: attacks, defences, and how unlike members' data are.
std::vector<VariedSetting> robustness_axes();

/// Does it vary attacks and defences, the honest members alone ("absent") and nobody's attack ("none") among them?
bool varies_robustness(const ComparisonPlan& plan);

/// The grid as ByzFL's benchmark prints it: a row for each defence and the rest of the settings, a column for each attack
/// with the shared model's accuracy on what honest members hold out, and one for the worst attack that counts: one that
/// costs the undefended mean at least `counting_loss` of what the honest members reach alone. The others are in brackets.
/// Of a comparison that `varies_robustness`.
report::Table robustness_table(const Comparison& comparison);
nlohmann::ordered_json robustness_json(const Comparison& comparison);
inline constexpr double counting_loss = 0.20;

}  // namespace dunlin::app

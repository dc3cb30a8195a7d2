// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/statistics.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace dunlin::app {

/// How a combination did by the first measure, over the seeds that gave numbers.
struct Standing {
    std::size_t combination = 0;
    Estimate mean{}, interquartile{};
};

/// Two combinations on the same seeds.
struct Rivals {
    std::size_t first = 0, second = 0;  ///< combinations
    int seeds = 0;                      ///< that gave numbers for both
    Estimate difference{};              ///< mean over seeds of the first's minus the second's
    double probability = 0;             ///< that a run of the first does better than one of the second
};

/// Best first; combinations without numbers last.
std::vector<Standing> ranking(const Comparison& comparison);
Rivals rivals(const Comparison& comparison, std::size_t first, std::size_t second);
/// All pairs, the better one first; of many combinations those with the best.
std::vector<Rivals> all_rivals(const Comparison& comparison);

/// Adds `methods[]`, best first, and `pairs[]` to a comparison's JSON.
void add_ranking(nlohmann::ordered_json& json, const Comparison& comparison);
/// The pairs as a table, those that differ significantly marked.
report::Table pairs_table(const Comparison& comparison);
/// "0.012 [0.003, 0.021] *": how far below the best, with its interval; empty for the best itself.
std::string below_best(const Comparison& comparison, std::size_t best, std::size_t combination);
std::string interval_text(const Estimate& estimate);

}  // namespace dunlin::app

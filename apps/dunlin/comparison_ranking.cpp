// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_ranking.hpp"

#include "apps/dunlin/comparison_spread.hpp"
#include "apps/dunlin/json_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

Json interval(const Estimate& estimate) {
    return {number_or_null(estimate.low), number_or_null(estimate.high)};
}

bool less_is_better(const Comparison& comparison) {
    const TrialResult* shape = example(comparison);
    return shape != nullptr && less_is_better(shape->measures.front());
}

/// The first measure of a run; nothing where it has none.
std::optional<double> value_of(const std::optional<TrialResult>& result) {
    if (!result || !result->failure.empty() || result->measures.empty()) return std::nullopt;
    const double value = result->measures.front().value;
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

/// The mean of a measure by its key; null where runs have none.
Json mean_of_measure(const Comparison& comparison, std::size_t combination, std::string_view key) {
    const TrialResult* shape = example(comparison);
    for (std::size_t m = 0; shape != nullptr && m < shape->measures.size(); ++m) {
        if (shape->measures[m].key == key) return number_or_null(spread(comparison, combination, m).mean());
    }
    return nullptr;
}

}  // namespace

bool less_is_better(const Measure& measure) {
    return measure.key.ends_with("error") || measure.key.ends_with("loss");
}

std::vector<Standing> ranking(const Comparison& comparison) {
    std::vector<Standing> all;
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        const Spread values = spread(comparison, c, 0);
        all.push_back({c, bootstrap(values.values, mean_of), bootstrap(values.values, interquartile_mean)});
    }
    const bool less = less_is_better(comparison);
    std::ranges::stable_sort(all, std::greater<>(), [&](const Standing& one) {
        if (!std::isfinite(one.mean.value)) return -std::numeric_limits<double>::infinity();
        return less ? -one.mean.value : one.mean.value;
    });
    return all;
}

Rivals rivals(const Comparison& comparison, std::size_t first, std::size_t second) {
    std::vector<double> differences, mine, others;
    for (std::size_t k = 0; k < comparison.results[first].size(); ++k) {
        const auto a = value_of(comparison.results[first][k]), b = value_of(comparison.results[second][k]);
        if (a && b) differences.push_back(*a - *b);
        const double sign = less_is_better(comparison) ? -1.0 : 1.0;
        if (a) mine.push_back(sign * *a);
        if (b) others.push_back(sign * *b);
    }
    return {first, second, static_cast<int>(differences.size()), bootstrap(differences, mean_of),
            probability_of_improvement(mine, others)};
}

std::vector<Rivals> all_rivals(const Comparison& comparison) {
    constexpr std::size_t few = 8;
    const std::vector<Standing> order = ranking(comparison);
    std::vector<Rivals> pairs;
    for (std::size_t i = 0; i < order.size() && (i == 0 || order.size() <= few); ++i) {
        for (std::size_t j = i + 1; j < order.size(); ++j)
            pairs.push_back(rivals(comparison, order[i].combination, order[j].combination));
    }
    return pairs;
}

void add_ranking(Json& json, const Comparison& comparison) {
    const TrialResult* shape = example(comparison);
    json["measure"] = shape == nullptr ? Json(nullptr) : Json(shape->measures.front().key);
    json["methods"] = Json::array();
    for (const Standing& one : ranking(comparison)) {
        const std::size_t c = one.combination;
        json["methods"].push_back({{"name", comparison.plan.label(c)},
                                   {"inner_steps", mean_of_measure(comparison, c, "inner_steps")},
                                   {"trajectories", mean_of_measure(comparison, c, "trajectories")},
                                   {"env_steps", mean_of_measure(comparison, c, "env_steps")},
                                   {"adaptation_env_steps", mean_of_measure(comparison, c, "adaptation_env_steps")},
                                   {"mean", number_or_null(one.mean.value)},
                                   {"interval", interval(one.mean)},
                                   {"interquartile_mean", number_or_null(one.interquartile.value)},
                                   {"interquartile_interval", interval(one.interquartile)}});
    }
    json["pairs"] = Json::array();
    for (const Rivals& pair : all_rivals(comparison)) {
        json["pairs"].push_back({{"first", comparison.plan.label(pair.first)},
                                 {"second", comparison.plan.label(pair.second)},
                                 {"seeds", pair.seeds},
                                 {"difference", number_or_null(pair.difference.value)},
                                 {"interval", interval(pair.difference)},
                                 {"significant", pair.difference.significant()},
                                 {"probability_of_improvement", number_or_null(pair.probability)}});
    }
}

std::string interval_text(const Estimate& estimate) {
    if (!std::isfinite(estimate.low)) return "–";
    const int digits = std::abs(estimate.value) < 10 ? 3 : 1;
    return fmt::format("[{:.{}f}, {:.{}f}]", estimate.low, digits, estimate.high, digits);
}

std::string below_best(const Comparison& comparison, std::size_t best, std::size_t combination) {
    if (best == combination) return "";
    const Estimate difference = rivals(comparison, best, combination).difference;
    if (!std::isfinite(difference.value)) return "–";
    return fmt::format("{:.{}f} {}{}", difference.value, std::abs(difference.value) < 10 ? 3 : 1,
                       interval_text(difference), difference.significant() ? " *" : "");
}

report::Table pairs_table(const Comparison& comparison) {
    report::Table table{
        {"first", "second", "difference", "95 % interval", "significant", "first does better"},
        {},
        "Paired over seeds, first minus second; intervals by the percentile bootstrap. The last column is "
        "the probability that a run of the first does better than one of the second."};
    for (const Rivals& pair : all_rivals(comparison)) {
        if (!std::isfinite(pair.difference.value)) continue;
        table.rows.push_back({comparison.plan.label(pair.first), comparison.plan.label(pair.second),
                              fmt::format("{:.4f}", pair.difference.value), interval_text(pair.difference),
                              pair.difference.significant() ? "yes" : "no",
                              fmt::format("{:.2f}", pair.probability)});
    }
    return table;
}

}  // namespace dunlin::app

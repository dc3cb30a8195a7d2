// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_robustness.hpp"

#include "apps/dunlin/comparison_spread.hpp"
#include "apps/dunlin/json_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

constexpr std::string_view attack_key = "attack.name", defence_key = "defence.name",
                           measure_key = "shared_accuracy";
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

const VariedSetting* axis_of(const ComparisonPlan& plan, std::string_view key) {
    const auto found = std::ranges::find(plan.axes, key, &VariedSetting::key);
    return found == plan.axes.end() ? nullptr : &*found;
}

struct Cell {
    double mean = unknown, deviation = unknown;
    bool counts = false;
};
struct Row {
    std::vector<std::string> settings;  ///< of what else is varied
    std::string defence;
    double honest_alone = unknown;  ///< without defence and without those that would lie
    Cell untroubled;                ///< nobody attacks
    std::vector<Cell> attacked{};   ///< by `Grid::attacks`
    double worst = unknown;         ///< of the cells that count
};
struct Grid {
    std::vector<std::string> others;  ///< keys of what else is varied
    std::vector<std::string> attacks;
    std::vector<Row> rows;
};

Grid grid_of(const Comparison& comparison) {
    const ComparisonPlan& plan = comparison.plan;
    const TrialResult* shape = example(comparison);
    std::size_t measure = 0;
    while (shape != nullptr && measure < shape->measures.size() && shape->measures[measure].key != measure_key)
        ++measure;
    // By the rest of the settings, the defence and the attack.
    std::map<std::vector<std::string>, std::map<std::pair<std::string, std::string>, Cell>> cells;
    std::vector<std::vector<std::string>> order;
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        const std::vector<std::string> values = plan.values(c);
        std::vector<std::string> rest;
        std::string attack, defence;
        for (std::size_t k = 0; k < plan.axes.size(); ++k) {
            const std::string& key = plan.axes[k].key;
            if (key == attack_key)
                attack = values[k];
            else if (key == defence_key)
                defence = values[k];
            else
                rest.push_back(values[k]);
        }
        if (!cells.contains(rest)) order.push_back(rest);
        const Spread all = spread(comparison, c, measure);
        cells[rest][{defence, attack}] = {all.mean(), all.deviation()};
    }
    Grid grid;
    for (const VariedSetting& axis : plan.axes) {
        if (axis.key != attack_key && axis.key != defence_key) grid.others.push_back(axis.key);
    }
    for (const std::string& attack : axis_of(plan, attack_key)->values) {
        if (attack != "none" && attack != "absent") grid.attacks.push_back(attack);
    }
    for (const std::vector<std::string>& rest : order) {
        auto& block = cells[rest];
        const double alone = block[{"none", "absent"}].mean;
        for (const std::string& defence : axis_of(plan, defence_key)->values) {
            Row row{.settings = rest,
                    .defence = defence,
                    .honest_alone = alone,
                    .untroubled = block[{defence, "none"}]};
            for (const std::string& attack : grid.attacks) {
                Cell cell = block[{defence, attack}];
                // A mean that diverged has lost everything.
                const double undefended = block[{"none", attack}].mean;
                cell.counts = std::isnan(undefended) || alone - undefended >= counting_loss;
                if (cell.counts && !(cell.mean >= row.worst)) row.worst = cell.mean;
                row.attacked.push_back(cell);
            }
            grid.rows.push_back(std::move(row));
        }
    }
    return grid;
}

std::string text_of(const Cell& cell) {
    if (std::isnan(cell.mean)) return "–";
    return fmt::format(fmt::runtime(cell.counts ? "{:.3f}" : "({:.3f})"), cell.mean);
}

}  // namespace

std::vector<VariedSetting> robustness_axes() {
    return {{"data.alpha", {"1", "0.1"}},
            {std::string(defence_key),
             {"none", "median", "trimmed-mean", "geometric-median", "multi-krum", "centred-clipping"}},
            {std::string(attack_key),
             {"none", "absent", "sign-flip", "label-flip", "gaussian", "inner-product-optimised", "alie-optimised",
              "mimic"}}};
}

bool varies_robustness(const ComparisonPlan& plan) {
    const VariedSetting *attacks = axis_of(plan, attack_key), *defences = axis_of(plan, defence_key);
    if (attacks == nullptr || defences == nullptr) return false;
    return std::ranges::count(attacks->values, "none") > 0 && std::ranges::count(attacks->values, "absent") > 0 &&
           std::ranges::count(defences->values, "none") > 0;
}

report::Table robustness_table(const Comparison& comparison) {
    const Grid grid = grid_of(comparison);
    report::Table table{
        {},
        {},
        fmt::format(
            "Accuracy of the shared model on what honest members hold out, mean over seeds. In brackets: attacks "
            "that cost the undefended mean less than {:.2f}, which do not count for the worst case.",
            counting_loss)};
    table.header = grid.others;
    table.header.insert(table.header.end(), {"defence", "honest alone", "nobody attacks"});
    table.header.insert(table.header.end(), grid.attacks.begin(), grid.attacks.end());
    table.header.insert(table.header.end(), {"worst", "worst loss"});
    for (const Row& row : grid.rows) {
        std::vector<std::string> cells = row.settings;
        cells.push_back(row.defence);
        cells.push_back(fmt::format("{:.3f}", row.honest_alone));
        cells.push_back(fmt::format("{:.3f}", row.untroubled.mean));
        for (const Cell& cell : row.attacked) cells.push_back(text_of(cell));
        const bool any = !std::isnan(row.worst);
        cells.push_back(any ? fmt::format("{:.3f}", row.worst) : "–");
        cells.push_back(any ? fmt::format("{:.3f}", row.honest_alone - row.worst) : "–");
        table.rows.push_back(std::move(cells));
    }
    return table;
}

nlohmann::ordered_json robustness_json(const Comparison& comparison) {
    using Json = nlohmann::ordered_json;
    const Grid grid = grid_of(comparison);
    Json rows = Json::array();
    for (const Row& row : grid.rows) {
        Json settings = Json::object(), attacks = Json::object();
        for (std::size_t k = 0; k < grid.others.size(); ++k) settings[grid.others[k]] = row.settings[k];
        for (std::size_t k = 0; k < grid.attacks.size(); ++k) {
            attacks[grid.attacks[k]] = {{"mean", number_or_null(row.attacked[k].mean)},
                                        {"deviation", number_or_null(row.attacked[k].deviation)},
                                        {"counts", row.attacked[k].counts}};
        }
        rows.push_back({{"settings", settings},
                        {"defence", row.defence},
                        {"honest_alone", number_or_null(row.honest_alone)},
                        {"nobody_attacks", number_or_null(row.untroubled.mean)},
                        {"attacks", attacks},
                        {"worst", number_or_null(row.worst)},
                        {"worst_loss", number_or_null(row.honest_alone - row.worst)}});
    }
    return {{"counting_loss", counting_loss}, {"measure", measure_key}, {"rows", rows}};
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_ranking.hpp"
#include "apps/dunlin/comparison_robustness.hpp"
#include "apps/dunlin/comparison_spread.hpp"
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

/// What each run with numbers says of its data.
std::vector<DataNotes> notes_of_runs(const Comparison& comparison) {
    std::vector<DataNotes> all;
    for (const auto& seeds : comparison.results) {
        for (const auto& result : seeds) {
            if (result && result->failure.empty()) all.push_back(result->notes);
        }
    }
    return all;
}

std::string cell(const Spread& all, Measure::Show show) {
    if (all.values.empty()) return "–";
    const double mean = all.mean(), deviation = all.deviation();
    if (show == Measure::Show::share) {
        return fmt::format("{:.0f}/{}", mean * static_cast<double>(all.values.size()), all.values.size());
    }
    if (show == Measure::Show::count) return count_text(mean);
    const int digits = std::abs(mean) < 10 ? 3 : std::abs(mean) < 100 ? 2 : 1;
    if (std::isnan(deviation)) return fmt::format("{:.{}f}", mean, digits);
    return fmt::format("{:.{}f} ± {:.{}f}", mean, digits, deviation, digits);
}

std::string ended(const Comparison& comparison, std::size_t combination) {
    std::size_t good = 0, bad = 0;
    for (const auto& result : comparison.results[combination]) {
        if (result) ++(result->failure.empty() ? good : bad);
    }
    std::string text = fmt::format("{}", good + bad);
    if (bad > 0) text += fmt::format(", {} failed", bad);
    return text;
}

}  // namespace

/// A run with numbers, whose measures and curves name those of all; null when there is none yet.
const TrialResult* example(const Comparison& comparison) {
    for (const auto& seeds : comparison.results) {
        for (const auto& result : seeds) {
            if (result && result->failure.empty()) return &*result;
        }
    }
    return nullptr;
}

Spread spread(const Comparison& comparison, std::size_t combination, std::size_t measure) {
    Spread all;
    for (const auto& result : comparison.results[combination]) {
        if (result && result->failure.empty() && measure < result->measures.size())
            all.add(result->measures[measure].value);
    }
    return all;
}

report::Table comparison_table(const Comparison& comparison) {
    const ComparisonPlan& plan = comparison.plan;
    report::Table table{{}, {}, "Mean and standard deviation over seeds; seeds that failed are left out of them."};
    for (const VariedSetting& axis : plan.axes)
        table.header.push_back(plan.command == "compare" ? "method" : axis.key);
    table.header.push_back("seeds");
    const TrialResult* shape = example(comparison);
    const std::size_t measures = shape == nullptr ? 0 : shape->measures.size();
    for (std::size_t m = 0; m < measures; ++m) {
        if (shape->measures[m].show != Measure::Show::file) table.header.push_back(shape->measures[m].title);
    }
    // A sweep stays in the order of its values; methods are sorted, the best first.
    const bool compares = plan.command == "compare" && plan.combinations() > 1;
    const bool intervals = compares && plan.seeds > 1 && shape != nullptr;
    if (intervals) {
        table.header.insert(table.header.end(), {"95 % interval", "below the best"});
        table.caption +=
            " The interval is of the first measure's mean, \"below the best\" of the paired difference: by the "
            "percentile bootstrap over seeds; * leaves 0 out.";
    }
    const std::vector<Standing> order = ranking(comparison);
    for (std::size_t k = 0; k < order.size(); ++k) {
        const std::size_t c = compares ? order[k].combination : k;
        std::vector<std::string> row = plan.values(c);
        row.push_back(ended(comparison, c));
        for (std::size_t m = 0; m < measures; ++m) {
            if (const Measure::Show show = shape->measures[m].show; show != Measure::Show::file)
                row.push_back(cell(spread(comparison, c, m), show));
        }
        if (intervals) {
            row.push_back(interval_text(order[k].mean));
            row.push_back(below_best(comparison, order.front().combination, c));
        }
        table.rows.push_back(std::move(row));
    }
    return table;
}

std::vector<std::string> comparison_failures(const Comparison& comparison) {
    std::vector<std::string> lines;
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        for (const auto& result : comparison.results[c]) {
            if (result && !result->failure.empty()) {
                lines.push_back(
                    fmt::format("{} seed {}: {}", comparison.plan.label(c), result->seed, result->failure));
            }
        }
    }
    return lines;
}

std::string tuning_text(const Tuning& tuning) {
    if (tuning.methods.empty()) return {};
    std::string text = fmt::format("Step sizes were looked for by successive halving on seeds from {} on, by {}: ",
                                   tuning.first_seed, tuning.measure);
    for (std::size_t k = 0; k < tuning.methods.size(); ++k) {
        const Tuning::Method& method = tuning.methods[k];
        text += fmt::format(
            "{}{} in {} runs of {} environment steps, {}", k > 0 ? "; " : "", method.name, method.runs,
            count_text(method.environment_steps),
            method.chosen.empty() ? "kept as they were" : fmt::format("{}", fmt::join(method.chosen, " ")));
    }
    return text + ". These steps are not in the table.";
}

std::string comparison_csv(const Comparison& comparison) {
    const ComparisonPlan& plan = comparison.plan;
    report::Table table;
    for (const VariedSetting& axis : plan.axes) table.header.push_back(axis.key);
    table.header.push_back("seed");
    const TrialResult* shape = example(comparison);
    for (const Measure& measure : shape == nullptr ? std::vector<Measure>{} : shape->measures)
        table.header.push_back(measure.key);
    table.header.push_back("failure");
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        for (const auto& result : comparison.results[c]) {
            if (!result) continue;
            std::vector<std::string> row = plan.values(c);
            row.push_back(fmt::format("{}", result->seed));
            for (const Measure& measure : result->measures) row.push_back(fmt::format("{}", measure.value));
            row.resize(table.header.size() - 1);
            row.push_back(result->failure);
            table.rows.push_back(std::move(row));
        }
    }
    return report::csv_table(table);
}

std::string comparison_json(const Comparison& comparison) {
    const ComparisonPlan& plan = comparison.plan;
    using Json = nlohmann::ordered_json;
    Json json{{"experiment", plan.base.experiment},
              {"command", plan.command},
              {"complete", comparison.complete},
              {"seeds", plan.seeds},
              {"results", Json::array()}};
    const TrialResult* shape = example(comparison);
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        Json settings = Json::object(), measures = Json::object(), failures = Json::array();
        const std::vector<std::string> values = plan.values(c);
        for (std::size_t k = 0; k < plan.axes.size(); ++k) settings[plan.axes[k].key] = values[k];
        for (std::size_t m = 0; shape != nullptr && m < shape->measures.size(); ++m) {
            const Spread all = spread(comparison, c, m);
            measures[shape->measures[m].key] = {{"mean", number_or_null(all.mean())},
                                                {"deviation", number_or_null(all.deviation())},
                                                {"values", all.values}};
        }
        int runs = 0;
        for (const auto& result : comparison.results[c]) {
            if (!result) continue;
            ++runs;
            if (!result->failure.empty())
                failures.push_back({{"seed", result->seed}, {"failure", result->failure}});
        }
        json["results"].push_back(
            {{"settings", settings}, {"runs", runs}, {"failures", failures}, {"measures", measures}});
    }
    add_ranking(json, comparison);
    if (varies_robustness(plan)) json["robustness"] = robustness_json(comparison);
    if (!comparison.tuning.methods.empty()) json["tuning"] = tuning_json(comparison.tuning);
    json["data"] = data_json(notes_of_runs(comparison));
    return json.dump(2) + "\n";
}

std::string comparison_html(const Comparison& comparison, const std::string& config) {
    const ComparisonPlan& plan = comparison.plan;
    report::HtmlReport page;
    std::vector<std::string> keys;
    for (const VariedSetting& axis : plan.axes) keys.push_back(axis.key);
    page.title = fmt::format("{}: {}", plan.base.experiment,
                             plan.command == "compare" ? std::string("methods compared")
                                                       : fmt::format("sweep over {}", fmt::join(keys, ", ")));
    page.subtitle = fmt::format("{} combinations, seeds {} to {}", plan.combinations(), plan.first_seed(),
                                plan.first_seed() + static_cast<std::uint64_t>(plan.seeds) - 1);
    if (!comparison.complete)
        page.warnings.push_back("Not all runs have ended; the numbers are of those that have.");
    for (const std::string& failure : comparison_failures(comparison)) page.warnings.push_back(failure);
    report::Section results{.heading = "Results", .tables = {comparison_table(comparison)}};
    if (varies_robustness(plan)) results.tables.insert(results.tables.begin(), robustness_table(comparison));
    if (const std::string notes = notes_text(notes_of_runs(comparison)); !notes.empty())
        results.paragraphs.push_back(notes);
    if (plan.command == "compare" && plan.seeds > 1 && plan.combinations() > 1)
        results.tables.push_back(pairs_table(comparison));
    if (const std::string text = tuning_text(comparison.tuning); !text.empty()) results.paragraphs.push_back(text);
    page.sections.push_back(std::move(results));
    report::Section pictures{.heading = "Pictures"};
    for (const auto& [name, svg] : comparison_pictures(comparison)) pictures.figures.push_back({svg});
    if (!pictures.figures.empty()) page.sections.push_back(std::move(pictures));
    page.settings = config;
    page.reproduce = plan.command_line();
    return report::html_report(page);
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/regression_report.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

nlohmann::ordered_json number_or_null(std::optional<double> value) {
    return app::number_or_null(value.value_or(std::numeric_limits<double>::quiet_NaN()));
}

std::string percent(double share) {
    return fmt::format("{:.2f} %", 100 * share);
}
std::string digits(std::optional<double> value, int count) {
    return value ? fmt::format("{:.{}f}", *value, count) : "failed";
}

std::string mass_text(const std::optional<std::uint64_t>& mass_error) {
    return mass_error ? fmt::format("{}", *mass_error) : "–";
}

/// Points of one run's history.
report::Series error_series(const std::string& name, const RegressionOutcome& outcome,
                            double RegressionRow::*which) {
    report::Series series{.name = name, .x = {}, .y = {}};
    for (const RegressionRow& row : outcome.history) {
        series.x.push_back(static_cast<double>(row.round));
        series.y.push_back(row.*which);
    }
    return series;
}

std::string error_svg(const RegressionResult& result) {
    return report::line_chart({.title = "Distance from the minimiser of F",
                               .x = {"round"},
                               .y = {"relative error", true},
                               .series = {error_series("worst node", result.outcome, &RegressionRow::worst_error),
                                          error_series("median node", result.outcome, &RegressionRow::median_error),
                                          error_series("disagreement (consensus error)", result.outcome,
                                                       &RegressionRow::consensus_error)}});
}

std::string robustness_svg(const RegressionResult& result) {
    report::LineChart chart{
        .title = "Robustness", .x = {"round"}, .y = {"relative error, median node", true}, .series = {}};
    for (const RegressionVariant& variant : result.variants) {
        if (!variant.outcome.failure.empty()) continue;  // the table, the page and the summary name it
        chart.series.push_back(error_series(variant.name, variant.outcome, &RegressionRow::median_error));
    }
    return report::line_chart(chart);
}

std::vector<BudgetResult> by_steps(std::vector<BudgetResult> budgets) {
    std::sort(budgets.begin(), budgets.end(), [](const auto& a, const auto& b) { return a.steps < b.steps; });
    return budgets;
}

std::string personalisation_svg(const RegressionResult& result) {
    report::Series own{
        .name = std::string(title_of(result.settings.method.aggregation)) + " for the budget u", .x = {}, .y = {}};
    report::Series plain{.name = "plain, followed by u steps", .x = {}, .y = {}};
    for (const BudgetResult& budget : by_steps(result.budgets)) {
        for (auto [series, value] : {std::pair{&own, budget.trained_for_it}, std::pair{&plain, budget.plain}}) {
            if (!value) continue;  // the page and the summary name it
            series->x.push_back(budget.steps);
            series->y.push_back(*value);
        }
    }
    return report::line_chart({.title = "Personalisation",
                               .x = {"personalisation budget u (steps)"},
                               .y = {"test error after u steps, mean of agents"},
                               .series = {own, plain}});
}

report::Table budget_table(const RegressionResult& result) {
    report::Table table{{"u", "trained for u", "plain, then u steps", "ratio"}, {}, {}};
    for (const BudgetResult& budget : by_steps(result.budgets)) {
        const bool both = budget.trained_for_it && budget.plain;
        table.rows.push_back({fmt::format("{}", budget.steps), digits(budget.trained_for_it, 4),
                              digits(budget.plain, 4),
                              both ? fmt::format("{:.3f}", *budget.trained_for_it / *budget.plain) : ""});
    }
    return table;
}

report::Table variant_table(const RegressionResult& result) {
    report::Table table{{"run", "worst node", "consensus error", "mass error", "lost", ""}, {}, {}};
    for (const RegressionVariant& variant : result.variants) {
        const RegressionOutcome& outcome = variant.outcome;
        if (!outcome.failure.empty()) {
            table.rows.push_back({variant.name, "–", "–", "–", "–", "failed: " + outcome.failure});
            continue;
        }
        table.rows.push_back({variant.name, percent(outcome.max_relative_error), percent(outcome.consensus_error),
                              mass_text(outcome.mass_error), fmt::format("{}", outcome.messages.lost), ""});
    }
    return table;
}

}  // namespace

report::Table regression_table(const RegressionResult& result) {
    report::Table table{{"node", "relative error, median of the last rounds"}, {}, {}};
    for (std::size_t i = 0; i < result.outcome.node_errors.size() && i < 20; ++i) {
        table.rows.push_back({fmt::format("{}", i), percent(result.outcome.node_errors[i])});
    }
    return table;
}

std::vector<std::pair<std::string, std::string>> regression_plots(const RegressionResult& result) {
    std::vector<std::pair<std::string, std::string>> plots{{"error.svg", error_svg(result)}};
    if (result.budgets.size() > 1) plots.emplace_back("personalisation.svg", personalisation_svg(result));
    if (!result.variants.empty()) plots.emplace_back("robustness.svg", robustness_svg(result));
    return plots;
}

std::string regression_html(const RegressionResult& result, const std::string& config, const std::string& command) {
    const RegressionRunSettings& s = result.settings;
    const RegressionOutcome& outcome = result.outcome;
    report::HtmlReport page;
    page.title = s.experiment;
    page.subtitle = fmt::format("{}, personalisation budget u = {}, {} agents, seed {}",
                                title_of(s.method.aggregation), s.steps, s.data.agents, s.seed);
    page.key_numbers = {
        {percent(outcome.max_relative_error), "from the closed-form minimiser, worst node",
         !(outcome.max_relative_error < 0.02)},
        {mass_text(outcome.mass_error), "units of mass lost or made", outcome.mass_error.value_or(0) != 0},
        {percent(outcome.consensus_error), "consensus error"},
        {count_text(static_cast<double>(outcome.counters.wake_ups)), "wake-ups"},
        {fmt::format("{:.2f} s", outcome.seconds), "training time"}};
    if (!outcome.failure.empty()) page.warnings.push_back("The run stopped: " + outcome.failure + ".");
    for (const FailedRun& run : result.failed)
        page.warnings.push_back(fmt::format("{} failed: {}.", run.name, run.failure));
    if (!outcome.complete && outcome.failure.empty()) {
        page.warnings.push_back("The run was interrupted; the numbers are those of its last round.");
    }
    page.sections.push_back(
        {.heading = "Training",
         .paragraphs = {fmt::format(
             "Directed graph of {} edges; wake-ups at most {} rounds apart, delays up to {} rounds, {:.0f} % loss. "
             "Steps theta(t) = {:.3g} / (t + {:.3g}). {} messages sent, {} lost.",
             outcome.edges, s.wake_gap, s.delay_limit, static_cast<double>(s.loss) * 100, outcome.step_scale,
             outcome.step_offset, outcome.messages.sent, outcome.messages.lost)},
         .figures = {{error_svg(result), "Relative distance from the closed-form minimiser of F."}},
         .tables = {regression_table(result)}});
    if (!result.budgets.empty()) {
        report::Section section{.heading = "Personalisation", .tables = {budget_table(result)}};
        section.paragraphs = {
            "Test error after u steps on the agent's own data: of models that were trained for "
            "that budget, and of plain ones."};
        if (result.budgets.size() > 1) section.figures = {{personalisation_svg(result), "PARS-Push, Figure 1."}};
        page.sections.push_back(std::move(section));
    }
    if (!result.variants.empty()) {
        page.sections.push_back({.heading = "Robustness",
                                 .paragraphs = {"The same experiment with fewer faults and by another method."},
                                 .figures = {{robustness_svg(result), "PARS-Push, Figure 2."}},
                                 .tables = {variant_table(result)}});
    }
    page.settings = config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string regression_summary(const RegressionResult& result) {
    const RegressionRunSettings& s = result.settings;
    const RegressionOutcome& outcome = result.outcome;
    nlohmann::ordered_json json{{"experiment", s.experiment},
                                {"method", title_of(s.method.aggregation)},
                                {"objective", name_of(s.method.objective)},
                                {"aggregation", name_of(s.method.aggregation)},
                                {"seed", s.seed},
                                {"complete", outcome.complete},
                                {"steps", s.steps},
                                {"rounds", outcome.history.empty() ? 0 : outcome.history.back().round + 1},
                                {"max_relative_error", number_or_null(outcome.max_relative_error)},
                                {"mass_error", nullptr},
                                {"consensus_error", number_or_null(outcome.consensus_error)},
                                {"node_errors", nlohmann::ordered_json::array()},
                                {"step_scale", outcome.step_scale},
                                {"step_offset", outcome.step_offset},
                                {"edges", outcome.edges},
                                {"wake_ups", outcome.counters.wake_ups},
                                {"waits", outcome.counters.waits},
                                {"crashes", outcome.counters.crashes},
                                {"task_gradients", outcome.counters.gradients},
                                {"messages_sent", outcome.messages.sent},
                                {"messages_lost", outcome.messages.lost},
                                {"trace", fmt::format("{:016x}", outcome.trace)},
                                {"seconds", outcome.seconds},
                                {"threads", result.threads}};
    if (outcome.mass_error) json["mass_error"] = *outcome.mass_error;
    if (!outcome.failure.empty()) json["failure"] = outcome.failure;
    for (double error : outcome.node_errors) json["node_errors"].push_back(number_or_null(error));
    if (!result.budgets.empty()) {
        json["personalised_error"] = number_or_null(result.budgets.front().trained_for_it);
        json["personalised_error_plain"] = number_or_null(result.budgets.front().plain);
        for (const BudgetResult& budget : by_steps(result.budgets)) {
            json["personalisation"].push_back({{"steps", budget.steps},
                                               {"trained_for_it", number_or_null(budget.trained_for_it)},
                                               {"plain", number_or_null(budget.plain)}});
        }
    }
    for (const FailedRun& run : result.failed)
        json["failed"].push_back({{"name", run.name}, {"failure", run.failure}});
    for (const RegressionVariant& variant : result.variants) {
        const RegressionOutcome& other = variant.outcome;
        nlohmann::ordered_json row{{"name", variant.name},
                                   {"max_relative_error", number_or_null(other.max_relative_error)},
                                   {"consensus_error", number_or_null(other.consensus_error)},
                                   {"messages_lost", other.messages.lost},
                                   {"failure", other.failure}};
        if (!other.failure.empty())
            row["max_relative_error"] = row["consensus_error"] = row["messages_lost"] = nullptr;
        json["robustness"].push_back(std::move(row));
    }
    json["data"] = data_json(result.notes);
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

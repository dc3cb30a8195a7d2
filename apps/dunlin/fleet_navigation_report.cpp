// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_navigation_report.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/regression_report.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

constexpr double target = 0.9;  ///< of the optimum, on every node's task

nlohmann::ordered_json number_or_null(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

report::Series series(const std::string& name, const std::vector<FleetNavigationRow>& rows,
                      double (FleetNavigationRow::*which)() const) {
    report::Series series{.name = name, .x = {}, .y = {}};
    for (const FleetNavigationRow& row : rows) {
        series.x.push_back(static_cast<double>(row.environment_steps));
        series.y.push_back((row.*which)());
    }
    return series;
}

std::string returns_svg(const FleetNavigationResult& result) {
    const FleetNavigationOutcome& outcome = result.outcome;
    std::vector<FleetNavigationRow> learning = outcome.history;
    // What follows the last step costs no environment step: it would be a vertical line.
    std::erase_if(learning, [&](const FleetNavigationRow& row) { return row.round > result.settings.rounds; });
    report::LineChart chart{.title = "Return after adaptation",
                            .x = {"environment steps, all nodes together"},
                            .y = {"share of the optimum", false, 0.0, 1.0},
                            .series = {series("fleet, mean of nodes", learning, &FleetNavigationRow::mean),
                                       series("fleet, worst node", learning, &FleetNavigationRow::worst)}};
    if (!outcome.centralised.empty()) {
        chart.series.push_back(series("centralised, mean", outcome.centralised, &FleetNavigationRow::mean));
        chart.series.push_back(series("centralised, worst", outcome.centralised, &FleetNavigationRow::worst));
    }
    return report::line_chart(chart);
}

std::string nodes_svg(const FleetNavigationResult& result) {
    const FleetNavigationOutcome& outcome = result.outcome;
    const std::size_t shown = std::min<std::size_t>(outcome.last.ratios.size(), 16);
    report::BarChart chart;
    chart.title = "Every node on its own task";
    chart.category_title = "node";
    chart.y.title = "share of the optimum after adaptation";
    chart.series.push_back({.name = "fleet", .values = {}});
    if (!outcome.centralised.empty()) chart.series.push_back({.name = "centralised", .values = {}});
    chart.reference = target;
    chart.reference_name = "target";
    for (std::size_t i = 0; i < shown; ++i) {
        chart.categories.push_back(fmt::format("{}", i));
        chart.series[0].values.push_back(outcome.last.ratios[i]);
        if (chart.series.size() > 1) chart.series[1].values.push_back(outcome.centralised.back().ratios[i]);
    }
    return report::bar_chart(chart);
}

std::string consensus_svg(const FleetNavigationResult& result) {
    report::Series line{.name = "largest distance of a node from the mean", .x = {}, .y = {}};
    for (const FleetNavigationRow& row : result.outcome.history) {
        line.x.push_back(static_cast<double>(row.round));
        line.y.push_back(row.consensus_error);
    }
    line.reference = 0.01;
    return report::line_chart({.title = "Consensus error",
                               .x = {"round"},
                               .y = {"relative to the mean's norm", true},
                               .series = {line},
                               .reference_name = "1 %"});
}

bool gossips(const FleetNavigationSettings& settings) {
    return has_neighbours(settings.method.aggregation);
}

std::string method_of(const FleetNavigationSettings& settings) {
    const Method method = settings.method;
    if (method.objective != Objective::moreau) return title_of(method);
    return std::string(title_of(method.aggregation));
}

/// What the nodes do together, for a subtitle.
std::string subject_of(const FleetNavigationSettings& settings) {
    const Method method = settings.method;
    const std::string_view by = title_of(method.aggregation);
    if (method.objective == Objective::moreau) return fmt::format("MEMRL over {}", by);
    return fmt::format("{} over {}", title_of(method.objective), by);
}

/// How a node's policy comes to be its own.
std::string how_of(const FleetNavigationResult& result) {
    const std::string owns = "Each node owns one task";
    switch (traits_of(result.settings.method.objective).kept) {
        case Kept::layers:
            return owns + ", and layers of its own that follow what is shared; it takes no further steps.";
        case Kept::model:
            return owns +
                   ", and a policy of its own beside the shared one, which it follows; it takes no further "
                   "steps.";
        default:
            return fmt::format("{}{} and adapts its own parameters to it by {} inner steps.", owns,
                               result.settings.personal_layers.empty() ? "" : ", keeps layers of its own,",
                               result.settings.inner.step_limit);
    }
}

}  // namespace

report::Table fleet_navigation_table(const FleetNavigationResult& result) {
    const FleetNavigationOutcome& outcome = result.outcome;
    report::Table table{{"task", "return", "optimum", "ratio"}, {}, {}};
    if (!outcome.centralised.empty()) table.header.push_back("centralised");
    for (std::size_t i = 0; i < outcome.last.ratios.size(); ++i) {
        const double ratio = outcome.last.ratios[i], optimum = outcome.optimal_returns[i];
        table.rows.push_back({outcome.task_names[i], fmt::format("{:.3f}", ratio * optimum),
                              fmt::format("{:.3f}", optimum), fmt::format("{:.3f}", ratio)});
        if (!outcome.centralised.empty())
            table.rows.back().push_back(fmt::format("{:.3f}", outcome.centralised.back().ratios[i]));
    }
    return table;
}

std::vector<std::pair<std::string, std::string>> fleet_navigation_plots(const FleetNavigationResult& result) {
    std::vector<std::pair<std::string, std::string>> plots{{"returns.svg", returns_svg(result)},
                                                           {"nodes.svg", nodes_svg(result)}};
    if (gossips(result.settings)) plots.emplace_back("consensus.svg", consensus_svg(result));
    return plots;
}

std::string fleet_navigation_html(const FleetNavigationResult& result, const std::string& config,
                                  const std::string& command) {
    const FleetNavigationSettings& s = result.settings;
    const FleetNavigationOutcome& outcome = result.outcome;
    const double worst = outcome.last.worst(), consensus = outcome.last.consensus_error;
    report::HtmlReport page;
    page.title = s.experiment;
    page.subtitle = fmt::format("{}, {} nodes{}, {:.0f} % loss, seed {}", subject_of(s), s.nodes,
                                gossips(s)                         ? " on a " + s.graph + " graph"
                                : has_server(s.method.aggregation) ? " on a server"
                                                                   : "",
                                100 * static_cast<double>(s.loss), s.seed);
    page.key_numbers = {{fmt::format("{:.3f}", worst), "of the optimum, worst node", worst < target},
                        {fmt::format("{:.2f} %", 100 * consensus), "consensus error", !(consensus < 0.01)},
                        {outcome.mass_error ? fmt::format("{}", *outcome.mass_error) : "–",
                         "units of mass lost or made", outcome.mass_error.value_or(0) != 0},
                        {count_text(static_cast<double>(outcome.last.environment_steps)), "environment steps"},
                        {fmt::format("{:.2f} s", outcome.seconds), "for fleet and centralised run"}};
    if (!outcome.failure.empty()) page.warnings.push_back("The run stopped: " + outcome.failure + ".");
    if (!outcome.complete && outcome.failure.empty()) {
        page.warnings.push_back("The run was interrupted; the numbers are those of its last round.");
    }
    page.sections = {
        {.heading = "Tasks",
         .paragraphs = {how_of(result) + " Returns are exact, by dynamic programming." +
                        (outcome.centralised.empty() ? ""
                                                     : " The centralised run sees all tasks in every iteration and "
                                                       "takes as many environment steps.")},
         .figures = {{returns_svg(result), "While the fleet learns."}, {nodes_svg(result), "At the end."}},
         .tables = {fleet_navigation_table(result)}}};
    if (gossips(s)) {
        page.sections.push_back({.heading = "Agreement",
                                 .paragraphs = {fmt::format(
                                     "Nodes learn for {} rounds and only agree for {} more. {} of {} messages were "
                                     "lost; {} wake-ups, {} of which waited for weight.",
                                     s.rounds, s.settling_rounds, outcome.messages.lost, outcome.messages.sent,
                                     outcome.counters.wake_ups, outcome.counters.waits)},
                                 .figures = {{consensus_svg(result), "How far the nodes are from each other."}}});
    }
    page.settings = config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string fleet_navigation_summary(const FleetNavigationResult& result) {
    const FleetNavigationSettings& s = result.settings;
    const FleetNavigationOutcome& outcome = result.outcome;
    nlohmann::ordered_json json{{"experiment", s.experiment},
                                {"method", method_of(s)},
                                {"objective", name_of(s.method.objective)},
                                {"aggregation", name_of(s.method.aggregation)},
                                {"seed", s.seed},
                                {"complete", outcome.complete},
                                {"rounds", outcome.last.round},
                                {"env_steps", outcome.last.environment_steps},
                                {"consensus_error", number_or_null(outcome.last.consensus_error)},
                                {"mass_error", nullptr},
                                {"wake_ups", outcome.counters.wake_ups},
                                {"waits", outcome.counters.waits},
                                {"crashes", outcome.counters.crashes},
                                {"task_gradients", outcome.counters.gradients},
                                {"messages_sent", outcome.messages.sent},
                                {"messages_lost", outcome.messages.lost},
                                {"trace", fmt::format("{:016x}", outcome.trace)},
                                {"seconds", outcome.seconds},
                                {"threads", result.threads},
                                {"tasks", nlohmann::ordered_json::array()}};
    if (outcome.mass_error) json["mass_error"] = *outcome.mass_error;
    if (!outcome.failure.empty()) json["failure"] = outcome.failure;
    for (std::size_t i = 0; i < outcome.last.ratios.size(); ++i) {
        const double ratio = outcome.last.ratios[i], optimum = outcome.optimal_returns[i];
        json["tasks"].push_back({{"name", outcome.task_names[i]},
                                 {"return", number_or_null(ratio * optimum)},
                                 {"optimal_return", number_or_null(optimum)},
                                 {"return_ratio", number_or_null(ratio)}});
    }
    if (!outcome.centralised.empty()) {
        const FleetNavigationRow& last = outcome.centralised.back();
        json["centralised"] = {
            {"iterations", last.round}, {"env_steps", last.environment_steps}, {"return_ratios", last.ratios}};
    }
    json["data"] = data_json(result.notes);
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

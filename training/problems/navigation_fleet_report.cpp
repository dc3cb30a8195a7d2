// SPDX-License-Identifier: Apache-2.0
#include "training/problems/federated_result.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr double target = 0.9;              ///< of the optimum, on every node's task
constexpr std::size_t worst = 0, mean = 1;  ///< of a row's metrics

FigureLine line(const std::string& name, const std::vector<FederatedRow>& rows, std::size_t metric) {
    FigureLine line{.name = name, .x = {}, .y = {}};
    for (const FederatedRow& row : rows) {
        line.x.push_back(static_cast<double>(row.environment_steps));
        line.y.push_back(row.personal[metric]);
    }
    return line;
}

FigureChart returns(const FleetNavigationSettings& s, const FederatedResult& result) {
    std::vector<FederatedRow> learning = result.history;
    // What follows the last step costs no environment step: it would be a vertical line.
    std::erase_if(learning, [&](const FederatedRow& row) { return row.round > s.rounds; });
    FigureChart chart{
        .file = "returns.svg",
        .title = "Return after adaptation",
        .x_title = "environment steps, all nodes together",
        .y_title = "share of the optimum",
        .caption = "While the fleet learns.",
        .low = 0.0,
        .high = 1.0,
        .lines = {line("fleet, mean of nodes", learning, mean), line("fleet, worst node", learning, worst)}};
    if (!result.beside.empty()) {
        chart.lines.push_back(line("centralised, mean", result.beside, mean));
        chart.lines.push_back(line("centralised, worst", result.beside, worst));
    }
    return chart;
}

FigureChart nodes(const FederatedResult& result) {
    FigureChart chart{.file = "nodes.svg",
                      .title = "Every node on its own task",
                      .x_title = "node",
                      .y_title = "share of the optimum after adaptation",
                      .caption = "At the end.",
                      .reference_name = "target",
                      .lines = {{.name = "fleet", .x = {}, .y = {}, .reference = target}}};
    if (!result.beside.empty()) chart.lines.push_back({.name = "centralised", .x = {}, .y = {}});
    for (std::size_t i = 0; i < std::min<std::size_t>(result.last.by_node.size(), 16); ++i) {
        chart.categories.push_back(fmt::format("{}", i));
        chart.lines[0].y.push_back(result.last.by_node[i]);
        if (!result.beside.empty()) chart.lines[1].y.push_back(result.beside.back().by_node[i]);
    }
    return chart;
}

FigureTable tasks(const NavigationWorld& world, const FederatedResult& result) {
    FigureTable table{
        .key = "tasks",
        .columns = {
            {"name", "task"}, {"return", "return"}, {"optimal_return", "optimum"}, {"return_ratio", "ratio"}}};
    if (!result.beside.empty()) table.columns.push_back({"", "centralised"});
    for (std::uint32_t i = 0; i < result.last.by_node.size(); ++i) {
        const double ratio = result.last.by_node[i], optimum = world.optimum(i);
        table.rows.push_back({world.texts.nodes[i], ratio * optimum, optimum, ratio});
        if (!result.beside.empty()) table.rows.back().emplace_back(result.beside.back().by_node[i]);
    }
    return table;
}

/// How a node's policy comes to be its own.
std::string how_of(const FleetNavigationSettings& s) {
    const std::string owns = "Each node owns one task";
    switch (traits_of(s.federated.objective()).kept) {
        case Kept::layers:
            return owns + ", and layers of its own that follow what is shared; it takes no further steps.";
        case Kept::model:
            return owns +
                   ", and a policy of its own beside the shared one, which it follows; it takes no further "
                   "steps.";
        default:
            return fmt::format("{}{} and adapts its own parameters to it by {} inner steps.", owns,
                               s.personal_layers.empty() ? "" : ", keeps layers of its own,", s.inner.step_limit);
    }
}

}  // namespace

void report_navigation_fleet(const FleetNavigationSettings& s, FederatedProblem& fleet,
                             const FederatedResult& result, RunFigures& figures) {
    const FederatedRow& last = result.last;
    const Method method = s.federated.method;
    const bool envelope = method.objective == Objective::moreau, gossips = has_neighbours(method.aggregation);
    const auto steps = static_cast<double>(last.environment_steps);
    figures.subject =
        fmt::format("{} over {}, {} nodes{}, {:.0f} % loss", envelope ? "MEMRL" : title_of(method.objective),
                    title_of(method.aggregation), s.nodes,
                    gossips                          ? " on a " + s.graph + " graph"
                    : has_server(method.aggregation) ? " on a server"
                                                     : "",
                    100 * static_cast<double>(s.loss));
    figures.numbers = {
        {fmt::format("{:.3f}", last.personal[worst]), "of the optimum, worst node", last.personal[worst] < target},
        {fmt::format("{}", last.environment_steps), "environment steps"}};
    figures.sections = {
        {.heading = "Tasks",
         .paragraphs = {how_of(s) + " Returns are exact, by dynamic programming." +
                        (result.beside.empty() ? ""
                                               : " The centralised run sees all tasks in every iteration and "
                                                 "takes as many environment steps.")},
         .charts = {returns(s, result), nodes(result)},
         .tables = {tasks(static_cast<const NavigationFleet&>(fleet).world(), result)}}};
    figures.fields = {{"env_steps", last.environment_steps}};
    if (!result.beside.empty()) {
        const FederatedRow& centralised = result.beside.back();
        figures.fields.insert(figures.fields.end(), {{"centralised.iterations", centralised.round},
                                                     {"centralised.env_steps", centralised.environment_steps},
                                                     {"centralised.return_ratios", centralised.by_node}});
    }
    using Show = FigureMeasure::Show;
    figures.measures = {{"worst_ratio", "of the optimum, worst node", last.personal[worst], Show::mean, true},
                        {"mean_ratio", "of the optimum, mean of nodes", last.personal[mean], Show::mean, true},
                        {"consensus_error", "consensus error", last.consensus_error},
                        {"env_steps", "env steps", steps, Show::count}};
    FigureCurve curve{"returns", "Return after adaptation", "round", "share of the optimum, mean of nodes", {}, {}};
    for (const FederatedRow& row : result.history) {
        curve.x.push_back(static_cast<double>(row.round));
        curve.y.push_back(row.personal[mean]);
    }
    figures.curves = {std::move(curve)};
    figures.line = fmt::format("; {} environment steps", last.environment_steps);
}

}  // namespace dunlin

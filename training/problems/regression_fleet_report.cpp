// SPDX-License-Identifier: Apache-2.0
#include "training/problems/federated_result.hpp"
#include "training/problems/regression_fleet.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr int largest_budget = 5;             ///< of PARS-Push's Figure 1
constexpr std::size_t worst = 0, middle = 1;  ///< of a row's metrics
constexpr std::string_view budget_name = "u = ";

FigureLine errors(const std::string& name, const FederatedResult& result, std::size_t metric) {
    FigureLine line{.name = name, .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        line.x.push_back(static_cast<double>(row.round));
        line.y.push_back(row.personal[metric]);
    }
    return line;
}

/// The worst of the nodes' medians over the last rounds, of those that are there; no number where none is.
double largest_error(const FederatedResult& result) {
    double largest = std::numeric_limits<double>::quiet_NaN();
    for (const double error : result.personal_by_node) {
        if (!(error <= largest) && !std::isnan(error)) largest = error;
    }
    return largest;
}

bool good(const SideRun& run) {
    return run.failure.empty() && run.result && run.result->failure.empty();
}
std::string failure_of(const SideRun& run) {
    return run.failure.empty() && run.result ? run.result->failure : run.failure;
}
int budget_of(const SideRun& run) {
    return run.name.back() - '0';
}
bool is_budget(const SideRun& run) {
    return run.name.starts_with(budget_name);
}
std::string own_name(const RegressionRunSettings& s) {
    return std::string(title_of(s.federated.method.aggregation)) + ", losses too (this run)";
}

/// Of the agents' models at the end; none where they are too many to be kept.
FigureValue error_after(const RegressionRunSettings& s, const FederatedResult& result, int steps) {
    if (!result.personal_models.empty()) return personalised_error(s, result.personal_models, steps);
    if (!has_one_model(s.federated.method.aggregation) || result.shared_model.empty()) return std::monostate{};
    std::vector<float> models;  // all have the same
    for (int i = 0; i < s.data.agents; ++i)
        models.insert(models.end(), result.shared_model.begin(), result.shared_model.end());
    return personalised_error(s, models, steps);
}
FigureValue error_of(const RegressionRunSettings& s, const FederatedResult* result, int steps) {
    if (result == nullptr || !result->failure.empty()) return std::monostate{};
    return error_after(s, *result, steps);
}

/// Of every budget the test error after so many steps: of models that were trained for it, and of plain ones.
FigureTable budgets(const RegressionRunSettings& s, const FederatedResult& result) {
    FigureTable table{.key = "personalisation",
                      .columns = {{"steps", "u", FigureColumn::Show::plain},
                                  {"trained_for_it", "trained for u", FigureColumn::Show::digits4},
                                  {"plain", "plain, then u steps", FigureColumn::Show::digits4},
                                  {"", "ratio"}}};
    const FederatedResult* plain = s.budget() == 0 ? &result : nullptr;
    for (const SideRun& run : result.side_runs) {
        if (is_budget(run) && budget_of(run) == 0 && good(run)) plain = run.result.get();
    }
    const auto add = [&](int steps, const FederatedResult* trained) {
        const FigureValue own = error_of(s, trained, steps), other = error_of(s, plain, steps);
        const auto *a = std::get_if<double>(&own), *b = std::get_if<double>(&other);
        const FigureValue ratio = a != nullptr && b != nullptr ? FigureValue(*a / *b) : FigureValue();
        table.rows.push_back({std::int64_t{steps}, own, other, ratio});
    };
    add(s.budget(), &result);
    for (const SideRun& run : result.side_runs) {
        if (is_budget(run) && (budget_of(run) > 0 || s.personalisation))
            add(budget_of(run), good(run) ? run.result.get() : nullptr);
    }
    std::ranges::sort(table.rows, {}, [](const auto& row) { return std::get<std::int64_t>(row[0]); });
    return table;
}

FigureChart budget_chart(const RegressionRunSettings& s, const FigureTable& table) {
    FigureLine own{
        .name = std::string(title_of(s.federated.method.aggregation)) + " for the budget u", .x = {}, .y = {}};
    FigureLine plain{.name = "plain, followed by u steps", .x = {}, .y = {}};
    for (const auto& row : table.rows) {
        for (const auto& [line, at] : {std::pair{&own, 1}, std::pair{&plain, 2}}) {
            const auto* value = std::get_if<double>(&row[static_cast<std::size_t>(at)]);
            if (value == nullptr) continue;  // the table and the summary name it
            line->x.push_back(static_cast<double>(std::get<std::int64_t>(row[0])));
            line->y.push_back(*value);
        }
    }
    return {.file = "personalisation.svg",
            .title = "Personalisation",
            .x_title = "personalisation budget u (steps)",
            .y_title = "test error after u steps, mean of agents",
            .caption = "PARS-Push, Figure 1.",
            .lines = {own, plain}};
}

FigureSection robustness(const RegressionRunSettings& s, const FederatedResult& result) {
    FigureSection section{.heading = "Robustness",
                          .paragraphs = {"The same experiment with fewer faults and by another method."}};
    FigureChart chart{.file = "robustness.svg",
                      .title = "Robustness",
                      .x_title = "round",
                      .y_title = "relative error, median node",
                      .caption = "PARS-Push, Figure 2.",
                      .logarithmic = true};
    using Show = FigureColumn::Show;
    FigureTable table{.key = "robustness",
                      .columns = {{"name", "run"},
                                  {"max_relative_error", "worst node", Show::percent},
                                  {"consensus_error", "consensus error", Show::percent},
                                  {"", "mass error"},
                                  {"messages_lost", "lost"},
                                  {"failure", "failed"}}};
    const auto add = [&](const std::string& name, const FederatedResult* one, const std::string& failure) {
        if (one == nullptr) {
            table.rows.push_back({name, {}, {}, {}, {}, failure});
            return;
        }
        chart.lines.push_back(errors(name, *one, middle));
        const FigureValue mass = one->mass_error ? FigureValue(*one->mass_error) : FigureValue();
        table.rows.push_back({name, largest_error(*one), one->last.consensus_error, mass,
                              std::uint64_t{one->messages.lost}, std::string()});
    };
    std::size_t variants = 0;
    for (const SideRun& run : result.side_runs) {
        if (is_budget(run)) continue;
        if (variants++ == 3) add(own_name(s), &result, "");
        add(run.name, good(run) ? run.result.get() : nullptr, failure_of(run));
    }
    if (variants == 0) return {};
    if (variants == 3) add(own_name(s), &result, "");
    section.charts = {chart};
    section.tables = {table};
    return section;
}

}  // namespace

std::vector<SideRun> regression_side_runs(const RegressionRunSettings& s) {
    const Objective with_steps = s.federated.objective() == Objective::moreau ? Objective::moreau : Objective::maml;
    std::vector<SideRun> runs;
    for (int steps = 0; steps <= largest_budget; ++steps) {
        if (steps == s.budget() || (steps > 0 && !s.personalisation)) continue;
        const Objective objective = steps > 0 ? with_steps : Objective::plain;
        runs.push_back(
            {fmt::format("{}{}", budget_name, steps),
             {fmt::format("adaptation.steps={}", steps), fmt::format("objective.name={}", name_of(objective))}});
    }
    const AggregationName by = s.federated.method.aggregation;
    if (!s.robustness || !has_neighbours(by)) return runs;  // nobody else looks at these faults
    // Figure 2: faults one after the other, and who has no running sums.
    std::vector<std::string> delayed{"network.loss=0", "network.duplication=0", "network.crash_gap=0",
                                     "network.gone=0"};
    if (!s.trace.empty()) delayed.emplace_back("network.trace=\"\"");
    std::vector<std::string> idle = delayed, quiet;
    idle.emplace_back("network.delay_limit=1");
    quiet = idle;
    quiet.emplace_back("network.wake_gap=1");
    const std::string own(title_of(by));
    runs.push_back({own + ", no faults", quiet});
    runs.push_back({own + ", idle nodes", idle});
    runs.push_back({own + ", idle nodes and delays", delayed});
    const AggregationName rival = by == AggregationName::sgp ? AggregationName::pars_push : AggregationName::sgp;
    const std::string named = fmt::format("aggregation.name={}", name_of(rival));
    delayed.push_back(named);
    runs.push_back({fmt::format("{}, idle nodes and delays", title_of(rival)), delayed});
    std::vector<std::string> lossy{named};
    if (rival != AggregationName::pars_push)
        lossy.emplace_back("network.gone=0");  // it cannot lose a node and go on
    runs.push_back({fmt::format("{}, losses too", title_of(rival)), lossy});
    return runs;
}

void report_regression(const RegressionRunSettings& s, FederatedProblem&, const FederatedResult& result,
                       RunFigures& figures) {
    const double largest = largest_error(result);
    const StepSchedule theta = regression_steps(s);
    figures.subject = fmt::format("{}, personalisation budget u = {}, {} agents",
                                  title_of(s.federated.method.aggregation), s.budget(), s.data.agents);
    figures.numbers = {
        {fmt::format("{:.2f} %", 100 * largest), "from the closed-form minimiser, worst node", !(largest < 0.02)}};
    FigureTable nodes{
        .key = "node_errors",
        .columns = {{"", "node"},
                    {"relative_error", "relative error, median of the last rounds", FigureColumn::Show::percent}},
        .most_shown = 20,
        .flat = true};
    for (std::size_t i = 0; i < result.personal_by_node.size(); ++i)
        nodes.rows.push_back({static_cast<std::uint64_t>(i), result.personal_by_node[i]});
    FigureLine disagreement{.name = "disagreement (consensus error)", .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        disagreement.x.push_back(static_cast<double>(row.round));
        disagreement.y.push_back(row.consensus_error);
    }
    figures.sections.push_back(
        {.heading = "Training",
         .paragraphs = {fmt::format(
             "Directed graph of {} edges; wake-ups at most {} rounds apart, delays up to {} rounds, {:.0f} % loss. "
             "Steps theta(t) = {:.3g} / (t + {:.3g}).",
             result.edges, s.wake_gap, s.delay_limit, static_cast<double>(s.loss) * 100, theta.scale,
             theta.offset)},
         .charts = {{.file = "error.svg",
                     .title = "Distance from the minimiser of F",
                     .x_title = "round",
                     .y_title = "relative error",
                     .caption = "Relative distance from the closed-form minimiser of F.",
                     .logarithmic = true,
                     .lines = {errors("worst node", result, worst), errors("median node", result, middle),
                               disagreement}}},
         .tables = {nodes}});
    figures.fields = {{"steps", std::int64_t{s.budget()}},
                      {"max_relative_error", largest},
                      {"step_scale", theta.scale},
                      {"step_offset", theta.offset}};
    if (result.complete) {
        const FigureTable table = budgets(s, result);
        const auto own = std::ranges::find_if(
            table.rows, [&](const auto& row) { return std::get<std::int64_t>(row[0]) == s.budget(); });
        figures.fields.insert(figures.fields.end(),
                              {{"personalised_error", (*own)[1]}, {"personalised_error_plain", (*own)[2]}});
        FigureSection section{
            .heading = "Personalisation",
            .paragraphs = {"Test error after u steps on the agent's own data: of models that were "
                           "trained for that budget, and of plain ones."},
            .tables = {table}};
        if (table.rows.size() > 1) section.charts = {budget_chart(s, table)};
        figures.sections.push_back(std::move(section));
        if (FigureSection variants = robustness(s, result); !variants.tables.empty())
            figures.sections.push_back(std::move(variants));
    }
    using Show = FigureMeasure::Show;
    const FigureValue personal = error_after(s, result, s.budget());
    const auto* error = std::get_if<double>(&personal);
    figures.measures = {{"max_relative_error", "worst node's relative error", largest, Show::mean, true},
                        {"personalised_error", "test error after personalisation", error != nullptr ? *error : NAN,
                         Show::mean, true},
                        {"consensus_error", "consensus error", result.last.consensus_error},
                        {"messages_lost", "messages lost", static_cast<double>(result.messages.lost), Show::count}};
    FigureLine curve = errors("", result, middle);
    figures.curves = {{"error", "Distance from the minimiser", "round", "relative error, median node",
                       std::move(curve.x), std::move(curve.y)}};
    figures.line = fmt::format("; worst node {:.2f} % from the closed form", 100 * largest);
}

}  // namespace dunlin

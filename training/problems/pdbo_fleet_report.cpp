// SPDX-License-Identifier: Apache-2.0
#include "training/problems/federated_result.hpp"
#include "training/problems/pdbo_fleet.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Agents = PdboAgents;

constexpr PdboMethod methods[] = {PdboMethod::sgp, PdboMethod::local, PdboMethod::pdbo_mtl_local,
                                  PdboMethod::pdbo_mtl};

std::string method_title(PdboMethod method) {
    switch (method) {
        case PdboMethod::pdbo_mtl:
            return "PDBO-MTL";
        case PdboMethod::pdbo_mtl_local:
            return "PDBO-MTL (local)";
        case PdboMethod::sgp:
            return "SGP";
        case PdboMethod::local:
            return "each alone";
    }
    return {};
}

/// Inner steps that every agent has taken.
std::int64_t steps_of(const FederatedRow& row, const FederatedResult& result) {
    return static_cast<std::int64_t>(row.updates / result.scores.size());
}

std::string_view budget_name(PdboBudget budget) {
    return budget == PdboBudget::inner_steps ? "inner-steps" : "gradients";
}
std::string budget_title(PdboBudget budget) {
    return budget == PdboBudget::inner_steps ? "equal inner steps" : "equal gradients";
}

/// A method at a budget: this run or one beside it.
struct Variant {
    PdboMethod method;
    PdboBudget budget;
    const FederatedResult* result = nullptr;  ///< null where it failed
    std::string failure = {};

    std::string title() const { return fmt::format("{} at {}", method_title(method), budget_title(budget)); }
    double best(Agents::Metric metric) const { return result->history[result->selected].personal[metric]; }
};

/// All of the other methods, at both budgets; PDBO-MTL is the measure of both.
std::vector<Variant> others(const PdboSettings& s) {
    std::vector<Variant> all;
    if (s.method != PdboMethod::pdbo_mtl) all.push_back({PdboMethod::pdbo_mtl, s.budget});
    for (const PdboMethod method : {PdboMethod::pdbo_mtl_local, PdboMethod::sgp, PdboMethod::local}) {
        for (const PdboBudget budget : {PdboBudget::inner_steps, PdboBudget::gradients}) {
            if (method != s.method || budget != s.budget) all.push_back({method, budget});
        }
    }
    return all;
}

/// This run and those beside it, where there are any.
std::vector<Variant> variants_of(const PdboSettings& s, const FederatedResult& result) {
    std::vector<Variant> all{{s.method, s.budget, result.failure.empty() ? &result : nullptr, result.failure}};
    if (result.side_runs.empty()) return all;
    auto run = result.side_runs.begin();
    for (Variant& one : others(s)) {
        if (run->failure.empty()) one.result = run->result.get();
        one.failure = run->failure;
        all.push_back(std::move(one));
        ++run;
    }
    return all;
}

/// Null where it was not run.
const Variant* find(const std::vector<Variant>& variants, PdboMethod method, PdboBudget budget) {
    const auto found = std::ranges::find_if(variants, [&](const Variant& one) {
        return one.method == method && (one.budget == budget || method == PdboMethod::pdbo_mtl);
    });
    return found == variants.end() ? nullptr : &*found;
}

/// The paper's Table 1.
FigureTable table_of(const std::vector<Variant>& variants) {
    FigureTable table{.key = "",
                      .columns = {{"", "method"}},
                      .caption = "Test accuracy in percent, average / bottom decile of the agents"};
    std::vector<PdboBudget> budgets{PdboBudget::inner_steps, PdboBudget::gradients};
    if (variants.size() == 1) budgets = {variants.front().budget};
    for (const PdboBudget budget : budgets) table.columns.push_back({"", budget_title(budget)});
    for (const PdboMethod method : methods) {
        if (variants.size() == 1 && method != variants.front().method) continue;
        table.rows.push_back({method_title(method)});
        for (const PdboBudget budget : budgets) {
            const Variant* one = find(variants, method, budget);
            if (one == nullptr)
                table.rows.back().emplace_back("–");
            else if (one->result == nullptr)
                table.rows.back().emplace_back("failed");
            else
                table.rows.back().push_back(fmt::format("{:.1f} / {:.1f}", 100 * one->best(Agents::test_accuracy),
                                                        100 * one->best(Agents::decile)));
        }
    }
    return table;
}

/// The same for files.
FigureTable list_of(const std::vector<Variant>& variants) {
    FigureTable table{.key = "table",
                      .columns = {{"budget", ""},
                                  {"method", ""},
                                  {"test_accuracy", ""},
                                  {"test_accuracy_bottom_decile", ""},
                                  {"inner_steps", ""},
                                  {"task_gradients", ""},
                                  {"failure", ""}}};
    for (const PdboBudget budget : {PdboBudget::inner_steps, PdboBudget::gradients}) {
        for (const PdboMethod method : methods) {
            const Variant* one = find(variants, method, budget);
            if (one == nullptr) continue;
            std::vector<FigureValue> row{std::string(budget_name(budget)), std::string(name_of(method))};
            if (one->result != nullptr) {
                const FederatedRow& end = one->result->history.back();
                row.insert(row.end(), {one->best(Agents::test_accuracy), one->best(Agents::decile),
                                       steps_of(end, *one->result), end.personal[Agents::task_gradients]});
            }
            row.resize(6);
            row.emplace_back(one->failure);
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

FigureChart methods_chart(const std::vector<Variant>& variants, PdboBudget budget) {
    FigureLine average{.name = "average of the agents", .x = {}, .y = {}},
        decile{.name = "bottom decile", .x = {}, .y = {}};
    FigureChart chart{.file = fmt::format("methods-{}.svg", budget_name(budget)),
                      .title = fmt::format("Test accuracy at {}", budget_title(budget)),
                      .y_title = "accuracy (%)",
                      .caption = budget == PdboBudget::inner_steps ? "The paper's Table 1, first budget."
                                                                   : "The same, second budget."};
    for (const PdboMethod method : methods) {
        const Variant* one = find(variants, method, budget);
        if (one == nullptr || one->result == nullptr) continue;  // the page and the summary name it
        chart.categories.push_back(method_title(method));
        average.y.push_back(100 * one->best(Agents::test_accuracy));
        decile.y.push_back(100 * one->best(Agents::decile));
    }
    chart.lines = {std::move(average), std::move(decile)};
    return chart;
}

FigureLine line_of(std::string name, const FederatedResult& result, Agents::Metric metric) {
    FigureLine line{.name = std::move(name), .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        line.x.push_back(static_cast<double>(steps_of(row, result)));
        line.y.push_back(row.personal[metric]);
    }
    return line;
}

FigureChart agents_chart(const PdboSettings& s, const FederatedResult& result) {
    return {.file = "agents.svg",
            .title = "Test accuracy of each agent, at the chosen stage",
            .x_title = "accuracy",
            .lines = {{.name = method_title(s.method), .x = {}, .y = result.personal_by_node}},
            .bins = 20};
}

/// How decided the agents are. `weights` are all agents', one after another.
FigureChart weights_chart(const PdboSettings& s, std::span<const float> weights) {
    const auto count = static_cast<std::size_t>(s.mixture.predictors);
    FigureLine line{.name = "agents", .x = {}, .y = {}};
    for (std::size_t first = 0; first < weights.size(); first += count)
        line.y.push_back(static_cast<double>(std::ranges::max(weights.subspan(first, count))));
    return {
        .file = "weights.svg",
        .title = fmt::format("Each agent's largest weight (all equal: {:.2f})", 1.0 / static_cast<double>(count)),
        .x_title = "largest of the agent's weights",
        .caption = "At the chosen stage.",
        .lines = {std::move(line)},
        .bins = 20};
}

std::string messages_text(const BilevelCounters& counters, std::uint32_t agents) {
    if (counters.push_messages == 0) return "Nobody sent anything.";
    std::string text = fmt::format("An agent sent {:.0f} bytes in a round of gradient push ({} rounds)",
                                   counters.push_bytes_per_round(agents), counters.rounds);
    if (counters.hyper_rounds > 0) {
        text += fmt::format(" and {:.0f} in a round of hyper-gradient push ({} rounds)",
                            counters.hyper_bytes_per_round(agents), counters.hyper_rounds);
    }
    return text + ", on average. Its own weights never left it.";
}

/// What each agent reached, and its weights.
FigureTable agents_table(const PdboSettings& s, const PdboData& data, const FederatedResult& result,
                         std::span<const float> weights) {
    const auto count = static_cast<std::size_t>(s.mixture.predictors);
    FigureTable table{.key = "agents", .columns = {{"name", ""}, {"test_accuracy", ""}, {"weights", ""}}};
    for (std::size_t i = 0; i < result.personal_by_node.size(); ++i) {
        std::vector<double> own;
        if (!weights.empty()) {
            for (const float weight : weights.subspan(i * count, count)) own.push_back(static_cast<double>(weight));
        }
        table.rows.push_back({i < data.names.size() ? data.names[i] : fmt::format("{}", i),
                              result.personal_by_node[i], std::move(own)});
    }
    return table;
}

}  // namespace

std::vector<SideRun> pdbo_side_runs(const PdboSettings& s) {
    std::vector<SideRun> runs;
    if (!s.peers) return runs;
    for (const Variant& one : others(s))
        runs.push_back({one.title(),
                        {fmt::format("method.name={}", name_of(one.method)),
                         fmt::format("method.budget={}", budget_name(one.budget))}});
    return runs;
}

void report_pdbo(const PdboSettings& s, FederatedProblem& problem, const FederatedResult& result,
                 RunFigures& figures) {
    const Agents& agents = static_cast<Agents&>(problem);
    const BilevelCounters& counters = agents.counters();
    const std::uint32_t n = agents.nodes();
    const std::vector<double>& best = result.last.personal;
    const FederatedRow& end = result.history.back();
    const std::int64_t steps = stage_steps(s, agents), stage = result.history[result.selected].round / steps;
    const double bytes = static_cast<double>(counters.push_bytes + counters.hyper_bytes) / n;
    TrainedModel model = agents.description();
    model.take(result.shared_model, result.personal_models);
    const std::span<const float> weights = model.node_weights;

    figures.subject = fmt::format("{}, {} agents, {} predictors", method_title(s.method), n, s.mixture.predictors);
    figures.numbers = {
        {fmt::format("{:.1f} %", 100 * best[Agents::test_accuracy]), "test accuracy, average of the agents"},
        {fmt::format("{:.1f} %", 100 * best[Agents::decile]), "a tenth of the agents is below"},
        {fmt::format("{:.0f}", end.personal[Agents::task_gradients]), "gradients of each agent"}};

    const std::vector<Variant> variants = variants_of(s, result);
    FigureSection accuracy{
        .heading = "Test accuracy",
        .paragraphs = {agents.data().description,
                       fmt::format(
                           "{} inner steps at each of {} stages; the numbers are those of the stage with the "
                           "best accuracy on validation rows, here after {} outer steps.",
                           steps, s.outer_steps + 1, stage)},
        .tables = {table_of(variants), agents_table(s, agents.data(), result, weights)}};
    if (variants.size() > 1) {
        accuracy.paragraphs.push_back(
            "Equal inner steps: every method steps its predictors as often as PDBO-MTL. Equal gradients: the "
            "others "
            "get as many more steps as PDBO-MTL spends gradients on its hyper-gradient (a Hessian-vector product "
            "counts as two).");
        for (const PdboBudget budget : {PdboBudget::inner_steps, PdboBudget::gradients})
            accuracy.charts.push_back(methods_chart(variants, budget));
        accuracy.tables.push_back(list_of(variants));
    }
    figures.sections.push_back(std::move(accuracy));
    FigureSection run{.heading = "This run",
                      .paragraphs = {messages_text(counters, n)},
                      .charts = {{.file = "accuracy.svg",
                                  .title = "Accuracy of the agents on their own data",
                                  .x_title = "inner steps",
                                  .y_title = "accuracy",
                                  .caption = "After each stage.",
                                  .lines = {line_of("validation, average", result, Agents::validation_accuracy),
                                            line_of("test, average", result, Agents::test_accuracy),
                                            line_of("test, bottom decile", result, Agents::decile)}},
                                 agents_chart(s, result)}};
    if (s.personal() && !weights.empty()) run.charts.push_back(weights_chart(s, weights));
    figures.sections.push_back(std::move(run));

    figures.fields = {{"test_accuracy", best[Agents::test_accuracy]},
                      {"test_accuracy_bottom_decile", best[Agents::decile]},
                      {"validation_accuracy", best[Agents::validation_accuracy]},
                      {"train_loss", best[Agents::train_loss]},
                      {"chosen_stage", stage},
                      {"inner_steps", steps_of(end, result)},
                      {"inner_steps_per_stage", steps},
                      {"task_gradients", end.personal[Agents::task_gradients]},
                      {"parameters", std::uint64_t{agents.split().shared_size()}},
                      {"bytes_per_iteration", counters.push_bytes_per_round(n)},
                      {"bytes_per_hyper_iteration", counters.hyper_bytes_per_round(n)},
                      {"bytes_per_agent", bytes}};
    using Show = FigureMeasure::Show;
    figures.measures = {
        {"test_accuracy", "test accuracy, average", best[Agents::test_accuracy], Show::mean, true},
        {"test_accuracy_bottom_decile", "bottom decile", best[Agents::decile], Show::mean, true},
        {"validation_accuracy", "validation", best[Agents::validation_accuracy], Show::file},
        {"chosen_stage", "outer steps chosen", static_cast<double>(stage), Show::file},
        {"inner_steps", "inner steps", static_cast<double>(steps_of(end, result)), Show::count},
        {"task_gradients", "gradients of an agent", end.personal[Agents::task_gradients], Show::count},
        {"bytes_per_agent", "bytes of an agent", bytes, Show::count}};
    const auto curve = [&](std::string key, std::string title, Agents::Metric metric) {
        FigureLine line = line_of("", result, metric);
        figures.curves.push_back(
            {std::move(key), std::move(title), "inner steps", "accuracy", std::move(line.x), std::move(line.y)});
    };
    curve("test", "Test accuracy, average of the agents", Agents::test_accuracy);
    curve("bottom-decile", "Test accuracy, bottom decile", Agents::decile);
}

}  // namespace dunlin

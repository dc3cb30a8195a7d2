// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/pdbo_report.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

constexpr PdboMethod methods[] = {PdboMethod::sgp, PdboMethod::local, PdboMethod::pdbo_mtl_local,
                                  PdboMethod::pdbo_mtl};

std::string budget_title(PdboBudget budget) {
    return budget == PdboBudget::inner_steps ? "equal inner steps" : "equal gradients";
}

/// Of this run or a peer; PDBO-MTL is the measure of both budgets. Null where it was not run.
const PdboOutcome* find(const PdboResult& result, PdboMethod method, PdboBudget budget) {
    const auto fits = [&](PdboMethod of, PdboBudget with, const PdboOutcome& outcome) {
        return of == method && (with == budget || method == PdboMethod::pdbo_mtl) && !outcome.history.empty() &&
               outcome.failure.empty();
    };
    if (fits(result.settings.method, result.settings.budget, result.outcome)) return &result.outcome;
    for (const PdboPeer& peer : result.peers) {
        if (fits(peer.method, peer.budget, peer.outcome)) return &peer.outcome;
    }
    return nullptr;
}

std::string table_cell(const PdboOutcome* outcome) {
    if (outcome == nullptr) return "–";
    if (!outcome->failure.empty()) return "failed";
    return fmt::format("{:.1f} / {:.1f}", 100 * outcome->best().test_accuracy, 100 * outcome->best().bottom_decile);
}

std::string progress_svg(const PdboResult& result) {
    report::Series validation{.name = "validation, average", .x = {}, .y = {}};
    report::Series test{.name = "test, average", .x = {}, .y = {}};
    report::Series decile{.name = "test, bottom decile", .x = {}, .y = {}};
    for (const PdboRow& row : result.outcome.history) {
        for (report::Series* series : {&validation, &test, &decile}) {
            series->x.push_back(static_cast<double>(row.inner_steps));
        }
        validation.y.push_back(row.validation_accuracy);
        test.y.push_back(row.test_accuracy);
        decile.y.push_back(row.bottom_decile);
    }
    return report::line_chart({.title = "Accuracy of the agents on their own data",
                               .x = {"inner steps"},
                               .y = {"accuracy"},
                               .series = {validation, test, decile}});
}

std::string agents_svg(const PdboResult& result) {
    report::Histogram chart;
    chart.title = "Test accuracy of each agent, at the chosen stage";
    chart.x.title = "accuracy";
    chart.samples.push_back(
        {.name = method_title(result.settings.method), .values = result.outcome.accuracy_by_agent});
    chart.bins = 20;
    return report::histogram(chart);
}

/// How decided the agents are.
std::string weights_svg(const PdboResult& result) {
    const auto count = static_cast<std::size_t>(result.settings.mixture.predictors);
    report::Sample sample{.name = "agents", .values = {}};
    for (std::size_t first = 0; first < result.outcome.weights.size(); first += count) {
        const auto own = result.outcome.weights.begin() + static_cast<std::ptrdiff_t>(first);
        sample.values.push_back(
            static_cast<double>(*std::max_element(own, own + static_cast<std::ptrdiff_t>(count))));
    }
    report::Histogram chart;
    chart.title = fmt::format("Each agent's largest weight (all equal: {:.2f})", 1.0 / static_cast<double>(count));
    chart.x.title = "largest of the agent's weights";
    chart.samples.push_back(std::move(sample));
    chart.bins = 20;
    return report::histogram(chart);
}

std::string methods_svg(const PdboResult& result, PdboBudget budget) {
    report::BarSeries average{.name = "average of the agents", .values = {}};
    report::BarSeries decile{.name = "bottom decile", .values = {}};
    report::BarChart chart;
    chart.title = fmt::format("Test accuracy at {}", budget_title(budget));
    chart.y.title = "accuracy (%)";
    for (const PdboMethod method : methods) {
        const PdboOutcome* outcome = find(result, method, budget);
        if (outcome == nullptr || !outcome->failure.empty()) continue;  // the page and the summary name it
        chart.categories.push_back(method_title(method));
        average.values.push_back(100 * outcome->best().test_accuracy);
        decile.values.push_back(100 * outcome->best().bottom_decile);
    }
    chart.series = {average, decile};
    return report::bar_chart(chart);
}

std::string messages_text(const PdboResult& result) {
    const BilevelCounters& counters = result.outcome.counters;
    const auto agents = static_cast<std::uint32_t>(result.settings.agents);
    if (counters.push_messages == 0) return "Nobody sent anything.";
    std::string text = fmt::format("An agent sent {} bytes in a round of gradient push ({} rounds)",
                                   count_text(counters.push_bytes_per_round(agents)), counters.rounds);
    if (counters.hyper_rounds > 0) {
        text += fmt::format(" and {} in a round of hyper-gradient push ({} rounds)",
                            count_text(counters.hyper_bytes_per_round(agents)), counters.hyper_rounds);
    }
    return text + ", on average. Its own weights never left it.";
}

nlohmann::ordered_json table_json(const PdboResult& result) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const PdboBudget budget : {PdboBudget::inner_steps, PdboBudget::gradients}) {
        for (const PdboMethod method : methods) {
            const PdboOutcome* outcome = find(result, method, budget);
            if (outcome == nullptr) continue;
            const bool good = outcome->failure.empty();
            const auto number = [good](double value) { return good ? number_or_null(value) : nullptr; };
            const PdboRow row = good ? outcome->best() : PdboRow{};
            rows.push_back({{"budget", budget == PdboBudget::inner_steps ? "inner-steps" : "gradients"},
                            {"method", name_of(method)},
                            {"test_accuracy", number(row.test_accuracy)},
                            {"test_accuracy_bottom_decile", number(row.bottom_decile)},
                            {"inner_steps", nullptr},
                            {"task_gradients", nullptr}});
            if (good) {
                rows.back()["inner_steps"] = outcome->history.back().inner_steps;
                rows.back()["task_gradients"] = outcome->history.back().gradients;
            } else {
                rows.back()["failure"] = outcome->failure;
            }
        }
    }
    return rows;
}

}  // namespace

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

std::string title_of(const PdboPeer& peer) {
    return fmt::format("{} at {}", method_title(peer.method), budget_title(peer.budget));
}

report::Table pdbo_table(const PdboResult& result) {
    report::Table table{{"method"}, {}, "Test accuracy in percent, average / bottom decile of the agents"};
    std::vector<PdboBudget> budgets{PdboBudget::inner_steps, PdboBudget::gradients};
    if (result.peers.empty()) budgets = {result.settings.budget};
    for (const PdboBudget budget : budgets) table.header.push_back(budget_title(budget));
    for (const PdboMethod method : methods) {
        if (result.peers.empty() && method != result.settings.method) continue;
        table.rows.push_back({method_title(method)});
        for (const PdboBudget budget : budgets) {
            table.rows.back().push_back(table_cell(find(result, method, budget)));
        }
    }
    return table;
}

std::vector<std::pair<std::string, std::string>> pdbo_plots(const PdboResult& result) {
    std::vector<std::pair<std::string, std::string>> plots{{"accuracy.svg", progress_svg(result)},
                                                           {"agents.svg", agents_svg(result)}};
    if (result.settings.personal()) plots.emplace_back("weights.svg", weights_svg(result));
    if (!result.peers.empty()) {
        plots.emplace_back("methods-inner-steps.svg", methods_svg(result, PdboBudget::inner_steps));
        plots.emplace_back("methods-gradients.svg", methods_svg(result, PdboBudget::gradients));
    }
    return plots;
}

std::string pdbo_html(const PdboResult& result, const std::string& config, const std::string& command) {
    const PdboSettings& s = result.settings;
    const PdboOutcome& outcome = result.outcome;
    const PdboRow& best = outcome.best();
    report::HtmlReport page;
    page.title = s.experiment;
    page.subtitle = fmt::format("{}, {} agents, {} predictors, seed {}", method_title(s.method), s.agents,
                                s.mixture.predictors, s.seed);
    page.key_numbers = {{fmt::format("{:.1f} %", 100 * best.test_accuracy), "test accuracy, average of the agents"},
                        {fmt::format("{:.1f} %", 100 * best.bottom_decile), "a tenth of the agents is below"},
                        {count_text(outcome.history.back().gradients), "gradients of each agent"},
                        {fmt::format("{:.1f} s", outcome.seconds), "training time"}};
    if (!outcome.failure.empty()) page.warnings.push_back("The run stopped: " + outcome.failure + ".");
    if (!outcome.complete && outcome.failure.empty()) {
        page.warnings.push_back("The run was interrupted; the numbers are its last ones.");
    }
    for (const PdboPeer& peer : result.peers) {
        if (!peer.outcome.failure.empty()) {
            page.warnings.push_back(fmt::format("{} failed: {}.", title_of(peer), peer.outcome.failure));
        }
    }
    const auto plots = pdbo_plots(result);
    const auto figure = [&](const std::string& name, const std::string& caption) {
        const auto found = std::ranges::find(plots, name, &std::pair<std::string, std::string>::first);
        return report::Figure{found->second, caption};
    };
    report::Section accuracy{
        .heading = "Test accuracy",
        .paragraphs = {result.data + notes_text(result.notes),
                       fmt::format(
                           "{} inner steps at each of {} stages; the numbers are those of the stage with the "
                           "best accuracy on validation rows, here after {} outer steps.",
                           outcome.inner_steps_per_stage, s.outer_steps + 1, best.stage)},
        .figures = {},
        .tables = {pdbo_table(result)}};
    if (!result.peers.empty()) {
        accuracy.paragraphs.push_back(
            "Equal inner steps: every method steps its predictors as often as PDBO-MTL. Equal gradients: the "
            "others "
            "get as many more steps as PDBO-MTL spends gradients on its hyper-gradient (a Hessian-vector product "
            "counts as two).");
        accuracy.figures = {figure("methods-inner-steps.svg", "The paper's Table 1, first budget."),
                            figure("methods-gradients.svg", "The same, second budget.")};
    }
    page.sections.push_back(std::move(accuracy));
    report::Section run{.heading = "This run",
                        .paragraphs = {messages_text(result)},
                        .figures = {figure("accuracy.svg", "After each stage."), figure("agents.svg", "")}};
    if (s.personal()) run.figures.push_back(figure("weights.svg", "At the chosen stage."));
    page.sections.push_back(std::move(run));
    page.settings = config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string pdbo_summary(const PdboResult& result) {
    const PdboSettings& s = result.settings;
    const PdboOutcome& outcome = result.outcome;
    const PdboRow& best = outcome.best();
    const BilevelCounters& counters = outcome.counters;
    const auto agents = static_cast<std::uint32_t>(s.agents);
    nlohmann::ordered_json json{
        {"experiment", s.experiment},
        {"method", name_of(s.method)},
        {"seed", s.seed},
        {"complete", outcome.complete},
        {"test_accuracy", best.test_accuracy},
        {"test_accuracy_bottom_decile", best.bottom_decile},
        {"validation_accuracy", best.validation_accuracy},
        {"train_loss", number_or_null(best.train_loss)},
        {"chosen_stage", best.stage},
        {"inner_steps", outcome.history.back().inner_steps},
        {"inner_steps_per_stage", outcome.inner_steps_per_stage},
        {"task_gradients", outcome.history.back().gradients},
        {"parameters", outcome.parameters},
        {"bytes_per_iteration", counters.push_bytes_per_round(agents)},
        {"bytes_per_hyper_iteration", counters.hyper_bytes_per_round(agents)},
        {"bytes_per_agent", static_cast<double>(counters.push_bytes + counters.hyper_bytes) / agents},
        {"agents", nlohmann::ordered_json::array()}};
    const auto predictors = static_cast<std::size_t>(s.mixture.predictors);
    for (std::size_t i = 0; i < outcome.accuracy_by_agent.size(); ++i) {
        nlohmann::ordered_json agent{{"name", i < result.names.size() ? result.names[i] : fmt::format("{}", i)},
                                     {"test_accuracy", outcome.accuracy_by_agent[i]}};
        for (std::size_t k = 0; k < predictors; ++k) {
            agent["weights"].push_back(number_or_null(static_cast<double>(outcome.weights[i * predictors + k])));
        }
        json["agents"].push_back(std::move(agent));
    }
    if (!result.peers.empty()) json["table"] = table_json(result);
    if (!outcome.failure.empty()) json["failure"] = outcome.failure;
    json["trace"] = fmt::format("{:016x}", outcome.trace);
    json["seconds"] = outcome.seconds;
    json["threads"] = result.threads;
    json["data"] = data_json(result.notes);
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

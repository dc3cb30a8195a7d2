// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/decentralised_report.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Value = double DecentralisedRow::*;

/// One picture of the report's figures.
struct Panel {
    const char* name;
    const char* title;
    const char* axis;
    Value value;
};
constexpr Panel panels[] = {
    {"train-loss", "Training loss", "cross-entropy on an agent's own training rows", &DecentralisedRow::train_loss},
    {"accuracy-own", "Test accuracy on each agent's own distribution", "accuracy, mean over agents",
     &DecentralisedRow::accuracy_own},
    {"accuracy-balanced", "Test accuracy where every label counts the same", "accuracy, mean over agents",
     &DecentralisedRow::accuracy_balanced}};

std::string_view mixing_name(Mixing mixing) {
    switch (mixing) {
        case Mixing::laplacian:
            return "I - (rho/tau) A'A";
        case Mixing::lazy_metropolis:
            return "lazy Metropolis weights";
        default:
            return "Metropolis weights";
    }
}

report::Series series_of(std::string_view name, const DecentralisedOutcome& outcome, Value value) {
    report::Series series{.name = std::string(name), .x = {}, .y = {}};
    for (const DecentralisedRow& row : outcome.history) {
        series.x.push_back(static_cast<double>(row.iteration));
        series.y.push_back(row.*value);
    }
    return series;
}

/// A line where always naming an agent's most frequent label would be, on the panel that it belongs to.
void add_constant(report::LineChart& chart, const DecentralisedOutcome& outcome, const Panel& panel) {
    if (panel.value != &DecentralisedRow::accuracy_own || chart.series.empty()) return;
    chart.series.front().reference = outcome.constant_accuracy_own;
    chart.reference_name = "always an agent's most frequent label";
}

std::string own_svg(const DecentralisedResult& result, const Panel& panel) {
    report::LineChart chart{.title = panel.title,
                            .x = {"iteration"},
                            .y = {panel.axis},
                            .series = {series_of(title_of(result.settings.method), result.outcome, panel.value)}};
    add_constant(chart, result.outcome, panel);
    return report::line_chart(chart);
}

/// The panel for every method of the figure.
std::string figure_svg(const DecentralisedResult& result, const Panel& panel, bool limited) {
    report::LineChart chart{.title = panel.title, .x = {"iteration"}, .y = {panel.axis}, .series = {}};
    chart.title += limited ? fmt::format(", {} rows each", result.settings.limited_rows) : ", all data";
    for (const DecentralisedVariant& one : result.figure) {
        if (one.limited != limited || !one.outcome.failure.empty()) continue;  // the table names it
        chart.series.push_back(series_of(title_of(one.method), one.outcome, panel.value));
        if (chart.series.size() == 1) add_constant(chart, one.outcome, panel);
    }
    return report::line_chart(chart);
}

bool has_limited(const DecentralisedResult& result) {
    return std::ranges::any_of(result.figure, &DecentralisedVariant::limited);
}

report::Table figure_table(const DecentralisedResult& result, bool limited) {
    report::Table table{
        {"method", "training loss", "accuracy, own", "accuracy, balanced", "bytes per iteration", ""},
        {},
        limited ? fmt::format("{} rows each.", result.settings.limited_rows) : "All data."};
    for (const DecentralisedVariant& one : result.figure) {
        if (one.limited != limited) continue;
        if (!one.outcome.failure.empty()) {
            table.rows.push_back(
                {std::string(title_of(one.method)), "–", "–", "–", "–", "failed: " + one.outcome.failure});
            continue;
        }
        const DecentralisedRow& row = one.outcome.history.back();
        table.rows.push_back({std::string(title_of(one.method)), fmt::format("{:.4f}", row.train_loss),
                              fmt::format("{:.4f}", row.accuracy_own), fmt::format("{:.4f}", row.accuracy_balanced),
                              fmt::format("{:.0f}", one.outcome.bytes_per_iteration), ""});
    }
    return table;
}

/// Where another method is better than SPDB, in words: from when on, and by how much at the end.
std::vector<std::string> where_passed(const DecentralisedResult& result, bool limited) {
    const auto is_spdb = [&](const DecentralisedVariant& one) {
        return one.limited == limited && one.method == DecentralisedMethod::spdb && one.outcome.failure.empty();
    };
    const auto spdb = std::ranges::find_if(result.figure, is_spdb);
    std::vector<std::string> lines;
    if (spdb == result.figure.end()) return {"SPDB failed here; there is nothing to compare."};
    const double constant = spdb->outcome.constant_accuracy_own;
    const double reached = spdb->outcome.history.back().accuracy_own;
    const bool constant_only = reached < constant + 0.01;
    for (const DecentralisedVariant& one : result.figure) {
        if (one.limited != limited || one.method == DecentralisedMethod::spdb) continue;
        if (!one.outcome.failure.empty()) continue;
        for (const Panel& panel : panels) {
            const double sign = panel.value == &DecentralisedRow::train_loss ? -1.0 : 1.0;
            const auto& ours = spdb->outcome.history;
            const auto& theirs = one.outcome.history;
            const std::size_t rows = std::min(ours.size(), theirs.size());
            std::size_t from = rows;  // since when it has been ahead for good
            while (from > 1 && sign * (theirs[from - 1].*panel.value - ours[from - 1].*panel.value) > 0) --from;
            if (from == rows) continue;
            lines.push_back(
                fmt::format("{}: {} passes SPDB from iteration {} on, {:.4f} against {:.4f} at the end.",
                            panel.title, title_of(one.method), theirs[from].iteration,
                            theirs[rows - 1].*panel.value, ours[rows - 1].*panel.value));
        }
    }
    if (lines.empty()) lines.emplace_back("No other method is ahead of SPDB at the end in any of the three.");
    if (constant_only) {
        lines.push_back(fmt::format(
            "SPDB's accuracy on each agent's own distribution, {:.4f}, is that of always naming the "
            "agent's most frequent label ({:.4f}): its personal layers have learned the skew and no more.",
            reached, constant));
    }
    return lines;
}

report::Section figure_section(const DecentralisedResult& result, bool limited) {
    report::Section section{.heading = limited ? "All methods, few data" : "All methods, all data",
                            .paragraphs = where_passed(result, limited),
                            .figures = {},
                            .tables = {figure_table(result, limited)}};
    for (const Panel& panel : panels) section.figures.push_back({figure_svg(result, panel, limited)});
    const DecentralisedSettings& s = result.settings;
    const std::string figure = limited ? "SPDB (001), Figure 1, a and b" : "SPDB (001), Figure 1, c and d";
    // The paper's figure is of digits with a personal last layer, on its own data.
    section.figures.front().caption =
        s.input_transform
            ? "The paper has no such figure: this stands in for its speech experiment, in the form of " + figure +
                  "."
        : s.data.path.empty() ? "In the form of " + figure + ", on generated digits instead of MNIST."
                              : figure + "; on the data that data.path names.";
    return section;
}

std::string data_text(const DecentralisedSettings& s) {
    const bool stands_in = s.input_transform;
    std::string text = fmt::format("Data: {}.", s.data.path.empty() ? "generated digits" : s.data.path);
    if (stands_in)
        text +=
            " This is a stand-in for the speech experiment of SPDB's paper, whose recordings are not public: "
            "agents "
            "that see the world differently, each with an affine transform of its own in front of one shared "
            "network. "
            "Its numbers say nothing about speech.";
    return text;
}

std::string setting_text(const DecentralisedResult& result) {
    const DecentralisedSettings& s = result.settings;
    const DecentralisedOutcome& outcome = result.outcome;
    if (s.method == DecentralisedMethod::alone)
        return fmt::format("{} agents, each alone, step {}.", outcome.agents, s.step);
    return fmt::format(
        "{} agents, {} links, mixing by {} with spectrum from {:.3f} to {:.3f} and 1; step {}. {} parameters are "
        "shared and {} stay with their agent. Labels: {}.",
        outcome.agents, outcome.edges / 2, mixing_name(outcome.mixing), outcome.spectrum.smallest,
        outcome.spectrum.second, s.step, outcome.shared_parameters, outcome.personal_parameters,
        s.data.split.conflicting ? "every agent names them in a way of its own" : "named alike by all");
}

}  // namespace

std::string title_of(const DecentralisedVariant& variant) {
    return fmt::format("{}{}", title_of(variant.method), variant.limited ? ", few data" : "");
}

report::Table decentralised_table(const DecentralisedResult& result) {
    report::Table table{{"agent", "accuracy, own distribution", "loss"}, {}, ""};
    for (std::size_t i = 0; i < result.outcome.own_by_agent.size() && i < 20; ++i) {
        table.rows.push_back({fmt::format("{}", i), fmt::format("{:.4f}", result.outcome.own_by_agent[i]),
                              fmt::format("{:.4f}", result.outcome.loss_by_agent[i])});
    }
    return table;
}

std::vector<std::pair<std::string, std::string>> decentralised_plots(const DecentralisedResult& result) {
    std::vector<std::pair<std::string, std::string>> plots;
    for (const Panel& panel : panels) {
        if (result.figure.empty()) {
            plots.emplace_back(fmt::format("{}.svg", panel.name), own_svg(result, panel));
            continue;
        }
        plots.emplace_back(fmt::format("{}.svg", panel.name), figure_svg(result, panel, false));
        if (has_limited(result))
            plots.emplace_back(fmt::format("limited-{}.svg", panel.name), figure_svg(result, panel, true));
    }
    return plots;
}

std::string decentralised_html(const DecentralisedResult& result, const std::string& config,
                               const std::string& command) {
    const DecentralisedSettings& s = result.settings;
    const DecentralisedOutcome& outcome = result.outcome;
    const DecentralisedRow& last = outcome.history.back();
    report::HtmlReport page;
    page.title = s.experiment;
    page.subtitle = fmt::format("{}, {} agents, seed {}", title_of(s.method), outcome.agents, s.seed);
    page.key_numbers = {
        {fmt::format("{:.4f}", last.train_loss), "training loss"},
        {fmt::format("{:.4f}", last.accuracy_own), "accuracy on each agent's own distribution"},
        {fmt::format("{:.4f}", last.accuracy_balanced), "accuracy where every label counts the same"},
        {count_text(outcome.bytes_per_iteration), "bytes an agent sends per iteration"},
        {fmt::format("{:.1f} s", outcome.seconds), "training time"}};
    if (!outcome.failure.empty()) page.warnings.push_back("The run stopped: " + outcome.failure + ".");
    if (!outcome.complete && outcome.failure.empty())
        page.warnings.push_back("The run was interrupted; the numbers are those of its last iteration.");
    for (const DecentralisedVariant& one : result.figure) {
        if (!one.outcome.failure.empty())
            page.warnings.push_back(fmt::format("{} failed: {}.", title_of(one), one.outcome.failure));
    }
    report::Section run{.heading = fmt::format("This run: {}", title_of(s.method)),
                        .paragraphs = {data_text(s) + notes_text(result.notes), setting_text(result)},
                        .figures = {},
                        .tables = {decentralised_table(result)}};
    for (const Panel& panel : panels) run.figures.push_back({own_svg(result, panel)});
    if (!result.figure.empty()) {
        page.sections.push_back(figure_section(result, false));
        if (has_limited(result)) page.sections.push_back(figure_section(result, true));
    }
    page.sections.insert(result.figure.empty() ? page.sections.begin() : page.sections.end(), std::move(run));
    page.settings = config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string decentralised_summary(const DecentralisedResult& result) {
    const DecentralisedSettings& s = result.settings;
    const DecentralisedOutcome& outcome = result.outcome;
    const DecentralisedRow& last = outcome.history.back();
    nlohmann::ordered_json json{{"experiment", s.experiment},
                                {"method", name_of(s.method)},
                                {"seed", s.seed},
                                {"complete", outcome.complete},
                                {"agents", outcome.agents},
                                {"iterations", last.iteration},
                                {"train_loss", number_or_null(last.train_loss)},
                                {"test_accuracy_own", number_or_null(last.accuracy_own)},
                                {"test_accuracy_balanced", number_or_null(last.accuracy_balanced)},
                                {"constant_accuracy_own", number_or_null(outcome.constant_accuracy_own)},
                                {"test_loss_own", number_or_null(last.loss_own)},
                                {"bytes_per_iteration", outcome.bytes_per_iteration},
                                {"consensus_error", number_or_null(last.consensus_error)},
                                {"shared_parameters", outcome.shared_parameters},
                                {"personal_parameters", outcome.personal_parameters},
                                {"edges", outcome.edges / 2},
                                {"task_gradients", outcome.gradients},
                                {"trace", fmt::format("{:016x}", outcome.trace)},
                                {"seconds", outcome.seconds},
                                {"threads", result.threads}};
    if (s.method != DecentralisedMethod::alone) {
        json["mixing"] = {{"weights", mixing_name(outcome.mixing)},
                          {"smallest_eigenvalue", outcome.spectrum.smallest},
                          {"second_eigenvalue", outcome.spectrum.second}};
    }
    if (!outcome.failure.empty()) json["failure"] = outcome.failure;
    for (const double value : outcome.own_by_agent) json["own_by_agent"].push_back(number_or_null(value));
    for (const DecentralisedVariant& one : result.figure) {
        const bool good = one.outcome.failure.empty();
        const auto number = [good](double value) { return number_or_null(good ? value : NAN); };
        const DecentralisedRow row = good ? one.outcome.history.back() : DecentralisedRow{};
        json["figure"].push_back({{"method", name_of(one.method)},
                                  {"limited", one.limited},
                                  {"train_loss", number(row.train_loss)},
                                  {"test_accuracy_own", number(row.accuracy_own)},
                                  {"test_accuracy_balanced", number(row.accuracy_balanced)},
                                  {"bytes_per_iteration", number(one.outcome.bytes_per_iteration)},
                                  {"failure", one.outcome.failure}});
    }
    json["data"] = data_json(result.notes);
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

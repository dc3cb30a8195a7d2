// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/figures.hpp"

#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const FigureValue& value) {
    return std::visit(
        [](const auto& v) -> Json {
            using V = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<V, std::monostate>) {
                return nullptr;
            } else if constexpr (std::is_same_v<V, double>) {
                return number_or_null(v);
            } else if constexpr (std::is_same_v<V, std::vector<double>>) {
                Json list = Json::array();
                for (const double one : v) list.push_back(number_or_null(one));
                return list;
            } else {
                return v;
            }
        },
        value);
}

std::string text_of(const FigureValue& value, FigureColumn::Show show) {
    using Show = FigureColumn::Show;
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* count = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *count);
    if (const auto* count = std::get_if<std::uint64_t>(&value)) return fmt::format("{}", *count);
    const auto* number = std::get_if<double>(&value);
    if (number == nullptr || !std::isfinite(*number)) return "–";
    switch (show) {
        case Show::digits3:
            return fmt::format("{:.3f}", *number);
        case Show::digits4:
            return fmt::format("{:.4f}", *number);
        case Show::percent:
            return fmt::format("{:.2f} %", 100 * *number);
        default:
            return fmt::format("{}", *number);
    }
}

report::Table table_of(const FigureTable& figure) {
    report::Table table{{}, {}, figure.caption};
    for (const FigureColumn& column : figure.columns) {
        if (!column.title.empty()) table.header.push_back(column.title);
    }
    for (std::size_t row = 0; row < std::min(figure.rows.size(), figure.most_shown); ++row) {
        table.rows.emplace_back();
        for (std::size_t k = 0; k < figure.columns.size(); ++k) {
            if (!figure.columns[k].title.empty())
                table.rows.back().push_back(text_of(figure.rows[row][k], figure.columns[k].show));
        }
    }
    return table;
}

Json list_of(const FigureTable& figure) {
    Json list = Json::array();
    for (const std::vector<FigureValue>& row : figure.rows) {
        Json object;
        for (std::size_t k = 0; k < figure.columns.size(); ++k) {
            if (!figure.columns[k].key.empty()) object[figure.columns[k].key] = json_of(row[k]);
        }
        list.push_back(figure.flat ? *object.begin() : object);
    }
    return list;
}

std::string svg_of(const FigureChart& figure) {
    const report::Axis y{figure.y_title, figure.logarithmic, figure.low, figure.high};
    if (!figure.categories.empty()) {
        report::BarChart chart;
        chart.title = figure.title;
        chart.category_title = figure.x_title;
        chart.y = y;
        chart.categories = figure.categories;
        for (const FigureLine& line : figure.lines) {
            chart.series.push_back({.name = line.name, .values = line.y});
            if (line.reference) chart.reference = line.reference;
        }
        chart.reference_name = figure.reference_name;
        return report::bar_chart(chart);
    }
    if (figure.bins > 0) {
        report::Histogram chart;
        chart.title = figure.title;
        chart.x.title = figure.x_title;
        for (const FigureLine& line : figure.lines) chart.samples.push_back({.name = line.name, .values = line.y});
        chart.bins = figure.bins;
        return report::histogram(chart);
    }
    report::LineChart chart;
    chart.title = figure.title;
    chart.x.title = figure.x_title;
    chart.x.whole = figure.whole;
    chart.y = y;
    for (const FigureLine& line : figure.lines)
        chart.series.push_back({.name = line.name,
                                .x = line.x,
                                .y = line.y,
                                .low = line.low,
                                .high = line.high,
                                .reference = line.reference});
    chart.band_name = figure.band_name;
    chart.reference_name = figure.reference_name;
    return report::line_chart(chart);
}

FigureSection agreement(const FederatedJob& job, const FederatedResult& result) {
    FigureLine line{.name = "largest distance of a node from the mean", .x = {}, .y = {}, .reference = 0.01};
    for (const FederatedRow& row : result.history) {
        line.x.push_back(static_cast<double>(row.round));
        line.y.push_back(row.consensus_error);
    }
    const RoundPlan& plan = *job.rounds;
    const std::string settling = plan.rounds > plan.learning
                                     ? fmt::format("Nodes learn for {} rounds and only agree for {} more. ",
                                                   plan.learning, plan.rounds - plan.learning)
                                     : std::string();
    return {.heading = "Agreement",
            .paragraphs = {fmt::format("{}{} of {} messages were lost; {} wake-ups, {} of which waited for weight.",
                                       settling, result.messages.lost, result.messages.sent, result.gossip.wake_ups,
                                       result.gossip.waits)},
            .charts = {{.file = "consensus.svg",
                        .title = "Consensus error",
                        .x_title = "round",
                        .y_title = "relative to the mean's norm",
                        .caption = "How far the nodes are from each other.",
                        .logarithmic = true,
                        .reference_name = "1 %",
                        .lines = {line}}}};
}

}  // namespace

RunFigures figures_of(const FederatedJob& job, const FederatedResult& result, bool drawn) {
    RunFigures figures;
    figures.drawn = drawn;
    if (job.alone) job.alone->report(result, figures);
    const RegisteredProblem& kind = job.experiment.kind();
    if (kind.report) kind.report(job.experiment.settings(), *job.problem, result, figures);
    if (job.rounds && job.settings.gossips()) figures.sections.push_back(agreement(job, result));
    return figures;
}

report::Table first_table(const RunFigures& figures) {
    return table_of(figures.shown ? *figures.shown : figures.sections.front().tables.front());
}

std::vector<std::pair<std::string, std::string>> plots_of(const RunFigures& figures) {
    std::vector<std::pair<std::string, std::string>> plots;
    for (const FigureSection& section : figures.sections) {
        for (const FigureChart& chart : section.charts) {
            if (!chart.file.empty()) plots.emplace_back(chart.file, svg_of(chart));
        }
        for (const FigureMap& map : section.maps) plots.emplace_back(map.file, svg_of(map));
    }
    return plots;
}

void add_figures(report::HtmlReport& page, const RunFigures& figures) {
    for (const FigureNumber& number : figures.numbers)
        page.key_numbers.push_back({number.text, number.label, number.missed});
    for (const FigureWarning& warning : figures.warnings) {
        std::string& text = page.warnings.emplace_back(warning.text + ".");
        text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    }
    for (const FigureSection& section : figures.sections) {
        report::Section shown{.heading = section.heading, .paragraphs = section.paragraphs};
        for (const FigureChart& chart : section.charts) shown.figures.push_back({svg_of(chart), chart.caption});
        for (const FigureMap& map : section.maps) shown.figures.push_back({svg_of(map), map.caption});
        for (const FigureTable& table : section.tables) {
            if (std::ranges::any_of(table.columns, [](const FigureColumn& one) { return !one.title.empty(); }))
                shown.tables.push_back(table_of(table));
        }
        page.sections.push_back(std::move(shown));
    }
}

void add_figures(Json& summary, const RunFigures& figures) {
    const auto at = [&](const std::string& key) -> Json& {
        const std::size_t dot = key.find('.');
        return dot == std::string::npos ? summary[key] : summary[key.substr(0, dot)][key.substr(dot + 1)];
    };
    for (const auto& [key, value] : figures.fields) at(key) = json_of(value);
    for (const FigureSection& section : figures.sections) {
        for (const FigureTable& table : section.tables) {
            if (!table.key.empty()) at(table.key) = list_of(table);
        }
    }
}

void add_figures(TrialResult& trial, const RunFigures& figures) {
    constexpr Measure::Show shown[] = {Measure::Show::mean, Measure::Show::count, Measure::Show::share,
                                       Measure::Show::file};
    for (const FigureMeasure& one : figures.measures)
        trial.measures.push_back(
            {one.key, one.title, one.value, shown[static_cast<std::size_t>(one.show)], one.drawn, one.meaning});
    for (const FigureCurve& one : figures.curves)
        trial.curves.push_back({one.key, one.title, one.x_title, one.y_title, one.x, one.y});
}

void add_rounds(Json& json, const FederatedResult& result) {
    json["rounds"] = result.last.round;
    json["consensus_error"] = number_or_null(result.last.consensus_error);
    json["mass_error"] = nullptr;
    if (result.mass_error) json["mass_error"] = *result.mass_error;
    json["edges"] = result.edges;
    json["wake_ups"] = result.gossip.wake_ups;
    json["waits"] = result.gossip.waits;
    json["crashes"] = result.gossip.crashes;
    json["task_gradients"] = result.gossip.gradients;
    json["messages_sent"] = result.messages.sent;
    json["messages_lost"] = result.messages.lost;
    if (!result.failure.empty()) json["failure"] = result.failure;
}

void add_rounds(report::HtmlReport& page, const FederatedResult& result) {
    const double consensus = result.last.consensus_error;
    if (!std::isnan(consensus))
        page.key_numbers.push_back(
            {fmt::format("{:.2f} %", 100 * consensus), "consensus error", !(consensus < 0.01)});
    page.key_numbers.push_back({result.mass_error ? fmt::format("{}", *result.mass_error) : "–",
                                "units of mass lost or made", result.mass_error.value_or(0) != 0});
    page.key_numbers.push_back({count_text(static_cast<double>(result.gossip.wake_ups)), "wake-ups"});
    page.key_numbers.push_back({fmt::format("{:.2f} s", result.seconds), "of training"});
    if (!result.failure.empty()) page.warnings.push_back("The run stopped: " + result.failure + ".");
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t series_limit = 8;  // what eyes can tell apart

/// Values of the seeds that gave one.
struct Spread {
    std::vector<double> values;

    double mean() const {
        return values.empty()
                   ? none
                   : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    }
    /// Sample standard deviation; NaN for fewer than two.
    double deviation() const {
        if (values.size() < 2) return none;
        const double middle = mean();
        double sum = 0;
        for (double value : values) sum += (value - middle) * (value - middle);
        return std::sqrt(sum / static_cast<double>(values.size() - 1));
    }
    double low() const { return values.empty() ? none : *std::ranges::min_element(values); }
    double high() const { return values.empty() ? none : *std::ranges::max_element(values); }
    void add(double value) {
        if (std::isfinite(value)) values.push_back(value);
    }
};

/// A run with numbers, whose measures and curves name those of all; null when there is none yet.
const TrialResult* example(const Comparison& comparison) {
    for (const auto& seeds : comparison.results) {
        for (const auto& result : seeds) {
            if (result && result->failure.empty()) return &*result;
        }
    }
    return nullptr;
}

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

Spread spread(const Comparison& comparison, std::size_t combination, std::size_t measure) {
    Spread all;
    for (const auto& result : comparison.results[combination]) {
        if (result && result->failure.empty() && measure < result->measures.size())
            all.add(result->measures[measure].value);
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

/// The curve's value at x, held at both ends.
double interpolate(const Curve& curve, double x) {
    const auto after = std::ranges::upper_bound(curve.x, x);
    if (after == curve.x.begin()) return curve.y.front();
    const auto k = static_cast<std::size_t>(after - curve.x.begin());
    if (after == curve.x.end()) return curve.y.back();
    const double share = (x - curve.x[k - 1]) / (curve.x[k] - curve.x[k - 1]);
    return curve.y[k - 1] + share * (curve.y[k] - curve.y[k - 1]);
}

/// Curve number `number` of a combination over its seeds: mean and range. `end` is where all curves of the chart
/// end; a curve that stays at one place (no training at all) is drawn to there.
report::Series curve_series(const Comparison& comparison, std::size_t combination, std::size_t number, double end) {
    report::Series series{.name = comparison.plan.label(combination), .x = {}, .y = {}};
    std::vector<const Curve*> curves;
    for (const auto& result : comparison.results[combination]) {
        if (result && number < result->curves.size() && !result->curves[number].x.empty())
            curves.push_back(&result->curves[number]);
    }
    if (curves.empty()) return series;
    double first = curves.front()->x.front(), last = curves.front()->x.back();
    for (const Curve* curve : curves) {
        first = std::min(first, curve->x.front());
        last = std::max(last, curve->x.back());
    }
    if (std::ranges::all_of(curves, [&](const Curve* curve) { return curve->x == curves.front()->x; }) &&
        last > first) {
        series.x = curves.front()->x;
    } else {
        constexpr int points = 120;
        if (last == first) last = end;
        for (int k = 0; k <= points; ++k) series.x.push_back(first + (last - first) * k / points);
    }
    for (double x : series.x) {
        Spread all;
        for (const Curve* curve : curves) all.add(interpolate(*curve, x));
        series.y.push_back(all.mean());
        if (curves.size() > 1) {
            series.low.push_back(all.low());
            series.high.push_back(all.high());
        }
    }
    return series;
}

std::string heading(const Measure& measure) {
    std::string text = measure.meaning.empty() ? measure.title : measure.meaning;
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text;
}

std::string seeds_text(const Comparison& comparison) {
    if (comparison.plan.seeds == 1) return "";
    return fmt::format("range over {} seeds", comparison.plan.seeds);
}

std::string curve_svg(const Comparison& comparison, std::size_t number) {
    const Curve& shape = example(comparison)->curves[number];
    double end = 0;
    for (const auto& seeds : comparison.results) {
        for (const auto& result : seeds) {
            if (result && number < result->curves.size() && !result->curves[number].x.empty())
                end = std::max(end, result->curves[number].x.back());
        }
    }
    report::LineChart chart;
    chart.title = shape.title;
    chart.x.title = shape.x_title;
    chart.x.whole = std::ranges::all_of(shape.x, [](double x) { return x == std::round(x); });
    chart.y.title = shape.y_title;
    chart.band_name = seeds_text(comparison);
    for (std::size_t c = 0; c < comparison.results.size(); ++c)
        chart.series.push_back(curve_series(comparison, c, number, end));
    return report::line_chart(chart);
}

std::optional<double> number(const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// The axis of numbers with the most values, along which results can be joined by lines.
std::optional<std::size_t> numeric_axis(const ComparisonPlan& plan) {
    std::optional<std::size_t> best;
    for (std::size_t k = 0; k < plan.axes.size(); ++k) {
        const auto& values = plan.axes[k].values;
        if (values.size() < 2 || !std::ranges::all_of(values, [](const auto& v) { return number(v).has_value(); }))
            continue;
        if (!best || values.size() > plan.axes[*best].values.size()) best = k;
    }
    return best;
}

std::string bars_svg(const Comparison& comparison, std::size_t measure) {
    const Measure& shape = example(comparison)->measures[measure];
    report::BarChart chart;
    chart.title = heading(shape);
    chart.y.title = shape.title;
    chart.series = {{.name = "", .values = {}}};
    if (comparison.plan.seeds > 1) chart.error_name = "standard deviation over seeds";
    std::vector<std::string> keys;
    for (const VariedSetting& axis : comparison.plan.axes) keys.push_back(axis.key);
    chart.category_title = fmt::format("{}", fmt::join(keys, ", "));
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        const Spread all = spread(comparison, c, measure);
        chart.categories.push_back(fmt::format("{}", fmt::join(comparison.plan.values(c), ", ")));
        chart.series[0].values.push_back(all.mean());
        chart.series[0].low.push_back(all.mean() - all.deviation());
        chart.series[0].high.push_back(all.mean() + all.deviation());
        chart.series[0].points.push_back(all.values);
    }
    return report::bar_chart(chart);
}

/// A measure over the values of one axis, a line for each combination of the others.
std::string lines_svg(const Comparison& comparison, std::size_t measure, std::size_t axis) {
    const ComparisonPlan& plan = comparison.plan;
    const Measure& shape = example(comparison)->measures[measure];
    double low = INFINITY, high = -INFINITY;
    for (const std::string& value : plan.axes[axis].values) {
        low = std::min(low, *number(value));
        high = std::max(high, *number(value));
    }
    report::LineChart chart;
    chart.title = heading(shape);
    chart.y.title = shape.title;
    chart.x.title = plan.axes[axis].key;
    chart.x.logarithmic = low > 0 && high >= 8 * low;
    chart.band_name = seeds_text(comparison);
    ComparisonPlan others = plan;
    others.axes.erase(others.axes.begin() + static_cast<std::ptrdiff_t>(axis));
    for (std::size_t other = 0; other < others.combinations(); ++other) {
        std::vector<std::pair<double, std::size_t>> points;
        for (std::size_t c = 0; c < plan.combinations(); ++c) {
            std::vector<std::string> values = plan.values(c);
            const double x = *number(values[axis]);
            values.erase(values.begin() + static_cast<std::ptrdiff_t>(axis));
            if (values == others.values(other)) points.emplace_back(x, c);
        }
        std::ranges::sort(points);
        report::Series series{.name = others.label(other), .x = {}, .y = {}};
        if (others.axes.empty() && plan.seeds > 1) series.name = "mean over seeds";
        for (const auto& [x, c] : points) {
            const Spread all = spread(comparison, c, measure);
            series.x.push_back(x);
            series.y.push_back(all.mean());
            if (plan.seeds > 1) {
                series.low.push_back(all.low());
                series.high.push_back(all.high());
            }
        }
        chart.series.push_back(std::move(series));
    }
    return report::line_chart(chart);
}

std::string measure_svg(const Comparison& comparison, std::size_t measure) {
    const std::optional<std::size_t> axis = numeric_axis(comparison.plan);
    const bool few =
        axis && comparison.plan.combinations() / comparison.plan.axes[*axis].values.size() <= series_limit;
    return few ? lines_svg(comparison, measure, *axis) : bars_svg(comparison, measure);
}

nlohmann::ordered_json finite(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

}  // namespace

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
    for (std::size_t c = 0; c < plan.combinations(); ++c) {
        std::vector<std::string> row = plan.values(c);
        row.push_back(ended(comparison, c));
        for (std::size_t m = 0; m < measures; ++m) {
            if (const Measure::Show show = shape->measures[m].show; show != Measure::Show::file)
                row.push_back(cell(spread(comparison, c, m), show));
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
            measures[shape->measures[m].key] = {
                {"mean", finite(all.mean())}, {"deviation", finite(all.deviation())}, {"values", all.values}};
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
    json["data"] = data_json(notes_of_runs(comparison));
    return json.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> comparison_pictures(const Comparison& comparison) {
    std::vector<std::pair<std::string, std::string>> pictures;
    const TrialResult* shape = example(comparison);
    if (shape == nullptr) return pictures;
    if (comparison.plan.combinations() <= series_limit) {
        for (std::size_t k = 0; k < shape->curves.size(); ++k)
            pictures.emplace_back(shape->curves[k].key + ".svg", curve_svg(comparison, k));
    }
    for (std::size_t m = 0; m < shape->measures.size(); ++m) {
        if (shape->measures[m].drawn)
            pictures.emplace_back(shape->measures[m].key + ".svg", measure_svg(comparison, m));
    }
    return pictures;
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
    if (const std::string notes = notes_text(notes_of_runs(comparison)); !notes.empty())
        results.paragraphs.push_back(notes);
    page.sections.push_back(std::move(results));
    report::Section pictures{.heading = "Pictures"};
    for (const auto& [name, svg] : comparison_pictures(comparison)) pictures.figures.push_back({svg});
    if (!pictures.figures.empty()) page.sections.push_back(std::move(pictures));
    page.settings = config;
    page.reproduce = plan.command_line();
    return report::html_report(page);
}

}  // namespace dunlin::app

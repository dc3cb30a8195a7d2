// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_spread.hpp"
#include "apps/dunlin/statistics.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

constexpr std::size_t series_limit = 8;  // what eyes can tell apart

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

/// How often each method's runs do better than any threshold: all tasks of all seeds, where each has its share.
std::string profile_svg(const Comparison& comparison) {
    const TrialResult* shape = example(comparison);
    std::vector<std::size_t> tasks;
    for (std::size_t m = 0; m < shape->measures.size(); ++m) {
        const std::string& key = shape->measures[m].key;
        if (key.starts_with("task") && key.ends_with("_return_ratio")) tasks.push_back(m);
    }
    if (tasks.empty() || comparison.plan.seeds < 2) return {};
    report::LineChart chart{.title = "Performance profile: share of runs and tasks above a share of the optimum",
                            .x = {.title = "share of the optimum"},
                            .y = {.title = "share of runs and tasks"},
                            .series = {}};
    std::vector<double> thresholds;
    for (int k = 0; k <= 100; ++k) thresholds.push_back(k / 100.0);
    for (std::size_t c = 0; c < comparison.results.size(); ++c) {
        std::vector<double> values;
        for (const std::size_t m : tasks) {
            const Spread all = spread(comparison, c, m);
            values.insert(values.end(), all.values.begin(), all.values.end());
        }
        if (values.empty()) continue;
        chart.series.push_back(
            {.name = comparison.plan.label(c), .x = thresholds, .y = profile(values, thresholds)});
    }
    return chart.series.empty() ? std::string() : report::line_chart(chart);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> comparison_pictures(const Comparison& comparison) {
    std::vector<std::pair<std::string, std::string>> pictures;
    const TrialResult* shape = example(comparison);
    if (shape == nullptr) return pictures;
    if (comparison.plan.combinations() <= series_limit) {
        for (std::size_t k = 0; k < shape->curves.size(); ++k)
            pictures.emplace_back(shape->curves[k].key + ".svg", curve_svg(comparison, k));
        if (std::string svg = profile_svg(comparison); !svg.empty())
            pictures.emplace_back("profile.svg", std::move(svg));
    }
    for (std::size_t m = 0; m < shape->measures.size(); ++m) {
        if (shape->measures[m].drawn)
            pictures.emplace_back(shape->measures[m].key + ".svg", measure_svg(comparison, m));
    }
    return pictures;
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/report/plot_frame.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin::report {
namespace {

constexpr std::string_view ink = "#222222";

double at_or_nan(const std::vector<double>& values, std::size_t k) {
    return k < values.size() ? values[k] : std::numeric_limits<double>::quiet_NaN();
}

/// The numbers of each bar.
std::vector<std::vector<double>> numbers(const BarChart& chart) {
    std::vector<std::vector<double>> groups;
    for (const BarSeries& series : chart.series) {
        for (std::size_t category = 0; category < chart.categories.size(); ++category) {
            std::vector<double>& group = groups.emplace_back();
            for (const auto* values : {&series.values, &series.low, &series.high})
                group.push_back(at_or_nan(*values, category));
            if (category < series.points.size())
                group.insert(group.end(), series.points[category].begin(), series.points[category].end());
        }
    }
    return groups;
}

/// The lowest and highest of what a bar chart shows.
std::pair<double, double> limits(const BarChart& chart) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    const auto add = [&](double value) {
        if (!std::isfinite(value) || (chart.y.logarithmic && value <= 0.0)) return;
        low = std::min(low, value);
        high = std::max(high, value);
    };
    for (const BarSeries& series : chart.series) {
        for (const auto* values : {&series.values, &series.low, &series.high}) {
            for (const double value : *values) add(value);
        }
        for (const auto& points : series.points) {
            for (const double value : points) add(value);
        }
    }
    if (chart.reference) add(*chart.reference);
    if (!chart.y.logarithmic && low <= high) low = std::min(low, 0.0), high = std::max(high, 0.0);
    if (!chart.y.logarithmic && low <= high) {  // room for the values above and below the bars
        const double room = 0.08 * (high - low);
        if (high > 0.0) high += room;
        if (low < 0.0) low -= room;
    }
    return {low, high};
}

struct BarPlace {
    double left = 0.0;
    double width = 0.0;
};

/// Returns the height in pixels at which its value is written: above a bar that goes up, below one that goes down;
/// NaN without a bar.
double draw_bar(Svg& svg, const Frame& frame, const BarSeries& series, std::size_t category, std::size_t style,
                BarPlace place) {
    const double value = at_or_nan(series.values, category);
    const double share = frame.y.share(value);
    if (!std::isfinite(share)) return std::numeric_limits<double>::quiet_NaN();
    const double floor_y =
        frame.top + (1.0 - std::clamp(frame.y.logarithmic ? 0.0 : frame.y.share(0.0), 0.0, 1.0)) * frame.height;
    const double y = frame.top + (1.0 - std::clamp(share, 0.0, 1.0)) * frame.height;
    svg.hatched_box(series_style(style).hatch, place.left, std::min(y, floor_y), place.width, std::abs(floor_y - y),
                    series_style(style).colour);

    const double centre = place.left + place.width / 2.0;
    const bool down = y > floor_y;
    double end = y;
    const auto reach = [&](double upper, double lower) {
        end = down ? std::max(end, lower) : std::min(end, upper);
    };
    const double low = frame.y.share(at_or_nan(series.low, category)),
                 high = frame.y.share(at_or_nan(series.high, category));
    if (std::isfinite(low) && std::isfinite(high)) {
        const double y_low = frame.top + (1.0 - std::clamp(low, 0.0, 1.0)) * frame.height;
        const double y_high = frame.top + (1.0 - std::clamp(high, 0.0, 1.0)) * frame.height;
        const double cap = std::min(7.0, 0.3 * place.width);
        for (const auto& [width, colour] : {std::pair{4.0, "#ffffff"}, std::pair{1.6, "#222222"}}) {  // a pale rim
            svg.line({centre, y_low}, {centre, y_high}, {colour, width, {}, 1.0, {}});
            svg.line({centre - cap, y_low}, {centre + cap, y_low}, {colour, width, {}, 1.0, {}});
            svg.line({centre - cap, y_high}, {centre + cap, y_high}, {colour, width, {}, 1.0, {}});
        }
        reach(y_high, y_low);
    }
    if (category < series.points.size()) {
        const auto& points = series.points[category];
        for (std::size_t k = 0; k < points.size();
             ++k) {  // spread by a low-discrepancy sequence, the same each time
            const double offset = std::fmod(0.618034 * static_cast<double>(k + 1), 1.0) - 0.5;
            const double height = std::clamp(frame.y.share(points[k]), 0.0, 1.0);
            if (!std::isfinite(height)) continue;
            const Position dot{centre + 0.6 * offset * place.width, frame.top + (1.0 - height) * frame.height};
            svg.circle(dot, 2.4, {ink, 0.8, "#ffffff", 0.85, {}});
            reach(dot.y - 3.0, dot.y + 3.0);
        }
    }
    if (down) return std::min(end + 15.0, frame.top + frame.height - 4.0);
    return std::max(end - 6.0, frame.top + 12.0);
}

/// The bins' edges for histogram values in [low, high].
std::vector<double> bin_edges(const Histogram& chart, double low, double high) {
    bool whole = true;
    for (const Sample& sample : chart.samples) {
        for (const double value : sample.values)
            whole = whole && (!std::isfinite(value) || value == std::floor(value));
    }
    constexpr double most_whole_bins = 60.0, largest_whole = 1e9;  // beyond, adding one may change nothing
    std::vector<double> edges;
    whole = whole && std::max(std::abs(low), std::abs(high)) < largest_whole;
    if (chart.bins <= 0 && whole && high - low < most_whole_bins) {
        for (double edge = low - 0.5; edge <= high + 0.5; edge += 1.0) edges.push_back(edge);
        return edges;
    }
    const int bins = chart.bins > 0 ? std::min(chart.bins, 1000) : 30;
    if (!(high > low)) {
        const double room = std::max(0.5, 0.01 * std::abs(low));
        low -= room;
        high += room;
    }
    for (int k = 0; k <= bins; ++k) edges.push_back(low + (high - low) * k / bins);
    return edges;
}

std::vector<double> shares(const Sample& sample, const std::vector<double>& edges) {
    std::vector<double> counts(edges.size() - 1, 0.0);
    double total = 0.0;
    for (std::size_t k = 0; k < sample.values.size(); ++k) {
        const double weight = sample.weights.empty() ? 1.0 : at_or_nan(sample.weights, k);
        if (!std::isfinite(sample.values[k]) || !(weight > 0.0) || !std::isfinite(weight)) continue;
        const auto above = std::upper_bound(edges.begin(), edges.end(), sample.values[k]);
        const auto bin = std::clamp<std::ptrdiff_t>(above - edges.begin() - 1, 0, std::ssize(counts) - 1);
        counts[static_cast<std::size_t>(bin)] += weight;
        total += weight;
    }
    for (double& count : counts) count = total > 0.0 ? count / total : 0.0;
    return counts;
}

}  // namespace

std::string bar_chart(const BarChart& chart) {
    auto [low, high] = limits(chart);
    FrameRequest request;
    Axis y = chart.y;
    if (!y.logarithmic && !y.low && !y.high) {
        const std::vector<std::vector<double>> groups = numbers(chart);
        if (const Focus window = focus(groups); window.cut) {
            y.low = low = std::min({window.low, 0.0, chart.reference.value_or(0.0)});
            y.high = high = std::max({window.high, 0.0, chart.reference.value_or(0.0)});
            std::vector<std::string> names;
            for (const BarSeries& series : chart.series) {
                for (const std::string& category : chart.categories)
                    names.push_back(series.name.empty() ? category : series.name + ", " + category);
            }
            if (std::string note = beyond_note(names, groups, low, high); !note.empty())
                request.notes.push_back(std::move(note));
        }
    }
    request.title = chart.title;
    request.x_title = chart.category_title;
    request.y_title = chart.y.title;
    request.y = make_scale(y, low, high, 6, true);
    request.categories = chart.categories.empty() ? std::vector<std::string>{""} : chart.categories;
    request.width_px = chart.width_px;
    request.plot_height_px = chart.plot_height_px;
    using Kind = LegendEntry::Sample;
    for (std::size_t k = 0; k < chart.series.size(); ++k) {
        if (!chart.series[k].name.empty()) request.legend.push_back({chart.series[k].name, Kind::bar, k});
    }
    if (chart.reference && !chart.reference_name.empty())
        request.legend.push_back({chart.reference_name, Kind::reference});
    if (!chart.error_name.empty())
        request.x_title += (request.x_title.empty() ? "" : "  ·  ") + ("error bars: " + chart.error_name);

    Svg svg;
    const Frame frame = draw_frame(svg, request);
    const double slot = frame.width / static_cast<double>(request.categories.size());
    const double kinds = static_cast<double>(std::max<std::size_t>(chart.series.size(), 1));
    const double bar_width = std::min(0.78 * slot / kinds, 64.0);
    const bool with_values = bar_width > 30.0;
    struct Label {
        Position at;
        double value;
    };
    std::vector<Label> labels;
    for (std::size_t category = 0; category < chart.categories.size(); ++category) {
        const double centre = frame.left + (static_cast<double>(category) + 0.5) * slot;
        for (std::size_t k = 0; k < chart.series.size(); ++k) {
            const double left = centre + (static_cast<double>(k) - kinds / 2.0) * bar_width;
            const double height = draw_bar(svg, frame, chart.series[k], category, k, {left + 1.5, bar_width - 3.0});
            if (std::isfinite(height))
                labels.push_back({{left + bar_width / 2.0, height}, chart.series[k].values[category]});
        }
    }
    if (chart.reference && std::isfinite(frame.y.share(*chart.reference))) {
        const double height = frame.top + (1.0 - frame.y.share(*chart.reference)) * frame.height;
        svg.line({frame.left, height}, {frame.left + frame.width, height}, {"#555555", 1.5, {}, 1.0, "6 4"});
    }
    for (const Label& label : labels) {  // last, and with a halo, since the reference may lie behind
        if (with_values)
            svg.text(label.at, short_number(label.value, bar_width > 46.0 ? 3 : 2),
                     {12.0, Anchor::middle, false, 0.0, ink, true});
    }
    if (!(low <= high)) {
        svg.text({frame.left + frame.width / 2.0, frame.top + frame.height / 2.0}, "no data",
                 {14.0, Anchor::middle, false, 0.0, "#777777"});
    }
    return svg.finish(chart.width_px, frame.picture_height, chart.title);
}

std::string histogram(const Histogram& chart) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const Sample& sample : chart.samples) {
        for (const double value : sample.values) {
            if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
        }
    }
    const bool empty = !(low <= high);
    low = std::max(low, -1e290);  // so that differences stay finite
    high = std::min(high, 1e290);
    const std::vector<double> edges = empty ? std::vector<double>{0.0, 1.0} : bin_edges(chart, low, high);
    std::vector<std::vector<double>> heights;
    double largest = 0.0, smallest = 1.0;
    for (const Sample& sample : chart.samples) {
        heights.push_back(shares(sample, edges));
        for (const double height : heights.back()) {
            largest = std::max(largest, height);
            if (height > 0.0) smallest = std::min(smallest, height);
        }
    }

    FrameRequest request;
    request.title = chart.title;
    request.x_title = chart.x.title;
    request.y_title = "share of all";
    request.x =
        make_scale({chart.x.title, false, chart.x.low, chart.x.high}, edges.front(), edges.back(), 7, false);
    request.y =
        make_scale({"", chart.logarithmic, {}, {}}, chart.logarithmic ? smallest / 2.0 : 0.0, largest, 6, true);
    request.width_px = chart.width_px;
    request.plot_height_px = chart.plot_height_px;
    for (std::size_t k = 0; k < chart.samples.size(); ++k) {
        if (!chart.samples[k].name.empty())
            request.legend.push_back({chart.samples[k].name, LegendEntry::Sample::area, k});
    }
    Svg svg;
    const Frame frame = draw_frame(svg, request);
    const double floor_y = frame.top + frame.height;
    svg.begin_clip(frame.left - 2.0, frame.top - 2.0, frame.width + 4.0, frame.height + 3.0);
    for (std::size_t s = 0; s < heights.size(); ++s) {
        std::vector<Position> outline{{frame.at(edges.front(), 1.0).x, floor_y}};
        for (std::size_t k = 0; k < heights[s].size(); ++k) {
            const double share = frame.y.share(heights[s][k]);
            const double y = std::isfinite(share) ? frame.top + (1.0 - share) * frame.height : floor_y;
            outline.push_back({frame.at(edges[k], 1.0).x, y});
            outline.push_back({frame.at(edges[k + 1], 1.0).x, y});
        }
        outline.push_back({outline.back().x, floor_y});
        svg.polygon(outline, {{}, 0.0, series_style(s).colour, 0.22, {}});
        svg.polyline(outline, {series_style(s).colour, 2.0, {}, 1.0, series_style(s).dash});
    }
    svg.end_clip();
    if (empty) {
        svg.text({frame.left + frame.width / 2.0, frame.top + frame.height / 2.0}, "no data",
                 {14.0, Anchor::middle, false, 0.0, "#777777"});
    }
    return svg.finish(chart.width_px, frame.picture_height, chart.title);
}

}  // namespace dunlin::report

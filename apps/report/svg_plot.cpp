// SPDX-License-Identifier: Apache-2.0
#include "apps/report/svg_plot.hpp"

#include "apps/report/plot_frame.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace dunlin::report {
namespace {

constexpr double marker_gap_px = 80.0;
constexpr double marker_radius_px = 4.8;

std::size_t length(const Series& series) {
    return std::min(series.x.size(), series.y.size());
}

bool has_band(const Series& series) {
    return series.low.size() >= length(series) && series.high.size() >= length(series) && length(series) > 0;
}

struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();

    void add(double value, bool logarithmic) {
        if (!std::isfinite(value) || (logarithmic && value <= 0.0)) return;
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

/// The run's positions, cut where one of them has no place.
std::vector<std::vector<Position>> pieces(const std::vector<Position>& positions) {
    std::vector<std::vector<Position>> out(1);
    for (const Position& position : positions) {
        if (std::isfinite(position.x) && std::isfinite(position.y)) {
            out.back().push_back(position);
        } else if (!out.back().empty()) {
            out.emplace_back();
        }
    }
    if (out.back().empty()) out.pop_back();
    return out;
}

/// First, lowest, highest and last position of each pixel column: the same picture from far fewer positions.
/// Positions that go back and forth are left alone.
std::vector<Position> thinned(const std::vector<Position>& positions, double width_px) {
    const auto by_x = [](const Position& a, const Position& b) { return a.x < b.x; };
    if (static_cast<double>(positions.size()) < 3.0 * width_px ||
        !std::is_sorted(positions.begin(), positions.end(), by_x)) {
        return positions;
    }
    std::vector<Position> out;
    for (auto begin = positions.begin(); begin != positions.end();) {
        const double column = std::floor(begin->x);
        const auto end =
            std::find_if(begin, positions.end(), [&](const Position& p) { return std::floor(p.x) != column; });
        const auto [lowest, highest] =
            std::minmax_element(begin, end, [](const Position& a, const Position& b) { return a.y < b.y; });
        std::vector<std::vector<Position>::const_iterator> kept{begin, lowest, highest, end - 1};
        std::sort(kept.begin(), kept.end());
        kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
        for (const auto& position : kept) out.push_back(*position);
        begin = end;
    }
    return out;
}

std::vector<Position> curve(const Frame& frame, const std::vector<double>& x, const std::vector<double>& y,
                            std::size_t count) {
    std::vector<Position> positions;
    positions.reserve(count);
    for (std::size_t k = 0; k < count; ++k) positions.push_back(frame.at(x[k], y[k]));
    return positions;
}

/// Whether a marker belongs there; NaN does not.
bool inside(const Frame& frame, const Position& position) {
    return position.x >= frame.left - 1.0 && position.x <= frame.left + frame.width + 1.0 &&
           position.y >= frame.top - 1.0 && position.y <= frame.top + frame.height + 1.0;
}

/// SVG readers lose precision far outside the picture.
void keep_near(std::vector<Position>& positions, const Frame& frame) {
    for (Position& position : positions) {
        position.x = std::clamp(position.x, frame.left - 1e4, frame.left + frame.width + 1e4);
        position.y = std::clamp(position.y, frame.top - 1e4, frame.top + frame.height + 1e4);
    }
}

void draw_band(Svg& svg, const Frame& frame, const Series& series, std::string_view colour) {
    const std::size_t count = length(series);
    std::vector<Position> lower = curve(frame, series.x, series.low, count);
    std::vector<Position> upper = curve(frame, series.x, series.high, count);
    for (std::size_t k = 0; k < count; ++k) {  // an edge that is missing takes the other one along
        if (!std::isfinite(lower[k].y)) upper[k].y = lower[k].y;
        if (!std::isfinite(upper[k].y)) lower[k].y = upper[k].y;
    }
    const auto lower_pieces = pieces(lower), upper_pieces = pieces(upper);
    for (std::size_t k = 0; k < lower_pieces.size(); ++k) {
        std::vector<Position> outline = thinned(upper_pieces[k], frame.width);
        const std::vector<Position> back = thinned(lower_pieces[k], frame.width);
        outline.insert(outline.end(), back.rbegin(), back.rend());
        keep_near(outline, frame);
        svg.polygon(outline, {{}, 0.0, colour, band_opacity, {}});
    }
}

void draw_line(Svg& svg, const Frame& frame, const Series& series, const SeriesStyle& style, bool dashed) {
    for (const auto& piece : pieces(curve(frame, series.x, series.y, length(series)))) {
        std::vector<Position> positions = thinned(piece, frame.width);
        keep_near(positions, frame);
        svg.polyline(positions, {style.colour, 2.0, {}, 1.0, dashed ? style.dash : ""});
    }
}

/// Few points have a marker each; of many, one about every `marker_gap_px`, beginning at `first_px`. A point
/// without neighbours has one in any case, since no line shows it.
void draw_markers(Svg& svg, const Frame& frame, const Series& series, const SeriesStyle& style, double first_px) {
    const bool few = length(series) <= 25;
    double next = frame.left + std::min(first_px, frame.width / 2.0);
    for (const auto& piece : pieces(curve(frame, series.x, series.y, length(series)))) {
        for (const Position& position : piece) {
            if (!inside(frame, position)) continue;
            if (!few && piece.size() > 1 && position.x < next) continue;
            svg.marker(style.marker, position, marker_radius_px, style.colour);
            next = std::max(next, position.x + marker_gap_px);
        }
    }
}

void draw_points(Svg& svg, const Frame& frame, const Series& series, const SeriesStyle& style) {
    std::set<std::pair<int, int>> taken;  // by pixel: what lies exactly below another point is not drawn
    for (const Position& position : curve(frame, series.x, series.y, length(series))) {
        if (!inside(frame, position)) continue;
        if (!taken.insert({static_cast<int>(position.x), static_cast<int>(position.y)}).second) continue;
        svg.marker(style.marker, position, 4.2, style.colour, 0.8);
    }
}

/// Dashed lines, and at the right edge the marker of the series that each belongs to, side by side where several
/// series share a value.
void draw_references(Svg& svg, const Frame& frame, const std::vector<Series>& all, bool marked) {
    std::vector<double> heights;
    for (std::size_t k = 0; k < all.size(); ++k) {
        if (!all[k].reference) continue;
        const Position end = frame.at(frame.x.high, *all[k].reference);
        if (!std::isfinite(end.y) || end.y < frame.top - 1.0 || end.y > frame.top + frame.height + 1.0) continue;
        const auto near =
            std::count_if(heights.begin(), heights.end(), [&](double y) { return std::abs(y - end.y) < 9.0; });
        const std::string_view colour = marked ? series_style(k).colour : std::string_view("#555555");
        svg.line({frame.left, end.y}, end, {colour, 1.5, {}, 1.0, "6 4"});
        if (marked)
            svg.marker(series_style(k).marker, {end.x + 9.0 + 12.0 * static_cast<double>(near), end.y},
                       marker_radius_px, colour);
        heights.push_back(end.y);
    }
}

/// The numbers of each series: its line and its band.
std::vector<std::vector<double>> numbers(const std::vector<Series>& all) {
    std::vector<std::vector<double>> groups;
    for (const Series& series : all) {
        std::vector<double>& group =
            groups.emplace_back(series.y.begin(), series.y.begin() + static_cast<std::ptrdiff_t>(length(series)));
        if (!has_band(series)) continue;
        group.insert(group.end(), series.low.begin(), series.low.end());
        group.insert(group.end(), series.high.begin(), series.high.end());
    }
    return groups;
}

}  // namespace

std::string line_chart(const LineChart& chart) {
    Range x_range, y_range;
    bool has_reference = false, any_band = false, any_points = false;
    std::size_t references = 0;
    for (const Series& series : chart.series) {
        const bool band = has_band(series);
        any_band = any_band || band;
        any_points = any_points || !series.joined;
        for (std::size_t k = 0; k < length(series); ++k) {
            x_range.add(series.x[k], chart.x.logarithmic);
            y_range.add(series.y[k], chart.y.logarithmic);
            if (band)
                y_range.add(series.low[k], chart.y.logarithmic), y_range.add(series.high[k], chart.y.logarithmic);
        }
        if (series.reference) {
            y_range.add(*series.reference, chart.y.logarithmic);
            has_reference = true;
            ++references;
        }
    }
    const bool marked = references > 1;
    Axis y = chart.y;
    std::vector<std::string> notes;
    if (!y.logarithmic && !y.low && !y.high) {
        const std::vector<std::vector<double>> groups = numbers(chart.series);
        if (const Focus window = focus(groups); window.cut) {
            y.low = window.low;
            y.high = window.high;
            for (const Series& series : chart.series) {
                if (!series.reference) continue;
                y.low = std::min(*y.low, *series.reference);
                y.high = std::max(*y.high, *series.reference);
            }
            std::vector<std::string> names;
            for (const Series& series : chart.series) names.push_back(series.name);
            if (std::string note = beyond_note(names, groups, *y.low, *y.high); !note.empty())
                notes.push_back(std::move(note));
        }
    }

    FrameRequest request;
    request.title = chart.title;
    request.x_title = chart.x.title;
    request.y_title = chart.y.title;
    if (any_points && !chart.x.logarithmic && x_range.low < x_range.high) {  // points should not lie on the axis
        const double room = 0.03 * (x_range.high - x_range.low);
        x_range.low -= room;
        x_range.high += room;
    }
    request.x = make_scale(chart.x, x_range.low, x_range.high, 7, false);
    request.y = make_scale(y, y_range.low, y_range.high, 6, true);
    request.width_px = chart.width_px;
    request.plot_height_px = chart.plot_height_px;
    request.right_margin_px = marked ? 24.0 + 12.0 * static_cast<double>(references - 1) : 24.0;
    using Kind = LegendEntry::Sample;
    for (std::size_t k = 0; k < chart.series.size(); ++k) {
        const Series& series = chart.series[k];
        if (series.name.empty()) continue;
        request.legend.push_back({series.name, series.joined ? Kind::line : Kind::points, k, !has_reference});
    }
    if (has_reference && !chart.reference_name.empty())
        request.legend.push_back({chart.reference_name, Kind::reference});
    if (any_band && !chart.band_name.empty()) {
        const auto first = std::ranges::find_if(chart.series, has_band);
        const auto banded = static_cast<std::size_t>(std::ranges::count_if(chart.series, has_band));
        request.legend.push_back({chart.band_name, Kind::band,
                                  static_cast<std::size_t>(first - chart.series.begin()), false,
                                  std::min<std::size_t>(banded, 4)});
    }
    request.notes = std::move(notes);

    Svg svg;
    const Frame frame = draw_frame(svg, request);
    constexpr double overhang = 6.0;  // room for half a marker
    svg.begin_clip(frame.left - overhang, frame.top - overhang, frame.width + 2.0 * overhang,
                   frame.height + 2.0 * overhang);
    for (std::size_t k = 0; k < chart.series.size(); ++k) {
        if (has_band(chart.series[k])) draw_band(svg, frame, chart.series[k], series_style(k).colour);
    }
    for (std::size_t k = 0; k < chart.series.size(); ++k) {
        if (chart.series[k].joined) draw_line(svg, frame, chart.series[k], series_style(k), !has_reference);
    }
    for (std::size_t k = 0; k < chart.series.size(); ++k) {
        const double first_px =
            marker_gap_px * (static_cast<double>(k) + 0.5) / static_cast<double>(chart.series.size());
        if (chart.series[k].joined) {
            draw_markers(svg, frame, chart.series[k], series_style(k), first_px);
        } else {
            draw_points(svg, frame, chart.series[k], series_style(k));
        }
    }
    svg.end_clip();
    draw_references(svg, frame, chart.series, marked);
    if (!(x_range.low <= x_range.high) || !(y_range.low <= y_range.high)) {
        svg.text({frame.left + frame.width / 2.0, frame.top + frame.height / 2.0}, "no data",
                 {14.0, Anchor::middle, false, 0.0, "#777777"});
    }
    return svg.finish(chart.width_px, frame.picture_height, chart.title);
}

}  // namespace dunlin::report

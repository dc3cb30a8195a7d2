// SPDX-License-Identifier: Apache-2.0
#include "apps/report/plot_frame.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin::report {
namespace {

constexpr double tick_size_px = 13.0;
constexpr double title_size_px = 14.0;
constexpr double heading_size_px = 16.0;
constexpr double legend_row_px = 23.0;
constexpr double category_line_px = 16.0;
constexpr double sample_px = 34.0;
constexpr std::string_view ink = "#222222";
constexpr std::string_view soft_ink = "#555555";
constexpr std::string_view grid = "#e4e4e4";

double entry_width(const LegendEntry& entry) {
    return sample_px + 7.0 + text_width(entry.name, tick_size_px) + 16.0;
}

void draw_sample(Svg& svg, const LegendEntry& entry, Position left) {
    using Sample = LegendEntry::Sample;
    const SeriesStyle style = series_style(entry.style);
    const Position right{left.x + sample_px, left.y}, centre{left.x + sample_px / 2.0, left.y};
    const double top = left.y - 7.0;
    switch (entry.sample) {
        case Sample::line:
            svg.polyline({left, right}, {style.colour, 2.2, {}, 1.0, entry.dashed ? style.dash : ""});
            svg.marker(style.marker, centre, 4.8, style.colour);
            break;
        case Sample::points:
            svg.marker(style.marker, centre, 4.8, style.colour);
            break;
        case Sample::bar:
            svg.hatched_box(style.hatch, left.x + 4.0, top, sample_px - 8.0, 14.0, style.colour);
            break;
        case Sample::area:
            svg.box(left.x, top, sample_px, 14.0, {{}, 0.0, style.colour, 0.22, {}});
            svg.polyline({{left.x, top}, {right.x, top}}, {style.colour, 2.0, {}, 1.0, style.dash});
            break;
        case Sample::reference:
            svg.line(left, right, {"#555555", 1.5, {}, 1.0, "6 4"});
            break;
        case Sample::band: {  // a stripe for each colour that it has in the plot
            const double stripe = sample_px / static_cast<double>(entry.bands);
            for (std::size_t k = 0; k < entry.bands; ++k)
                svg.box(left.x + static_cast<double>(k) * stripe, top, stripe, 14.0,
                        {{}, 0.0, series_style(entry.style + k).colour, band_opacity, {}});
            break;
        }
        case Sample::start:
            svg.circle(centre, 4.5, {"#222222", 1.5, "#ffffff", 1.0, {}});
            break;
        case Sample::goal:
            svg.polygon(regular_polygon(centre, 9.0, 5, 0.45), {"#5c4400", 1.2, "#F0C000", 1.0, {}});
            break;
        case Sample::failure:
            svg.polygon(regular_polygon(centre, 7.0, 5), {"#222222", 1.2, "#ffffff", 1.0, {}});
            break;
        case Sample::wall:
            svg.box(centre.x - 7.0, top, 14.0, 14.0, {"#3a3a3a", 1.0, "#3a3a3a", 1.0, {}});
            break;
        case Sample::path:
            svg.polyline({left, right}, {"#555555", 2.0, {}, 0.8, {}});
            break;
        case Sample::failed_path:
            svg.polyline({left, right}, {"#555555", 2.0, {}, 0.8, "4 3"});
            break;
    }
}

/// Names under equal slots: in lines where their words fit, else slanted.
struct CategoryNames {
    std::vector<std::vector<std::string>> lines;
    bool slanted = false;
    double height = 24.0;      ///< that they take below the axis
    double overhang_px = 0.0;  ///< that the first one needs left of its slot's middle
};

CategoryNames arrange(const std::vector<std::string>& names, double slot) {
    CategoryNames out;
    double widest_line = 0.0, widest_name = 0.0;
    std::size_t most_lines = 1;
    for (const std::string& name : names) {
        out.lines.push_back(wrap(name, slot - 8.0, tick_size_px));
        most_lines = std::max(most_lines, out.lines.back().size());
        for (const std::string& line : out.lines.back())
            widest_line = std::max(widest_line, text_width(line, tick_size_px));
        widest_name = std::max(widest_name, text_width(name, tick_size_px));
    }
    out.slanted = widest_line > slot - 4.0 || most_lines > 3;
    out.height = out.slanted ? 0.58 * widest_name + 24.0 : 8.0 + category_line_px * static_cast<double>(most_lines);
    if (out.slanted && !names.empty()) out.overhang_px = 0.83 * text_width(names.front(), tick_size_px);
    return out;
}

void draw_categories(Svg& svg, const Frame& frame, const std::vector<std::string>& names,
                     const CategoryNames& arranged) {
    const double slot = frame.width / static_cast<double>(names.size());
    for (std::size_t k = 0; k < names.size(); ++k) {
        const double x = frame.left + (static_cast<double>(k) + 0.5) * slot;
        double y = frame.top + frame.height + 19.0;
        if (arranged.slanted) {
            svg.text({x + 4.0, y - 3.0}, names[k], {tick_size_px, Anchor::end, false, -35.0, ink});
            continue;
        }
        for (const std::string& line : arranged.lines[k]) {
            svg.text({x, y}, line, {tick_size_px, Anchor::middle, false, 0.0, ink});
            y += category_line_px;
        }
    }
}

void draw_x_ticks(Svg& svg, const Frame& frame) {
    const double bottom = frame.top + frame.height;
    for (std::size_t k = 0; k < frame.x.ticks.size(); ++k) {
        const double x = frame.left + frame.x.share(frame.x.ticks[k]) * frame.width;
        svg.line({x, bottom}, {x, bottom + 5.0}, {ink, 1.0, {}, 1.0, {}});
        svg.text({x, bottom + 19.0}, frame.x.labels[k], {tick_size_px, Anchor::middle, false, 0.0, ink});
    }
}

}  // namespace

double draw_legend(Svg& svg, const std::vector<LegendEntry>& entries, double left, double top, double width) {
    std::size_t begin = 0;
    double height = 0.0;
    while (begin < entries.size()) {
        double row = entry_width(entries[begin]);
        std::size_t end = begin + 1;
        while (end < entries.size() && row + entry_width(entries[end]) <= width) row += entry_width(entries[end++]);
        double x = left + std::max(0.0, (width - row + 16.0) / 2.0);
        const double y = top + height + legend_row_px / 2.0;
        for (; begin < end; ++begin) {
            draw_sample(svg, entries[begin], {x, y});
            svg.text({x + sample_px + 7.0, y + 4.5}, entries[begin].name,
                     {tick_size_px, Anchor::start, false, 0.0, ink});
            x += entry_width(entries[begin]);
        }
        height += legend_row_px;
    }
    return height;
}

std::string beyond_note(const std::vector<std::string>& names, const std::vector<std::vector<double>>& groups,
                        double low, double high) {
    std::string note;
    for (std::size_t k = 0; k < groups.size(); ++k) {
        double lowest = low, highest = high;
        for (const double value : groups[k]) {
            if (!std::isfinite(value)) continue;
            lowest = std::min(lowest, value);
            highest = std::max(highest, value);
        }
        std::string reach;
        if (lowest < low) reach += " down to " + short_number(lowest);
        if (highest > high) reach += (reach.empty() ? " up to " : " and up to ") + short_number(highest);
        if (reach.empty()) continue;
        note += (note.empty() ? "beyond the axis: " : ", ") + (k < names.size() ? names[k] : std::string()) + reach;
    }
    return note;
}

Frame draw_frame(Svg& svg, const FrameRequest& request) {
    Frame frame;
    frame.x = request.x;
    frame.y = request.y;
    double widest = 0.0;
    for (const std::string& label : frame.y.labels) widest = std::max(widest, text_width(label, tick_size_px));
    frame.left = widest + 14.0 + (request.y_title.empty() ? 6.0 : 26.0);
    frame.top = 16.0;
    for (const std::string& line : wrap(request.title, request.width_px - 20.0, heading_size_px)) {
        frame.top += 20.0;
        svg.text({request.width_px / 2.0, frame.top - 8.0}, line,
                 {heading_size_px, Anchor::middle, true, 0.0, ink});
    }
    frame.width = std::max(request.width_px - frame.left - request.right_margin_px, 50.0);
    frame.height = request.plot_height_px;
    CategoryNames categories;
    if (!request.categories.empty()) {
        const double count = static_cast<double>(request.categories.size());
        categories = arrange(request.categories, frame.width / count);
        const double missing = categories.overhang_px - frame.left - 0.5 * frame.width / count;
        if (missing > 0.0) {
            frame.left += missing;
            frame.width = std::max(frame.width - missing, 50.0);
        }
    }

    const double bottom = frame.top + frame.height, right = frame.left + frame.width;
    for (std::size_t k = 0; k < frame.y.ticks.size(); ++k) {
        const double y = frame.top + (1.0 - frame.y.share(frame.y.ticks[k])) * frame.height;
        svg.line({frame.left, y}, {right, y}, {grid, 1.0, {}, 1.0, {}});
        svg.line({frame.left - 5.0, y}, {frame.left, y}, {ink, 1.0, {}, 1.0, {}});
        svg.text({frame.left - 9.0, y + 4.5}, frame.y.labels[k], {tick_size_px, Anchor::end, false, 0.0, ink});
    }
    double below = bottom + categories.height;
    if (request.categories.empty()) {
        draw_x_ticks(svg, frame);
    } else {
        draw_categories(svg, frame, request.categories, categories);
    }
    svg.line({frame.left, frame.top}, {frame.left, bottom}, {ink, 1.2, {}, 1.0, {}});
    svg.line({frame.left, bottom}, {right, bottom}, {ink, 1.2, {}, 1.0, {}});
    if (!request.x_title.empty()) {
        below += 20.0;
        svg.text({frame.left + frame.width / 2.0, below - 3.0}, request.x_title,
                 {title_size_px, Anchor::middle, false, 0.0, ink});
    }
    if (!request.y_title.empty()) {
        svg.text({18.0, frame.top + frame.height / 2.0}, request.y_title,
                 {title_size_px, Anchor::middle, false, -90.0, ink});
    }
    below += 6.0;
    below += draw_legend(svg, request.legend, 8.0, below, request.width_px - 16.0);
    for (const std::string& note : request.notes) {
        for (const std::string& line : wrap(note, request.width_px - 32.0, tick_size_px)) {
            below += 17.0;
            svg.text({request.width_px / 2.0, below - 4.0}, line,
                     {tick_size_px, Anchor::middle, false, 0.0, soft_ink});
        }
    }
    frame.picture_height = below + 8.0;
    return frame;
}

}  // namespace dunlin::report

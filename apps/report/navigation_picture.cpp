// SPDX-License-Identifier: Apache-2.0
#include "apps/report/navigation_picture.hpp"

#include "apps/report/plot_frame.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin::report {
namespace {

constexpr double margin_px = 14.0;
constexpr double gap_px = 22.0;
constexpr double largest_panel_px = 360.0;
constexpr std::string_view ink = "#222222";
constexpr std::string_view wall_colour = "#3a3a3a";

/// Where the panels of a picture go.
struct Layout {
    std::size_t per_row = 1;
    double panel_px = 0.0;  ///< side of the square that a panel's drawing fits in
    double left = 0.0;
    double top = 0.0;
};

/// Rows of at most `most` panels, as equal as can be.
Layout lay_out(Svg& svg, std::string_view title, std::size_t panels, std::size_t most, double width_px) {
    Layout layout;
    const std::size_t rows = std::max<std::size_t>((panels + most - 1) / most, 1);
    layout.per_row = std::max<std::size_t>((panels + rows - 1) / rows, 1);
    const double count = static_cast<double>(layout.per_row);
    layout.panel_px = std::min((width_px - 2.0 * margin_px - (count - 1.0) * gap_px) / count, largest_panel_px);
    layout.left = (width_px - count * layout.panel_px - (count - 1.0) * gap_px) / 2.0;
    layout.top = margin_px;
    for (const std::string& line : wrap(title, width_px - 2.0 * margin_px, 16.0)) {
        layout.top += 20.0;
        svg.text({width_px / 2.0, layout.top - 4.0}, line, {16.0, Anchor::middle, true, 0.0, ink});
    }
    layout.top += 8.0;
    return layout;
}

/// Title and subtitle, centred over a panel. Returns the height that they take.
double draw_heading(Svg& svg, std::string_view title, std::string_view subtitle, double centre, double top,
                    double width) {
    double y = top;
    for (const auto& [text, bold, size] : {std::tuple{title, true, 14.0}, std::tuple{subtitle, false, 13.0}}) {
        for (const std::string& line : wrap(text, width, size)) {
            y += 18.0;
            svg.text({centre, y - 3.0}, line, {size, Anchor::middle, bold, 0.0, ink});
        }
    }
    return y - top + 6.0;
}

double heading_height(std::string_view title, std::string_view subtitle, double width) {
    return 18.0 * static_cast<double>(wrap(title, width, 14.0).size() + wrap(subtitle, width, 13.0).size()) + 6.0;
}

/// An arrowhead in the middle of a step, pointing along it.
void draw_arrow(Svg& svg, Position from, Position to, double size, std::string_view colour, double opacity) {
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    if (length < 1e-9) return;
    const double ux = (to.x - from.x) / length, uy = (to.y - from.y) / length;
    const Position centre{(from.x + to.x) / 2.0, (from.y + to.y) / 2.0};
    svg.polygon({{centre.x + size * ux, centre.y + size * uy},
                 {centre.x - size * ux - 0.9 * size * uy, centre.y - size * uy + 0.9 * size * ux},
                 {centre.x - size * ux + 0.9 * size * uy, centre.y - size * uy - 0.9 * size * ux}},
                {{}, 0.0, colour, opacity, {}});
}

void draw_star(Svg& svg, Position centre, double radius) {
    svg.polygon(regular_polygon(centre, radius, 5, 0.45), {"#5c4400", 1.2, "#F0C000", 1.0, {}});
}

void draw_pentagon(Svg& svg, Position centre, double radius, std::string_view colour) {
    svg.polygon(regular_polygon(centre, radius, 5), {colour, 1.8, "#ffffff", 1.0, {}});
}

void draw_start(Svg& svg, Position centre, double radius, std::string_view colour) {
    svg.circle(centre, radius, {colour, 1.5, "#ffffff", 1.0, {}});
}

/// A grid map inside a square of `side` pixels, its cells as large as fit.
class GridDrawing {
public:
    GridDrawing(Svg& svg, const NavigationPanel& panel, double left, double top, double side)
        : svg_(svg), panel_(panel) {
        cell_ = side / std::max({panel.rows, panel.columns, 1});
        left_ = left + (side - cell_ * panel.columns) / 2.0;
        top_ = top;
    }

    double height() const { return cell_ * panel_.rows; }

    void draw() {
        draw_map();
        for (std::size_t k = 0; k < panel_.trajectories.size(); ++k) draw_trajectory(k);
        for (const Cell& goal : panel_.goals) {
            if (inside(goal)) draw_star(svg_, at(goal, {}), std::clamp(0.42 * cell_, 7.0, 18.0));
        }
        for (std::size_t k = 0; k < panel_.trajectories.size(); ++k) draw_ends(k);
    }

private:
    bool inside(const Cell& cell) const {
        return cell.row >= 0 && cell.row < panel_.rows && cell.column >= 0 && cell.column < panel_.columns;
    }

    bool is_goal(const Cell& cell) const {
        return std::ranges::any_of(
            panel_.goals, [&](const Cell& goal) { return goal.row == cell.row && goal.column == cell.column; });
    }

    bool is_wall(int row, int column) const {
        const std::size_t index = static_cast<std::size_t>(row) * static_cast<std::size_t>(panel_.columns) +
                                  static_cast<std::size_t>(column);
        return index < panel_.walls.size() && panel_.walls[index];
    }

    bool shows_wall(int first_row, int first_column, int block) const {
        int walls = 0, cells = 0;
        for (int row = first_row; row < std::min(first_row + block, panel_.rows); ++row) {
            for (int column = first_column; column < std::min(first_column + block, panel_.columns); ++column) {
                walls += is_wall(row, column);
                ++cells;
            }
        }
        return 3 * walls >= cells;
    }

    Position at(const Cell& cell, Position offset) const {
        return {left_ + (cell.column + 0.5 + offset.x) * cell_, top_ + (cell.row + 0.5 + offset.y) * cell_};
    }

    /// Each trajectory's own offset in cells, from a low-discrepancy sequence in the plane (Roberts 2018, R2).
    Position offset(std::size_t trajectory) const {
        const double k = static_cast<double>(trajectory) + 1.0;
        return {0.56 * (std::fmod(0.7548777 * k, 1.0) - 0.5), 0.56 * (std::fmod(0.5698403 * k, 1.0) - 0.5)};
    }

    std::vector<Position> positions(std::size_t trajectory) const {
        std::vector<Position> out;
        const Position own = offset(trajectory);
        const Cell* before = nullptr;
        for (const Cell& cell : panel_.trajectories[trajectory].cells) {
            if (!inside(cell)) continue;
            if (before != nullptr && before->row == cell.row && before->column == cell.column) continue;
            out.push_back(at(cell, own));
            before = &cell;
            // What arrived ends in the star: where the reward is dense it would go round it to the horizon.
            if (panel_.trajectories[trajectory].success && is_goal(cell)) {
                out.back() = at(cell, {});
                break;
            }
        }
        return out;
    }

    void draw_map() {
        const double width = cell_ * panel_.columns;
        svg_.box(left_, top_, width, height(), {{}, 0.0, "#ffffff", 1.0, {}});
        if (cell_ >= 9.0) {
            std::string lines;
            for (int row = 1; row < panel_.rows; ++row)
                lines += fmt::format("M{} {}h{}", pixels(left_), pixels(top_ + row * cell_), pixels(width));
            for (int column = 1; column < panel_.columns; ++column)
                lines += fmt::format("M{} {}v{}", pixels(left_ + column * cell_), pixels(top_), pixels(height()));
            if (!lines.empty()) svg_.path(lines, {"#dcdcdc", 1.0, {}, 1.0, {}});
        }
        // One box for each run of walls in a row. Where cells are smaller than a pixel, a block of them is drawn as a wall
        // where a third of it is: thin walls are seen, and a picture stays small, however large the map.
        const int block = std::max(1, static_cast<int>(std::ceil(1.0 / cell_)));
        std::string walls;
        for (int row = 0; row < panel_.rows; row += block) {
            const double tall = std::min(block, panel_.rows - row) * cell_;
            for (int column = 0; column < panel_.columns; column += block) {
                const int begin = column;
                while (column < panel_.columns && shows_wall(row, column, block)) column += block;
                if (column == begin) continue;
                const double wide = (std::min(column, panel_.columns) - begin) * cell_;
                walls += fmt::format("M{} {}h{}v{}H{}z", pixels(left_ + begin * cell_), pixels(top_ + row * cell_),
                                     pixels(wide), pixels(tall), pixels(left_ + begin * cell_));
            }
        }
        if (!walls.empty()) svg_.path(walls, {wall_colour, 0.4, wall_colour, 1.0, {}});
        svg_.box(left_, top_, width, height(), {wall_colour, 1.6, {}, 1.0, {}});
    }

    void draw_trajectory(std::size_t k) {
        const std::vector<Position> line = positions(k);
        const SeriesStyle style = series_style(k);
        const std::string_view dash = panel_.trajectories[k].success ? "" : "4 3";
        const double width = std::clamp(0.06 * cell_, 1.4, 2.6);
        svg_.polyline(line, {style.colour, width, {}, 0.6, dash});
        const std::size_t every = std::max<std::size_t>(1, line.size() / 6);
        for (std::size_t step = 0; step + 1 < line.size() && cell_ >= 10.0; step += every) {
            draw_arrow(svg_, line[step], line[step + 1], std::clamp(0.09 * cell_, 2.5, 4.5), style.colour, 0.75);
        }
    }

    void draw_ends(std::size_t k) {
        const std::vector<Position> line = positions(k);
        if (line.empty()) return;
        const std::string_view colour = series_style(k).colour;
        draw_start(svg_, line.front(), std::clamp(0.1 * cell_, 2.6, 5.0), colour);
        if (!panel_.trajectories[k].success)
            draw_pentagon(svg_, line.back(), std::clamp(0.16 * cell_, 4.0, 8.0), colour);
    }

    Svg& svg_;
    const NavigationPanel& panel_;
    double cell_ = 1.0, left_ = 0.0, top_ = 0.0;
};

bool any_failed(const NavigationPicture& picture) {
    for (const NavigationPanel& panel : picture.panels) {
        for (const Trajectory& trajectory : panel.trajectories) {
            if (!trajectory.success) return true;
        }
    }
    return false;
}

/// The part of the plane that a point picture shows, as a square: twice as wide as the picture's own whatever the paths
/// do, so that pictures before and after training have the same scale.
struct Window {
    double centre = 0.0, half = 1.0;

    bool holds(const Point& point) const {
        return std::abs(point.x - centre) <= half && std::abs(point.y - centre) <= half;
    }
};

Window window_of(const PointPicture& picture) {
    return {(picture.low + picture.high) / 2.0, std::max(picture.high - picture.low, 1e-9)};
}

void draw_point_panel(Svg& svg, const PointPicture& picture, const PointPanel& panel, const Window& window,
                      double left, double top, double side) {
    const auto at = [&](const Point& point) {
        return Position{left + side * (0.5 + (point.x - window.centre) / (2.0 * window.half)),
                        top + side * (0.5 - (point.y - window.centre) / (2.0 * window.half))};
    };
    for (const bool horizontal : {true, false}) {
        const Scale scale =
            make_scale({"", false, {}, {}}, window.centre - window.half, window.centre + window.half, 4, false);
        for (std::size_t k = 0; k < scale.ticks.size(); ++k) {
            const double share = scale.share(scale.ticks[k]);
            if (horizontal) {
                svg.line({left + share * side, top}, {left + share * side, top + side},
                         {"#e8e8e8", 1.0, {}, 1.0, {}});
                svg.text({left + share * side, top + side + 16.0}, scale.labels[k],
                         {12.0, Anchor::middle, false, 0.0, ink});
            } else {
                svg.line({left, top + (1.0 - share) * side}, {left + side, top + (1.0 - share) * side},
                         {"#e8e8e8", 1.0, {}, 1.0, {}});
                svg.text({left - 6.0, top + (1.0 - share) * side + 4.0}, scale.labels[k],
                         {12.0, Anchor::end, false, 0.0, ink});
            }
        }
    }
    const Position corner = at({picture.low, picture.high}), opposite = at({picture.high, picture.low});
    svg.box(corner.x, corner.y, opposite.x - corner.x, opposite.y - corner.y, {"#777777", 1.0, {}, 1.0, "4 3"});
    svg.box(left, top, side, side, {wall_colour, 1.2, {}, 1.0, {}});

    svg.begin_clip(left, top, side, side);
    for (const Disc& disc : panel.obstacles)
        svg.circle(at({disc.x, disc.y}), at({disc.x + disc.radius, disc.y}).x - at({disc.x, disc.y}).x,
                   {{}, 0.0, wall_colour, 1.0, {}});
    for (const PointPath& path : panel.paths) {
        const SeriesStyle style = series_style(path.kind);
        std::vector<Position> line;
        for (const Point& point : path.points) {
            if (std::isfinite(point.x) && std::isfinite(point.y)) line.push_back(at(point));
        }
        svg.polyline(line, {style.colour, 1.3, {}, 0.6, style.dash});
        if (line.size() > 1) {
            const std::size_t middle = line.size() / 2;
            draw_arrow(svg, line[middle - 1], line[middle], 4.0, style.colour, 0.9);
            svg.marker(style.marker, line.back(), 4.4, style.colour);
        }
        if (!line.empty()) {
            draw_start(svg, line.front(), 3.6, ink);
        }
    }
    for (const Point& goal : panel.goals) draw_star(svg, at(goal), 10.0);
    svg.end_clip();
}

}  // namespace

std::string navigation_picture(const NavigationPicture& picture) {
    Svg svg;
    const Layout layout = lay_out(svg, picture.title, picture.panels.size(), 4, picture.width_px);
    double top = layout.top;
    for (std::size_t begin = 0; begin < picture.panels.size(); begin += layout.per_row) {
        const std::size_t end = std::min(begin + layout.per_row, picture.panels.size());
        double heading = 0.0, tallest = 0.0;
        for (std::size_t k = begin; k < end; ++k) {
            heading = std::max(
                heading, heading_height(picture.panels[k].title, picture.panels[k].subtitle, layout.panel_px));
        }
        for (std::size_t k = begin; k < end; ++k) {
            const NavigationPanel& panel = picture.panels[k];
            const double left = layout.left + static_cast<double>(k - begin) * (layout.panel_px + gap_px);
            const double own = heading_height(panel.title, panel.subtitle, layout.panel_px);
            draw_heading(svg, panel.title, panel.subtitle, left + layout.panel_px / 2.0, top + heading - own,
                         layout.panel_px);
            GridDrawing drawing(svg, panel, left, top + heading, layout.panel_px);
            drawing.draw();
            tallest = std::max(tallest, drawing.height());
        }
        top += heading + tallest + 12.0;
    }
    using Kind = LegendEntry::Sample;
    std::vector<LegendEntry> legend{
        {"goal", Kind::goal}, {"start", Kind::start}, {"reached the goal: drawn until then", Kind::path}};
    if (any_failed(picture)) {
        legend.push_back({"did not reach it", Kind::failed_path});
        legend.push_back({"end of a failed trajectory", Kind::failure});
    }
    legend.push_back({"wall", Kind::wall});
    top += draw_legend(svg, legend, margin_px, top, picture.width_px - 2.0 * margin_px);
    return svg.finish(picture.width_px, top + 8.0, picture.title);
}

std::string point_picture(const PointPicture& picture) {
    Svg svg;
    const Layout layout = lay_out(svg, picture.title, picture.panels.size(), 3, picture.width_px);
    constexpr double axis_px = 34.0;  // for the numbers left of a panel
    const Window window = window_of(picture);
    const double side = layout.panel_px - axis_px;
    double top = layout.top;
    bool cut = false;
    for (std::size_t begin = 0; begin < picture.panels.size(); begin += layout.per_row) {
        const std::size_t end = std::min(begin + layout.per_row, picture.panels.size());
        double heading = 0.0;
        for (std::size_t k = begin; k < end; ++k) {
            heading = std::max(heading, heading_height(picture.panels[k].title, picture.panels[k].subtitle, side));
        }
        for (std::size_t k = begin; k < end; ++k) {
            const PointPanel& panel = picture.panels[k];
            const double left = layout.left + static_cast<double>(k - begin) * (layout.panel_px + gap_px) + axis_px;
            draw_heading(svg, panel.title, panel.subtitle, left + side / 2.0, top, side);
            draw_point_panel(svg, picture, panel, window, left, top + heading, side);
            for (const PointPath& path : panel.paths)
                cut = cut || !std::ranges::all_of(path.points, [&](const Point& p) { return window.holds(p); });
        }
        top += heading + side + 28.0;
    }
    using Kind = LegendEntry::Sample;
    std::vector<LegendEntry> legend{{"goal", Kind::goal}, {"start", Kind::start}};
    if (std::ranges::any_of(picture.panels, [](const PointPanel& panel) { return !panel.obstacles.empty(); }))
        legend.push_back({"obstacle", Kind::wall});
    for (std::size_t k = 0; k < picture.kinds.size(); ++k)
        legend.push_back({picture.kinds[k] + (cut ? ", cut at the frame" : ""), Kind::line, k, true});
    top += draw_legend(svg, legend, margin_px, top, picture.width_px - 2.0 * margin_px);
    return svg.finish(picture.width_px, top + 8.0, picture.title);
}

}  // namespace dunlin::report

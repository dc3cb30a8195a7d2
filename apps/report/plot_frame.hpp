// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/axis.hpp"
#include "apps/report/svg.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace dunlin::report {

/// How strongly bands are drawn, in plots and in their legends.
constexpr double band_opacity = 0.2;

/// One entry of a legend: a small sample of what is drawn, and its name.
struct LegendEntry {
    enum class Sample { line, points, bar, area, reference, band, start, goal, failure, wall, path, failed_path };
    std::string name;
    Sample sample = Sample::line;
    std::size_t style = 0;  ///< the series whose style the sample has
    bool dashed = false;    ///< lines: with the series' dash pattern
    std::size_t bands = 1;  ///< bands: how many series have one, from `style` on
};

/// Draws the legend's rows, centred in [left, left + width] and wrapped, below `top`. Returns their height.
double draw_legend(Svg& svg, const std::vector<LegendEntry>& entries, double left, double top, double width);

/// What surrounds the data of a plot.
struct FrameRequest {
    std::string title;
    std::string x_title;
    std::string y_title;
    Scale x;
    Scale y;
    std::vector<std::string>
        categories;  ///< when there are some, they stand under equal slots in place of x's ticks
    std::vector<LegendEntry> legend;
    std::vector<std::string> notes{};  ///< what to know of the picture, a line each, below the legend
    double width_px = 700.0;
    double plot_height_px = 300.0;
    double right_margin_px = 20.0;
};

/// Where the data go.
struct Frame {
    double left = 0.0, top = 0.0, width = 0.0, height = 0.0;
    double picture_height = 0.0;  ///< of all, with the legend
    Scale x, y;

    Position at(double x_value, double y_value) const {
        return {left + x.share(x_value) * width, top + (1.0 - y.share(y_value)) * height};
    }
};

/// What a plot that shows [low, high] alone says of the groups that reach beyond it: "beyond the axis: scratch down
/// to −6.0k". The groups are those that `focus` was asked about.
std::string beyond_note(const std::vector<std::string>& names, const std::vector<std::vector<double>>& groups,
                        double low, double high);

/// Draws title, axes, grid and legend. The legend lies below the plot, where no data can be.
Frame draw_frame(Svg& svg, const FrameRequest& request);

}  // namespace dunlin::report

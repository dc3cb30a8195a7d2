// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/axis.hpp"

#include <optional>
#include <string>
#include <vector>

/// Plots as SVG text, for run directories and reports. Pure functions: the same data give the same bytes. Values
/// that are not finite leave a gap; empty data give empty axes that say so; nothing here can fail.
namespace dunlin::report {

/// Points (x[k], y[k]) in the order in which they are joined; the shorter of the two vectors counts.
struct Series {
    std::string name;
    std::vector<double> x;
    std::vector<double> y;
    std::vector<double> low{};          ///< lower edge of the band at x[k]; empty for no band
    std::vector<double> high{};         ///< upper edge
    std::optional<double> reference{};  ///< a dashed horizontal line, such as the optimum
    bool joined = true;                 ///< false: markers alone, a scatter plot
};

struct LineChart {
    std::string title;
    Axis x;
    Axis y;
    std::vector<Series> series;
    std::string band_name{};       ///< what the bands show: "range over 10 seeds"
    std::string reference_name{};  ///< what the dashed lines show: "optimum"
    double width_px = 700.0;
    double plot_height_px = 300.0;
};

/// Lines, bands, references and scatter in one picture. A reference line repeats its series' marker at the right
/// edge. Thousands of points are thinned to the extremes of each pixel column.
std::string line_chart(const LineChart& chart);

/// One kind of bar, a value for each category.
struct BarSeries {
    std::string name;
    std::vector<double> values;
    std::vector<double> low{};                  ///< lower end of the error bar; empty for none
    std::vector<double> high{};                 ///< upper end
    std::vector<std::vector<double>> points{};  ///< single results behind a value, drawn as dots; empty for none
};

struct BarChart {
    std::string title;
    std::string category_title{};
    Axis y;  ///< includes zero unless it is logarithmic or has limits
    std::vector<std::string> categories;
    std::vector<BarSeries> series;
    std::string error_name{};           ///< what the error bars show: "standard deviation over seeds"
    std::optional<double> reference{};  ///< a dashed horizontal line
    std::string reference_name{};
    double width_px = 700.0;
    double plot_height_px = 300.0;
};

/// Grouped bars with error bars, the value written above each bar where there is room.
std::string bar_chart(const BarChart& chart);

/// Observations, or with `weights` each value counted so many times.
struct Sample {
    std::string name;
    std::vector<double> values;
    std::vector<double> weights{};
};

struct Histogram {
    std::string title;
    Axis x;
    std::vector<Sample> samples;
    int bins = 0;              ///< 0: whole numbers each have a bin while they are few, else 30 bins
    bool logarithmic = false;  ///< the axis of shares
    double width_px = 700.0;
    double plot_height_px = 300.0;
};

/// The share of each sample in each bin, as outlines over one another.
std::string histogram(const Histogram& chart);

}  // namespace dunlin::report

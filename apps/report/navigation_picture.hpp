// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// Pictures of where an agent went, as SVG text: MEMRL's Figure 1. Pure functions; the same input gives the same
/// bytes.
namespace dunlin::report {

struct Cell {
    int row = 0;  ///< from the top
    int column = 0;
};

/// The cells that an agent visited, its start first.
struct Trajectory {
    std::vector<Cell> cells;
    bool success = false;  ///< drawn until it reaches a goal; else a pentagon stands at its end
};

/// One task's map.
struct NavigationPanel {
    std::string title;
    std::string subtitle{};  ///< such as "return 0.81 of 0.93"
    int rows = 0;
    int columns = 0;
    std::vector<bool> walls{};  ///< row-major; what is missing is free
    std::vector<Cell> goals{};
    std::vector<Trajectory> trajectories{};
};

struct NavigationPicture {
    std::string title;
    std::vector<NavigationPanel> panels;
    double width_px = 960.0;
};

/// The panels side by side, at most four in a row, with a legend below. Each trajectory is drawn through its cells'
/// centres with a small offset of its own, so that equal ones stay visible. Cells outside the map are left out.
std::string navigation_picture(const NavigationPicture& picture);

struct Point {
    double x = 0.0;
    double y = 0.0;  ///< upwards
};

struct PointPath {
    std::vector<Point> points;
    std::size_t kind = 0;  ///< index into PointPicture::kinds, which gives its colour
};

struct Disc {
    double x = 0.0, y = 0.0, radius = 0.0;
};

struct PointPanel {
    std::string title;
    std::string subtitle{};
    std::vector<Point> goals{};
    std::vector<Disc> obstacles{};
    std::vector<PointPath> paths{};
};

struct PointPicture {
    std::string title;
    std::vector<PointPanel> panels;
    std::vector<std::string> kinds{};  ///< such as "before adaptation", "after 3 steps"
    double low = -0.5;                 ///< the square that the goals come from, drawn dashed
    double high = 0.5;
    double width_px = 960.0;
};

/// Paths in the plane, in every panel and picture to the scale of a square twice as wide as the goals'; a path that
/// leaves it is cut, which the legend says. In the plane nothing fails: how near a path ends to its goal is seen.
std::string point_picture(const PointPicture& picture);

}  // namespace dunlin::report

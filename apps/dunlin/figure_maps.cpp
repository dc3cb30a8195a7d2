// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/figures.hpp"
#include "apps/report/navigation_picture.hpp"

#include <cmath>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

std::string outcome_text(const TaskOutcome& outcome) {
    if (std::isnan(outcome.optimal_return)) return fmt::format("return {:.1f}", outcome.expected_return);
    return fmt::format("return {:.2f} of {:.2f} ({:.0f} %)", outcome.expected_return, outcome.optimal_return,
                       100 * outcome.ratio());
}

}  // namespace

std::string svg_of(const FigureMap& map) {
    if (!map.grid) {
        report::PointPicture picture{.title = map.title, .panels = {}, .kinds = {"after adaptation"}};
        for (const TaskRecord& record : map.records) {
            report::PointPanel panel{
                record.name, outcome_text(record.outcome), {{record.goal[0], record.goal[1]}}, {}, {}};
            for (const auto& [x, y, radius] : record.discs) panel.obstacles.push_back({x, y, radius});
            for (const RecordedTrajectory& trajectory : record.trajectories) {
                report::PointPath path;
                for (const auto& position : trajectory.positions) path.points.push_back({position[0], position[1]});
                panel.paths.push_back(std::move(path));
            }
            picture.panels.push_back(std::move(panel));
        }
        return report::point_picture(picture);
    }
    report::NavigationPicture picture{.title = map.title, .panels = {}};
    const auto cell = [](const std::array<double, 2>& position) {
        return report::Cell{static_cast<int>(position[0]), static_cast<int>(position[1])};
    };
    for (const TaskRecord& record : map.records) {
        report::NavigationPanel panel{.title = record.name,
                                      .subtitle = outcome_text(record.outcome),
                                      .rows = record.rows,
                                      .columns = record.columns,
                                      .walls = record.walls,
                                      .goals = {cell(record.goal)},
                                      .trajectories = {}};
        for (const RecordedTrajectory& trajectory : record.trajectories) {
            report::Trajectory path{{}, trajectory.success};
            for (const auto& position : trajectory.positions) path.cells.push_back(cell(position));
            panel.trajectories.push_back(std::move(path));
        }
        picture.panels.push_back(std::move(panel));
    }
    return report::navigation_picture(picture);
}

}  // namespace dunlin::app

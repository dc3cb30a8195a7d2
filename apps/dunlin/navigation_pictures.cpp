// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/navigation_report.hpp"
#include "apps/report/navigation_picture.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

std::string outcome_text(const TaskOutcome& outcome) {
    if (std::isnan(outcome.optimal_return)) return fmt::format("return {:.1f}", outcome.expected_return);
    return fmt::format("return {:.2f} of {:.2f} ({:.0f} %)", outcome.expected_return, outcome.optimal_return,
                       100 * outcome.ratio());
}

bool exact(const NavigationResult& result) {
    return result.settings.world == World::grid;
}

/// What held-out tasks are judged by: success where the reward is dense and hides failure.
std::string held_out_measure(const NavigationResult& result) {
    if (!exact(result)) return "return, sum over the horizon";
    return result.settings.reward == Reward::dense ? "success" : "return as a share of the optimum";
}
double held_out_value(const NavigationResult& result, const TaskOutcome& task) {
    if (!exact(result)) return task.expected_return;
    return result.settings.reward == Reward::dense ? task.success : task.ratio();
}

}  // namespace

std::string shares_svg(const NavigationResult& result) {
    if (!exact(result)) return {};
    report::LineChart chart;
    chart.title = "Return after adaptation as a share of the optimum, exact";
    chart.x.title = "meta-iteration";
    chart.x.whole = true;
    chart.y.title = "share of the optimum";
    for (std::size_t task = 0; task < std::min<std::size_t>(result.task_names.size(), 8); ++task) {
        report::Series series{.name = result.task_names[task], .x = {}, .y = {}};
        for (const MetricsRow& row : result.history) {
            series.x.push_back(static_cast<double>(row.iteration));
            series.y.push_back(row.tasks[task].ratio());
        }
        chart.series.push_back(std::move(series));
    }
    return report::line_chart(chart);
}

std::string trajectories_svg(const std::vector<TaskRecord>& records, const std::string& title, bool grid) {
    if (!grid) {
        report::PointPicture picture{.title = title, .panels = {}, .kinds = {"after adaptation"}};
        for (const TaskRecord& record : records) {
            report::PointPanel panel{
                record.name, outcome_text(record.outcome), {{record.goal[0], record.goal[1]}}, {}};
            for (const RecordedTrajectory& trajectory : record.trajectories) {
                report::PointPath path;
                for (const auto& position : trajectory.positions) path.points.push_back({position[0], position[1]});
                panel.paths.push_back(std::move(path));
            }
            picture.panels.push_back(std::move(panel));
        }
        return report::point_picture(picture);
    }
    report::NavigationPicture picture{.title = title, .panels = {}};
    const auto cell = [](const std::array<double, 2>& position) {
        return report::Cell{static_cast<int>(position[0]), static_cast<int>(position[1])};
    };
    for (const TaskRecord& record : records) {
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

std::string returns_svg(const NavigationResult& result) {
    report::LineChart chart{.title = "Return after adaptation",
                            .x = {.title = "meta-iteration", .whole = true},
                            .y = {exact(result) ? "discounted return, exact" : "return, sum over the horizon"},
                            .series = {},
                            .reference_name = "optimum"};
    const std::size_t shown = std::min<std::size_t>(result.task_names.size(), 8);
    for (std::size_t task = 0; task < shown; ++task) {
        report::Series series{.name = result.task_names[task], .x = {}, .y = {}};
        for (const MetricsRow& row : result.history) {
            series.x.push_back(static_cast<double>(row.iteration));
            series.y.push_back(exact(result) ? row.tasks[task].expected_return : row.tasks[task].sampled_return);
        }
        if (exact(result) && !result.tasks.empty()) series.reference = result.tasks[task].optimal_return;
        chart.series.push_back(std::move(series));
    }
    return report::line_chart(chart);
}

std::string held_out_svg(const NavigationResult& result) {
    if (result.held_out.empty()) return {};
    const auto series_of = [&](const char* name, const std::vector<std::vector<TaskOutcome>>& outcomes) {
        report::Series series{.name = name, .x = {}, .y = {}};
        for (std::size_t k = 0; k < outcomes.front().size(); ++k) {
            double sum = 0, low = INFINITY, high = -INFINITY;
            for (const auto& task : outcomes) {
                const double value = held_out_value(result, task[k]);
                sum += value;
                low = std::min(low, value);
                high = std::max(high, value);
            }
            series.x.push_back(static_cast<double>(k));
            series.y.push_back(sum / static_cast<double>(outcomes.size()));
            series.low.push_back(low);
            series.high.push_back(high);
        }
        return series;
    };
    report::LineChart chart{.title = "Adaptation to tasks that were never seen",
                            .x = {.title = "inner steps", .whole = true},
                            .y = {held_out_measure(result)},
                            .series = {series_of("meta-policy", result.held_out)},
                            .band_name = fmt::format("range over {} tasks", result.held_out.size()),
                            .reference_name = "one policy for all, without adaptation"};
    if (!result.held_out_untrained.empty())
        chart.series.push_back(series_of("untrained policy", result.held_out_untrained));
    if (!result.held_out_single.empty()) {
        double sum = 0;
        for (const TaskOutcome& task : result.held_out_single) sum += held_out_value(result, task);
        chart.series.front().reference = sum / static_cast<double>(result.held_out_single.size());
    }
    return report::line_chart(chart);
}

std::string held_out_curve_svg(const NavigationResult& result) {
    if (result.held_out_names.empty() || result.history.size() < 2) return {};
    report::Series series{.name = "held-out tasks", .x = {}, .y = {}};
    for (const MetricsRow& row : result.history) {
        const double value = !exact(result)                            ? row.held_out.expected_return
                             : result.settings.reward == Reward::dense ? row.held_out.success
                                                                       : row.held_out.ratio;
        if (!std::isfinite(value)) continue;  // a part of the run by an older program
        series.x.push_back(static_cast<double>(row.environment_steps));
        series.y.push_back(value);
    }
    if (series.x.size() < 2) return {};
    return report::line_chart(
        {.title = fmt::format("Mean of {} held-out tasks after {} inner steps, while the meta-policy learns",
                              result.held_out_names.size(), result.settings.adaptation_steps),
         .x = {.title = "environment steps of training", .whole = true},
         .y = {held_out_measure(result)},
         .series = {series}});
}

}  // namespace dunlin::app

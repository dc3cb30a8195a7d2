// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/navigation_report.hpp"

#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/navigation_picture.hpp"
#include "apps/report/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

std::string outcome_text(const TaskOutcome& outcome) {
    if (std::isnan(outcome.optimal_return)) return fmt::format("return {:.1f}", outcome.expected_return);
    return fmt::format("return {:.2f} of {:.2f} ({:.0f} %)", outcome.expected_return, outcome.optimal_return,
                       100 * outcome.ratio());
}

nlohmann::ordered_json number_or_null(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

nlohmann::ordered_json task_json(const std::string& name, const TaskOutcome& outcome) {
    return {{"name", name},
            {"return", number_or_null(outcome.expected_return)},
            {"optimal_return", number_or_null(outcome.optimal_return)},
            {"return_ratio", number_or_null(outcome.ratio())},
            {"success", number_or_null(outcome.success)},
            {"sampled_return", number_or_null(outcome.sampled_return)}};
}

bool exact(const NavigationResult& result) {
    return result.settings.world == World::grid;
}

/// The exact returns behind returns_svg, as shares of the optimum. Empty in the point world.
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

std::string method_name(MetaMethod method) {
    switch (method) {
        case MetaMethod::memrl:
            return "MEMRL";
        case MetaMethod::maml:
            return "MAML-RL";
        case MetaMethod::fomaml:
            return "first-order MAML-RL";
        case MetaMethod::reptile:
            return "Reptile";
        default:
            return "no meta-learning";
    }
}

}  // namespace

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
    report::Series series{.name = "held-out tasks", .x = {}, .y = {}};
    for (std::size_t k = 0; k < result.held_out.front().size(); ++k) {
        double sum = 0, low = INFINITY, high = -INFINITY;
        for (const auto& task : result.held_out) {
            const double value = exact(result) ? task[k].ratio() : task[k].expected_return;
            sum += value;
            low = std::min(low, value);
            high = std::max(high, value);
        }
        series.x.push_back(static_cast<double>(k));
        series.y.push_back(sum / static_cast<double>(result.held_out.size()));
        series.low.push_back(low);
        series.high.push_back(high);
    }
    return report::line_chart(
        {.title = "Adaptation to tasks that were never seen",
         .x = {.title = "inner steps", .whole = true},
         .y = {exact(result) ? "return as a share of the optimum" : "return, sum over the horizon"},
         .series = {series},
         .band_name = fmt::format("range over {} tasks", result.held_out.size())});
}

report::Table task_table(const NavigationResult& result) {
    report::Table table{{"task", "return"}, {}, ""};
    if (exact(result)) table.header.insert(table.header.end(), {"optimum", "share", "success"});
    for (std::size_t task = 0; task < result.tasks.size(); ++task) {
        const TaskOutcome& outcome = result.tasks[task];
        std::vector<std::string> row{result.task_names[task], fmt::format("{:.3f}", outcome.expected_return)};
        if (exact(result)) {
            for (double value : {outcome.optimal_return, outcome.ratio(), outcome.success})
                row.push_back(fmt::format("{:.3f}", value));
        }
        table.rows.push_back(std::move(row));
    }
    return table;
}

report::Table worst_tasks(const NavigationResult& result) {
    constexpr std::size_t all_up_to = 24, shown = 10;
    report::Table table = task_table(result);
    if (table.rows.size() <= all_up_to) return table;
    std::vector<std::size_t> order(table.rows.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::stable_sort(order, {}, [&](std::size_t task) {
        const TaskOutcome& outcome = result.tasks[task];
        return exact(result) ? outcome.ratio() : outcome.expected_return;
    });
    double sum = 0;
    for (const TaskOutcome& outcome : result.tasks) sum += outcome.expected_return;
    std::vector<std::vector<std::string>> rows;
    for (std::size_t k = 0; k < shown; ++k) rows.push_back(table.rows[order[k]]);
    rows.push_back({fmt::format("mean of all {}", order.size()),
                    fmt::format("{:.3f}", sum / static_cast<double>(order.size()))});
    table.rows = std::move(rows);
    return table;
}

std::string report_html(const NavigationResult& result, const std::string& config, const std::string& command,
                        const std::string& start_svg, const std::string& end_svg) {
    const NavigationSettings& settings = result.settings;
    report::HtmlReport page;
    page.title = settings.experiment;
    page.subtitle = fmt::format("{}, seed {}, {} of {} meta-iterations, {} kernels, policy evaluated per {}",
                                method_name(settings.meta.method), settings.seed, result.iteration,
                                settings.iterations, result.kernels, result.evaluates_per_state ? "state" : "step");
    const auto worst = std::ranges::min_element(
        result.tasks, {},
        exact(result) ? [](const TaskOutcome& t) { return t.ratio(); }
                      : [](const TaskOutcome& t) { return t.expected_return; });
    if (worst != result.tasks.end()) {
        page.key_numbers.push_back(
            exact(result)
                ? report::KeyNumber{fmt::format("{:.3f}", worst->ratio()), "of the optimum, worst task",
                                    worst->ratio() < 0.9}
                : report::KeyNumber{fmt::format("{:.1f}", worst->expected_return), "return, worst training task"});
    }
    page.key_numbers.push_back({count_text(static_cast<double>(result.environment_steps)), "environment steps"});
    page.key_numbers.push_back({count_text(result.steps_per_second()), "steps per second"});
    page.key_numbers.push_back({fmt::format("{:.2f} s", result.seconds), "training time"});
    if (!result.complete)
        page.warnings.push_back(
            fmt::format("The run was interrupted after iteration {}; the numbers are those of iteration {}.",
                        result.iteration, result.evaluated_iteration));
    if (exact(result)) {
        for (const TaskOutcome& task : result.tasks) {
            if (task.success < 0.5 && settings.reward == Reward::sparse) {
                page.warnings.push_back(
                    "A task is not solved: its adapted policy reaches the goal in fewer than half of its "
                    "trajectories.");
                break;
            }
        }
    }
    report::Section tasks{
        .heading = "Training tasks",
        .paragraphs = {fmt::format("Each task after a fresh adaptation of {} inner steps from the meta-policy.{}",
                                   result.settings.meta.adaptation().step_limit,
                                   exact(result) ? " Returns are exact, by dynamic programming." : "")},
        .figures = {{returns_svg(result), "Return after adaptation, while the meta-policy learns."}},
        .tables = {task_table(result)}};
    if (const std::string shares = shares_svg(result); !shares.empty())
        tasks.figures.push_back({shares, "The same as a share of each task's optimum."});
    page.sections.push_back(std::move(tasks));
    report::Section trajectories{
        .heading = "Trajectories",
        .paragraphs = {"Adapted policies before and after meta-training, to the same scale."}};
    if (!start_svg.empty()) trajectories.figures.push_back({start_svg, "Before meta-training."});
    if (!end_svg.empty()) trajectories.figures.push_back({end_svg, "After meta-training."});
    if (!trajectories.figures.empty()) page.sections.push_back(std::move(trajectories));
    if (!result.held_out.empty()) {
        page.sections.push_back(
            {.heading = "Tasks that were never seen",
             .paragraphs = {},
             .figures = {{held_out_svg(result), "Each held-out task after 0, 1, 2, ... inner steps."}}});
    }
    page.settings = config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string summary_json(const NavigationResult& result) {
    const auto method = [&] {
        NavigationSettings copy = result.settings;
        const std::string quoted = navigation_settings(copy).value("rl.method");
        return quoted.substr(1, quoted.size() - 2);
    };
    nlohmann::ordered_json json{{"experiment", result.settings.experiment},
                                {"method", method()},
                                {"seed", result.settings.seed},
                                {"complete", result.complete},
                                {"evaluated_iteration", result.evaluated_iteration},
                                {"evaluation_interval", result.evaluation_interval},
                                {"iterations", result.iteration},
                                {"env_steps", result.environment_steps},
                                {"task_gradients", result.gradients},
                                {"seconds", result.seconds},
                                {"env_steps_per_second", result.steps_per_second()},
                                {"kernels", result.kernels},
                                {"evaluation", result.evaluates_per_state ? "per-state" : "per-step"},
                                {"threads", result.threads},
                                {"distinct_tasks", result.distinct_tasks},
                                {"tasks", nlohmann::ordered_json::array()}};
    for (std::size_t task = 0; task < result.tasks.size(); ++task) {
        json["tasks"].push_back(task_json(result.task_names[task], result.tasks[task]));
    }
    if (!result.held_out.empty()) {
        nlohmann::ordered_json tasks = nlohmann::ordered_json::array();
        for (std::size_t task = 0; task < result.held_out.size(); ++task) {
            nlohmann::ordered_json entry = task_json(result.held_out_names[task], result.held_out[task].back());
            nlohmann::ordered_json returns = nlohmann::ordered_json::array(), success = returns;
            for (const TaskOutcome& step : result.held_out[task]) {
                returns.push_back(number_or_null(step.expected_return));
                success.push_back(number_or_null(step.success));
            }
            entry["return_by_inner_step"] = returns;
            entry["success_by_inner_step"] = success;
            tasks.push_back(entry);
        }
        json["held_out"] = {{"distinct_tasks", result.distinct_held_out}, {"tasks", tasks}};
    }
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

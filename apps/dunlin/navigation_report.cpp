// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/navigation_report.hpp"

#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/navigation_baselines.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

nlohmann::ordered_json task_json(const std::string& name, const TaskOutcome& outcome) {
    return {{"name", name},
            {"return", number_or_null(outcome.expected_return)},
            {"optimal_return", number_or_null(outcome.optimal_return)},
            {"return_ratio", number_or_null(outcome.ratio())},
            {"success", number_or_null(outcome.success)},
            {"sampled_return", number_or_null(outcome.sampled_return)}};
}

const TaskOutcome* at(const std::vector<TaskOutcome>& outcomes, std::size_t task) {
    return task < outcomes.size() ? &outcomes[task] : nullptr;
}

bool exact(const NavigationResult& result) {
    return result.settings.world == World::grid;
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

report::Table task_table(const NavigationResult& result) {
    const auto text = [](double value) { return std::isfinite(value) ? fmt::format("{:.3f}", value) : "–"; };
    const bool baselines = result.untrained.size() == result.tasks.size() && !result.tasks.empty();
    const bool single = result.single_policy.size() == result.tasks.size() && !result.tasks.empty();
    // Where the reward is dense, a share of the optimum is earned by standing near: success comes first.
    const bool success_first = result.settings.reward == Reward::dense;
    report::Table table{{"task"}, {}, ""};
    const auto column = [&](const char* name, auto&& value) {
        table.header.emplace_back(name);
        for (std::size_t task = 0; task < result.tasks.size(); ++task)
            table.rows[task].push_back(text(value(task)));
    };
    for (std::size_t task = 0; task < result.tasks.size(); ++task) table.rows.push_back({result.task_names[task]});
    const auto& tasks = result.tasks;
    if (!exact(result)) {
        column("return", [&](std::size_t k) { return tasks[k].expected_return; });
        if (baselines) column("untrained", [&](std::size_t k) { return result.untrained[k].expected_return; });
        if (single) column("one policy", [&](std::size_t k) { return result.single_policy[k].expected_return; });
        return table;
    }
    if (success_first) {
        column("success", [&](std::size_t k) { return tasks[k].success; });
        if (baselines) column("untrained success", [&](std::size_t k) { return result.untrained[k].success; });
    }
    column("return", [&](std::size_t k) { return tasks[k].expected_return; });
    column("optimum", [&](std::size_t k) { return tasks[k].optimal_return; });
    column("share", [&](std::size_t k) { return tasks[k].ratio(); });
    if (!success_first) column("success", [&](std::size_t k) { return tasks[k].success; });
    if (baselines) {
        column("untrained", [&](std::size_t k) { return result.untrained[k].ratio(); });
        column("gain", [&](std::size_t k) { return normalised_gain(tasks[k], result.untrained[k]); });
    }
    if (single) column("one policy", [&](std::size_t k) { return result.single_policy[k].ratio(); });
    return table;
}

std::string baselines_text(const NavigationResult& result) {
    if (result.untrained.empty()) return {};
    std::string text = "\"untrained\" is the policy that training began with under the same adaptation";
    if (exact(result)) text += ", \"gain\" is (J - J0) / (J* - J0), J0 being its return";
    if (!result.single_policy.empty())
        text += "; \"one policy\" is the best that was found for all training tasks without adaptation";
    else
        text += "; a best single policy without adaptation was not looked for: the map is too large for that";
    return text + ".";
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
    std::vector<std::vector<std::string>> rows;
    for (std::size_t k = 0; k < shown; ++k) rows.push_back(table.rows[order[k]]);
    rows.push_back({fmt::format("mean of all {}", order.size())});
    for (std::size_t column = 1; column < table.header.size(); ++column) {
        double sum = 0;
        int count = 0;
        for (const auto& row : table.rows) {
            if (row[column] == "–") continue;
            sum += std::stod(row[column]);
            ++count;
        }
        rows.back().push_back(count > 0 ? fmt::format("{:.3f}", sum / count) : "–");
    }
    table.rows = std::move(rows);
    return table;
}

std::string held_out_text(const NavigationResult& result) {
    if (result.held_out.empty()) return {};
    const TaskMeans mine = means(last_of_each(result.held_out)),
                    base = means(last_of_each(result.held_out_untrained)), one = means(result.held_out_single);
    const auto three = [&](const char* what, double TaskMeans::*value, int digits) {
        std::string text = fmt::format("{} {:.{}f}", what, mine.*value, digits);
        if (std::isfinite(base.*value)) text += fmt::format(" (untrained {:.{}f}", base.*value, digits);
        if (std::isfinite(one.*value))
            text += fmt::format("{}one policy without adaptation {:.{}f}", std::isfinite(base.*value) ? ", " : " (",
                                one.*value, digits);
        return std::isfinite(base.*value) || std::isfinite(one.*value) ? text + ")" : text;
    };
    const std::size_t tasks = result.held_out.size();
    std::string text = fmt::format("{} held-out tasks{} after {} inner steps: ", tasks,
                                   static_cast<std::size_t>(result.distinct_held_out) == tasks
                                       ? ""
                                       : fmt::format(", {} different ones,", result.distinct_held_out),
                                   result.held_out.front().size() - 1);
    if (!exact(result)) return text + three("return", &TaskMeans::expected_return, 2);
    return text + three("success", &TaskMeans::success, 3) + ", " +
           three("share of the optimum", &TaskMeans::ratio, 3);
}

std::string report_html(const NavigationResult& result, const std::string& config, const std::string& command,
                        const std::string& start_svg, const std::string& end_svg) {
    const NavigationSettings& settings = result.settings;
    report::HtmlReport page;
    page.title = settings.experiment;
    const std::string length = settings.environment_steps > 0 ? "" : fmt::format(" of {}", settings.iterations);
    page.subtitle = fmt::format("{}, seed {}, {}{} meta-iterations, {} kernels, policy evaluated per {}",
                                method_name(settings.meta.method), settings.seed, result.iteration, length,
                                result.kernels, result.evaluates_per_state ? "state" : "step");
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
    for (const std::string& harm : harms(result)) {
        page.warnings.push_back(harm + ".");
        page.warnings.back()[0] = 'M';
    }
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
    if (const std::string text = baselines_text(result); !text.empty()) {
        tasks.paragraphs.push_back(text);
        tasks.paragraphs.back()[0] = '"';
    }
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
        report::Section unseen{.heading = "Tasks that were never seen",
                               .paragraphs = {held_out_text(result)},
                               .figures = {{held_out_svg(result),
                                            "Held-out tasks after 0, 1, 2, ... inner steps, from the meta-policy "
                                            "and from the policy that training began with."}}};
        if (const std::string curve = held_out_curve_svg(result); !curve.empty())
            unseen.figures.push_back({curve, ""});
        page.sections.push_back(std::move(unseen));
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
                                {"inner_steps", result.settings.meta.adaptation().step_limit},
                                {"trajectories", result.settings.rollout.trajectories},
                                {"adaptation_env_steps", result.adaptation_environment_steps},
                                {"seconds", result.seconds},
                                {"env_steps_per_second", result.steps_per_second()},
                                {"kernels", result.kernels},
                                {"evaluation", result.evaluates_per_state ? "per-state" : "per-step"},
                                {"threads", result.threads},
                                {"distinct_tasks", result.distinct_tasks},
                                {"tasks", nlohmann::ordered_json::array()}};
    for (std::size_t task = 0; task < result.tasks.size(); ++task) {
        nlohmann::ordered_json entry = task_json(result.task_names[task], result.tasks[task]);
        add_baselines(entry, result.tasks[task], at(result.untrained, task), at(result.single_policy, task));
        json["tasks"].push_back(std::move(entry));
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
            const std::vector<TaskOutcome> untrained = last_of_each(result.held_out_untrained);
            add_baselines(entry, result.held_out[task].back(), at(untrained, task),
                          at(result.held_out_single, task));
            tasks.push_back(entry);
        }
        const TaskMeans mine = means(last_of_each(result.held_out)),
                        base = means(last_of_each(result.held_out_untrained)), one = means(result.held_out_single);
        json["held_out"] = {{"distinct_tasks", result.distinct_held_out},
                            {"success", number_or_null(mine.success)},
                            {"untrained_success", number_or_null(base.success)},
                            {"single_policy_success", number_or_null(one.success)},
                            {"return_ratio", number_or_null(mine.ratio)},
                            {"untrained_return_ratio", number_or_null(base.ratio)},
                            {"single_policy_return_ratio", number_or_null(one.ratio)},
                            {"return", number_or_null(mine.expected_return)},
                            {"untrained_return", number_or_null(base.expected_return)},
                            {"single_policy_return", number_or_null(one.expected_return)},
                            {"tasks", tasks}};
    }
    json["harms"] = harms(result);
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app

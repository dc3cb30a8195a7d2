// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/navigation_run.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

Outcome<NavigationSettings> settings_of(const TrainRequest& request) {
    NavigationSettings settings;
    Settings list = navigation_settings(settings);
    if (Outcome<void> applied = request.apply(list, "rl.method"); !applied) return tl::unexpected(applied.error());
    return settings;
}

/// What a task is judged by: the share of its optimum, where that is known.
double score(const TaskOutcome& task) {
    return std::isnan(task.optimal_return) ? task.expected_return : task.ratio();
}

double mean_score(const std::vector<TaskOutcome>& tasks) {
    double sum = 0;
    for (const TaskOutcome& task : tasks) sum += score(task);
    return sum / static_cast<double>(tasks.size());
}

Curve training_curve(const NavigationResult& result, bool exact) {
    Curve curve{"returns",
                "Return after each run's own adaptation, mean of the training tasks",
                "environment steps",
                exact ? "share of the optimum" : "return, sum over the horizon",
                {},
                {}};
    for (const MetricsRow& row : result.history) {
        curve.x.push_back(static_cast<double>(row.environment_steps));
        curve.y.push_back(mean_score(row.tasks));
    }
    return curve;
}

Curve adaptation_curve(const NavigationResult& result, bool exact) {
    Curve curve{"held-out",
                fmt::format("Adaptation to {} tasks that were never seen", result.held_out.size()),
                "inner steps",
                exact ? "share of the optimum, mean of the tasks" : "return, mean of the tasks",
                {},
                {}};
    for (std::size_t step = 0; step < result.held_out.front().size(); ++step) {
        double sum = 0;
        for (const auto& task : result.held_out) sum += score(task[step]);
        curve.x.push_back(static_cast<double>(step));
        curve.y.push_back(sum / static_cast<double>(result.held_out.size()));
    }
    return curve;
}

TrialResult trial_result(const NavigationResult& result) {
    using Show = Measure::Show;
    const bool exact = result.settings.world == World::grid;
    const std::string what = exact ? "return_ratio" : "return";
    TrialResult trial;
    trial.complete = result.complete;
    std::vector<double> scores;
    for (const TaskOutcome& task : result.tasks) scores.push_back(score(task));
    const double worst = *std::ranges::min_element(scores);
    const std::string as = exact ? " as a share of the optimum" : "";
    trial.measures.push_back(
        {"worst_" + what, "worst task", worst, Show::mean, true, "return on the worst training task" + as});
    constexpr std::size_t shown_tasks = 4;
    if (scores.size() > shown_tasks)
        trial.measures.push_back({"mean_" + what, "mean task", mean_score(result.tasks)});
    for (std::size_t task = 0; task < scores.size(); ++task) {
        trial.measures.push_back({fmt::format("task{}_{}", task + 1, what), fmt::format("task {}", task + 1),
                                  scores[task], scores.size() > shown_tasks ? Show::file : Show::mean});
    }
    if (exact) trial.measures.push_back({"solved", "all ≥ 0.95", worst >= 0.95 ? 1.0 : 0.0, Show::share});
    if (!result.held_out.empty()) {
        std::vector<TaskOutcome> last;
        for (const auto& task : result.held_out) last.push_back(task.back());
        trial.measures.push_back({"held_out_" + what, "unseen tasks", mean_score(last), Show::mean, true,
                                  fmt::format("mean return on unseen tasks after {} inner steps{}",
                                              result.held_out.front().size() - 1, as)});
        if (exact) {
            double success = 0;
            for (const TaskOutcome& task : last) success += task.success / static_cast<double>(last.size());
            trial.measures.push_back({"held_out_success", "unseen success", success});
        }
    }
    trial.measures.push_back({"env_steps", "env steps", static_cast<double>(result.environment_steps), Show::count,
                              true, "environment steps of training"});
    trial.measures.push_back({"task_gradients", "gradients", static_cast<double>(result.gradients), Show::count});
    trial.curves.push_back(training_curve(result, exact));
    if (!result.held_out.empty()) trial.curves.push_back(adaptation_curve(result, exact));
    return trial;
}

}  // namespace

Outcome<std::string> resolve_navigation(const TrainRequest& request) {
    Outcome<NavigationSettings> settings = settings_of(request);
    if (!settings) return tl::unexpected(settings.error());
    const auto training = NavigationTraining::make(*settings, 1);
    if (!training) return tl::unexpected(training.error());
    NavigationSettings resolved = (*training)->settings();
    return navigation_settings(resolved).write();
}

Outcome<TrialResult> try_navigation(const TrainRequest& request, const std::function<bool()>& stop) {
    const Outcome<NavigationSettings> settings = settings_of(request);
    if (!settings) return tl::unexpected(settings.error());
    const Outcome<NavigationResult> result = run_navigation(*settings, stop);
    if (!result) return tl::unexpected(result.error());
    if (!result->complete || result->tasks.empty()) return TrialResult{.complete = false};
    return trial_result(*result);
}

}  // namespace dunlin::app

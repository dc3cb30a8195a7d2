// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_navigation.hpp"
#include "training/problems/meta_report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What a task is judged by: the share of its optimum, where that is known.
double score(const TaskOutcome& task) {
    return std::isnan(task.optimal_return) ? task.expected_return : task.ratio();
}

double mean_score(const std::vector<TaskOutcome>& tasks) {
    double sum = 0;
    for (const TaskOutcome& task : tasks) sum += score(task);
    return sum / static_cast<double>(tasks.size());
}

double worst_score(const std::vector<TaskOutcome>& tasks) {
    return score(*std::ranges::min_element(tasks, {}, score));
}

}  // namespace

void compare_meta(const MetaReport& r, RunFigures& figures) {
    using Show = FigureMeasure::Show;
    const MetaJudgement& end = r.end;
    const NavigationSettings& s = r.settings();
    const bool exact = r.exact();
    const std::string what = exact ? "return_ratio" : "return", as = exact ? " as a share of the optimum" : "";
    std::vector<FigureMeasure>& measures = figures.measures;
    // Unseen tasks are what counts where there are some; where the reward is dense a share of the optimum hides failure.
    if (!end.held_out.empty()) {
        const std::vector<TaskOutcome> last = last_of_each(end.held_out);
        measures.push_back({"held_out_" + what, "unseen tasks", mean_score(last), Show::mean, true,
                            fmt::format("mean return on unseen tasks after {} inner steps{}",
                                        end.held_out.front().size() - 1, as)});
        if (exact)
            measures.insert(r.dense() ? measures.begin() : measures.end(),
                            {"held_out_success", "unseen success", means(last).success, Show::mean, true,
                             "mean success on unseen tasks"});
    }
    const double worst = worst_score(end.tasks);
    measures.push_back(
        {"worst_" + what, "worst task", worst, Show::mean, true, "return on the worst training task" + as});
    constexpr std::size_t shown_tasks = 4;
    const bool many = end.tasks.size() > shown_tasks;
    if (many) measures.push_back({"mean_" + what, "mean task", mean_score(end.tasks)});
    for (std::size_t task = 0; task < end.tasks.size(); ++task) {
        measures.push_back({fmt::format("task{}_{}", task + 1, what), fmt::format("task {}", task + 1),
                            score(end.tasks[task]), many ? Show::file : Show::mean});
    }
    if (exact) measures.push_back({"solved", "all ≥ 0.95", worst >= 0.95 ? 1.0 : 0.0, Show::share});
    if (!end.untrained.empty())
        measures.push_back({"untrained_worst_" + what, "untrained", worst_score(end.untrained), Show::mean, false,
                            "worst task of the untrained policy, adapted alike" + as});
    if (!end.held_out_untrained.empty() && exact)
        measures.push_back({"held_out_untrained_success", "untrained unseen success",
                            means(last_of_each(end.held_out_untrained)).success});
    if (!end.single_policy.empty())
        measures.push_back(
            {"single_policy_worst_" + what, "one policy", worst_score(end.single_policy), Show::file});
    const auto count = [&](const char* key, const char* title, double value, bool drawn = false,
                           const char* meaning = "") {
        measures.push_back({key, title, value, Show::count, drawn, meaning});
    };
    count("inner_steps", "inner steps", r.training.training_steps());
    count("trajectories", "trajectories", r.training.network() != nullptr ? 1 : s.rollout.trajectories);
    count("adaptation_env_steps", "adaptation steps", r.adaptation_steps, false,
          "environment steps of adaptation to a task");
    count("env_steps", "env steps", static_cast<double>(r.result.last.environment_steps), true,
          "environment steps of training");
    count("task_gradients", "gradients", static_cast<double>(r.result.last.gradients));

    FigureCurve training{"returns",
                         "Return after each run's own adaptation, mean of the training tasks",
                         "environment steps",
                         exact ? "share of the optimum" : "return, sum over the horizon",
                         {},
                         {}};
    for (const FederatedRow& row : r.result.history) {
        training.x.push_back(static_cast<double>(row.environment_steps));
        training.y.push_back(mean_score(tasks_of(row, r.names.size())));
    }
    figures.curves.push_back(std::move(training));
    if (end.held_out.empty()) return;
    FigureCurve adaptation{"held-out",
                           fmt::format("Adaptation to {} tasks that were never seen", r.unseen()),
                           "inner steps",
                           exact ? "share of the optimum, mean of the tasks" : "return, mean of the tasks",
                           {},
                           {}};
    for (std::size_t step = 0; step < end.held_out.front().size(); ++step) {
        double sum = 0;
        for (const auto& task : end.held_out) sum += score(task[step]);
        adaptation.x.push_back(static_cast<double>(step));
        adaptation.y.push_back(sum / static_cast<double>(r.unseen()));
    }
    figures.curves.push_back(std::move(adaptation));
}

}  // namespace dunlin

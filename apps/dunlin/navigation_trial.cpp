// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/navigation_baselines.hpp"
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
    // Unseen tasks are what counts where there are some; where the reward is dense a share of the optimum hides failure.
    if (!result.held_out.empty()) {
        const std::vector<TaskOutcome> last = last_of_each(result.held_out);
        const Measure earned{"held_out_" + what,
                             "unseen tasks",
                             mean_score(last),
                             Show::mean,
                             true,
                             fmt::format("mean return on unseen tasks after {} inner steps{}",
                                         result.held_out.front().size() - 1, as)};
        const Measure reached{"held_out_success",
                              "unseen success",
                              means(last).success,
                              Show::mean,
                              true,
                              "mean success on unseen tasks"};
        const bool success_first = exact && result.settings.reward == Reward::dense;
        if (success_first) trial.measures.push_back(reached);
        trial.measures.push_back(earned);
        if (exact && !success_first) trial.measures.push_back(reached);
    }
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
    std::vector<double> untrained;
    for (const TaskOutcome& task : result.untrained) untrained.push_back(score(task));
    if (!untrained.empty()) {
        trial.measures.push_back({"untrained_worst_" + what, "untrained", *std::ranges::min_element(untrained),
                                  Show::mean, false, "worst task of the untrained policy, adapted alike" + as});
    }
    if (!result.held_out_untrained.empty() && exact) {
        trial.measures.push_back({"held_out_untrained_success", "untrained unseen success",
                                  means(last_of_each(result.held_out_untrained)).success});
    }
    if (!result.single_policy.empty()) {
        std::vector<double> single;
        for (const TaskOutcome& task : result.single_policy) single.push_back(score(task));
        trial.measures.push_back(
            {"single_policy_worst_" + what, "one policy", *std::ranges::min_element(single), Show::file});
    }
    const MetaSettings& meta = result.settings.meta;
    trial.measures.push_back(
        {"inner_steps", "inner steps", static_cast<double>(meta.adaptation().step_limit), Show::count});
    trial.measures.push_back(
        {"trajectories", "trajectories", static_cast<double>(result.settings.rollout.trajectories), Show::count});
    trial.measures.push_back({"adaptation_env_steps", "adaptation steps", result.adaptation_environment_steps,
                              Show::count, false, "environment steps of adaptation to a task"});
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

Outcome<std::vector<std::string>> level_navigation(const TrainRequest& request, const std::function<bool()>& stop) {
    Outcome<NavigationSettings> settings = settings_of(request);
    if (!settings) return tl::unexpected(settings.error());
    if (settings->environment_steps > 0) return std::vector<std::string>{};
    if (settings->meta.method == MetaMethod::scratch) settings->meta.method = MetaMethod::memrl;
    const Outcome<std::int64_t> steps = environment_steps_of(*settings, stop);
    if (!steps) return tl::unexpected(steps.error());
    if (*steps == 0) return std::vector<std::string>{};  // no iterations at all, or interrupted
    if (*steps > 2'000'000'000)
        return refuse("compare: training takes more than 2,000,000,000 environment steps; give --by-iterations");
    return std::vector<std::string>{fmt::format("rl.environment_steps={}", *steps)};
}

Outcome<std::vector<std::string>> vary_navigation(const TrainRequest& request, int candidate) {
    const Outcome<NavigationSettings> settings = settings_of(request);
    if (!settings) return tl::unexpected(settings.error());
    if (candidate == 0) return std::vector<std::string>{};  // as they are
    Stream random(0, static_cast<std::uint32_t>(candidate), Purpose::user);
    const auto factor = [&random](float most) { return std::pow(most, 2.0f * random.uniform() - 1.0f); };
    const float inner = factor(4.0f), clip = factor(2.0f), outer = factor(3.0f);
    const MetaSettings& meta = settings->meta;
    const MoreauEnvelope own = meta.training();
    const char* section = meta.is_maml() ? "maml" : "rl";
    std::vector<std::string> set{fmt::format("{}.inner_rate={}", section, own.inner_rate * inner)};
    if (own.step_clip > 0) set.push_back(fmt::format("{}.step_clip={}", section, own.step_clip * clip));
    if (meta.is_maml() || meta.outer_step != OuterStep::own)
        set.push_back(fmt::format("maml.outer_rate={}", meta.outer.rate * outer));
    else if (meta.method != MetaMethod::scratch)
        set.push_back(fmt::format("rl.interpolation={}", std::min(1.0f, meta.interpolation * outer)));
    return set;
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

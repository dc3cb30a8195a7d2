// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_report.hpp"

#include "training/host/plain_text.hpp"
#include "training/problems/meta_navigation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

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
        case MetaMethod::anil:
            return "ANIL";
        case MetaMethod::meta_sgd:
            return "Meta-SGD";
        case MetaMethod::imaml:
            return "implicit MAML";
        case MetaMethod::rl2:
            return "RL2";
        case MetaMethod::joint:
            return "one recurrent policy for all tasks";
        default:
            return "no meta-learning";
    }
}

FigureValue finite(double value) {
    return std::isfinite(value) ? FigureValue(value) : FigureValue();
}

FigureTable task_table(const MetaReport& r) {
    FigureTable table{.key = "", .columns = {{"", "task"}}};
    for (std::size_t task = 0; task < r.end.tasks.size(); ++task) table.rows.push_back({r.names[task]});
    const auto column = [&](const char* title, const std::vector<TaskOutcome>& outcomes, auto&& value) {
        table.columns.push_back({"", title});
        for (std::size_t task = 0; task < r.end.tasks.size(); ++task)
            table.rows[task].push_back(finite(value(outcomes[task])));
    };
    const auto earned = [](const TaskOutcome& task) { return task.expected_return; };
    const auto share = [](const TaskOutcome& task) { return task.ratio(); };
    const auto success = [](const TaskOutcome& task) { return task.success; };
    const MetaJudgement& end = r.end;
    if (!r.exact()) {
        column("return", end.tasks, earned);
        if (r.has_baselines()) column("untrained", end.untrained, earned);
        if (r.has_single()) column("one policy", end.single_policy, earned);
        return table;
    }
    if (r.dense()) {
        column("success", end.tasks, success);
        if (r.has_baselines()) column("untrained success", end.untrained, success);
    }
    column("return", end.tasks, earned);
    column("optimum", end.tasks, [](const TaskOutcome& task) { return task.optimal_return; });
    column("share", end.tasks, share);
    if (!r.dense()) column("success", end.tasks, success);
    if (r.has_baselines()) {
        column("untrained", end.untrained, share);
        column("gain", end.tasks, [&, task = std::size_t{0}](const TaskOutcome& trained) mutable {
            return normalised_gain(trained, end.untrained[task++]);
        });
    }
    if (r.has_single()) column("one policy", end.single_policy, share);
    return table;
}

/// For a terminal: all tasks, or of many the ten worst and the mean of all.
FigureTable worst_tasks(const MetaReport& r, const FigureTable& all) {
    constexpr std::size_t all_up_to = 24, shown = 10;
    if (all.rows.size() <= all_up_to) return all;
    FigureTable table{.key = "", .columns = all.columns};
    std::vector<std::size_t> order(all.rows.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::stable_sort(order, {}, [&](std::size_t task) {
        return r.exact() ? r.end.tasks[task].ratio() : r.end.tasks[task].expected_return;
    });
    for (std::size_t k = 0; k < shown; ++k) table.rows.push_back(all.rows[order[k]]);
    table.rows.push_back({fmt::format("mean of all {}", order.size())});
    for (std::size_t column = 1; column < all.columns.size(); ++column) {
        double sum = 0;
        int count = 0;
        for (const auto& row : all.rows) {
            const auto* const value = std::get_if<double>(&row[column]);
            if (value == nullptr) continue;
            sum += *value;
            ++count;
        }
        table.rows.back().push_back(finite(sum / count));
    }
    return table;
}

/// The list of the summary.
FigureTable task_list(const std::string& key, const std::vector<std::string>& names,
                      const std::vector<TaskOutcome>& tasks, const std::vector<TaskOutcome>& untrained,
                      const std::vector<TaskOutcome>& single, const OutcomesByStep* by_step = nullptr) {
    FigureTable list{.key = key};
    for (const char* column : {"name", "return", "optimal_return", "return_ratio", "success", "sampled_return"})
        list.columns.push_back({column, ""});
    if (by_step != nullptr) {
        for (const char* column : {"return_by_inner_step", "success_by_inner_step"})
            list.columns.push_back({column, ""});
    }
    for (const char* column : {"untrained_return", "untrained_return_ratio", "untrained_success", "normalised_gain",
                               "single_policy_return", "single_policy_return_ratio", "single_policy_success"})
        list.columns.push_back({column, ""});
    for (std::size_t k = 0; k < tasks.size(); ++k) {
        const TaskOutcome &task = tasks[k], base = k < untrained.size() ? untrained[k] : TaskOutcome{},
                          one = k < single.size() ? single[k] : TaskOutcome{};
        std::vector<FigureValue>& row = list.rows.emplace_back();
        row = {names[k],     task.expected_return, task.optimal_return,
               task.ratio(), task.success,         task.sampled_return};
        if (by_step != nullptr) {
            std::vector<double> returns, success;
            for (const TaskOutcome& step : (*by_step)[k]) {
                returns.push_back(step.expected_return);
                success.push_back(step.success);
            }
            row.insert(row.end(), {std::move(returns), std::move(success)});
        }
        row.insert(row.end(), {base.expected_return, base.ratio(), base.success, normalised_gain(task, base),
                               one.expected_return, one.ratio(), one.success});
    }
    return list;
}

std::string baselines_text(const MetaReport& r) {
    std::string text = "\"untrained\" is the policy that training began with under the same adaptation";
    if (r.exact()) text += ", \"gain\" is (J - J0) / (J* - J0), J0 being its return";
    if (!r.end.single_policy.empty())
        text += "; \"one policy\" is the best that was found for all training tasks without adaptation";
    else
        text += r.settings().world == World::rules
                    ? "; one policy for all tasks without adaptation is what rl.method = joint learns"
                    : "; a best single policy without adaptation was not looked for: the map is too large for that";
    return text + ".";
}

std::string held_out_text(const MetaReport& r) {
    const TaskMeans mine = means(last_of_each(r.end.held_out)),
                    base = means(last_of_each(r.end.held_out_untrained)), one = means(r.end.held_out_single);
    const auto three = [&](const char* what, double TaskMeans::*value, int digits) {
        std::string text = fmt::format("{} {:.{}f}", what, mine.*value, digits);
        if (std::isfinite(base.*value)) text += fmt::format(" (untrained {:.{}f}", base.*value, digits);
        if (std::isfinite(one.*value))
            text += fmt::format("{}one policy without adaptation {:.{}f}", std::isfinite(base.*value) ? ", " : " (",
                                one.*value, digits);
        return std::isfinite(base.*value) || std::isfinite(one.*value) ? text + ")" : text;
    };
    const auto distinct = static_cast<std::size_t>(r.training.distinct_tasks(TaskSet::held_out));
    const std::string text =
        fmt::format("{} held-out tasks{} after {} {}: ", r.unseen(),
                    distinct == r.unseen() ? "" : fmt::format(", {} different ones,", distinct),
                    r.end.held_out.front().size() - 1,
                    r.training.network() != nullptr ? "remembered trajectories" : "inner steps");
    if (!r.exact()) return text + three("return", &TaskMeans::expected_return, 2);
    return text + three("success", &TaskMeans::success, 3) + ", " +
           three("share of the optimum", &TaskMeans::ratio, 3);
}

std::vector<FigureSection> sections(const MetaReport& r) {
    std::string exactly = r.planned() ? " Returns are exact, by dynamic programming." : "";
    if (r.exact() && !r.planned())
        exactly = std::string(" Returns are means of samples") +
                  (r.settings().world == World::rules
                       ? "; where a search for the optimum was too long, a bound stands for it."
                       : ", the optimum is exact.");
    if (r.training.network() != nullptr)
        exactly += " An inner step of a policy with a memory is a trajectory that it remembers.";
    FigureSection tasks{
        .heading = "Training tasks",
        .paragraphs = {fmt::format("Each task after a fresh adaptation of {} inner steps from the meta-policy.{}",
                                   r.training.training_steps(), exactly)},
        .charts = {returns_chart(r)},
        .tables = {task_table(r), task_list("tasks", r.names, r.end.tasks, r.end.untrained, r.end.single_policy)}};
    if (!r.end.untrained.empty()) tasks.paragraphs.push_back(baselines_text(r));
    if (r.exact()) tasks.charts.push_back(shares_chart(r));
    std::vector<FigureSection> all{std::move(tasks)};
    FigureSection maps{.heading = "Trajectories",
                       .paragraphs = {"Adapted policies before and after meta-training, to the same scale."}};
    if (r.draws_maps()) {
        add_map(r, maps, {"navigation-start.svg", "Before meta-training", "Before meta-training."},
                StartPolicy::untrained);
        add_map(r, maps, {"navigation-end.svg", "After meta-training", "After meta-training."}, StartPolicy::meta);
    }
    if (!maps.maps.empty()) all.push_back(std::move(maps));
    if (r.unseen() == 0) return all;
    FigureSection unseen{.heading = "Tasks that were never seen",
                         .paragraphs = {held_out_text(r)},
                         .charts = {held_out_chart(r)},
                         .tables = {task_list("held_out.tasks", r.training.task_names(TaskSet::held_out),
                                              last_of_each(r.end.held_out), last_of_each(r.end.held_out_untrained),
                                              r.end.held_out_single, &r.end.held_out)}};
    if (FigureChart curve = held_out_curve(r); curve.lines.front().x.size() > 1)
        unseen.charts.push_back(std::move(curve));
    all.push_back(std::move(unseen));
    return all;
}

/// The numbers of the page, but for those of time.
void add_worst(const MetaReport& r, RunFigures& figures) {
    const std::vector<TaskOutcome>& tasks = r.end.tasks;
    if (tasks.empty()) return;
    const auto worst = std::ranges::min_element(
        tasks, {}, [&](const TaskOutcome& task) { return r.exact() ? task.ratio() : task.expected_return; });
    if (r.exact())
        figures.numbers.push_back(
            {fmt::format("{:.3f}", worst->ratio()), "of the optimum, worst task", worst->ratio() < 0.9});
    else
        figures.numbers.push_back({fmt::format("{:.1f}", worst->expected_return), "return, worst training task"});
}

std::vector<FigureWarning> warnings(const MetaReport& r, std::int64_t judged_iteration) {
    std::vector<FigureWarning> all;
    if (!r.result.complete)
        all.push_back(
            {fmt::format("the run was interrupted after iteration {}; the numbers are those of iteration {}",
                         r.result.last.round, judged_iteration)});
    for (const std::string& harm : harms(r.settings(), r.end)) all.push_back({harm, true});
    if (const std::int64_t stayed = r.training.outer_steps_stayed(); 10 * stayed > r.training.iteration())
        all.push_back(
            {fmt::format("{} outer steps left the parameters as they were: no length within trpo.radius lowered "
                         "the loss; more trajectories, or a larger trpo.damping, tell the direction better",
                         stayed),
             true});
    const auto unsolved = [](const TaskOutcome& task) { return task.success < 0.5; };
    if (r.exact() && !r.dense() && std::ranges::any_of(r.end.tasks, unsolved))
        all.push_back(
            {"a task is not solved: its adapted policy reaches the goal in fewer than half of its "
             "trajectories"});
    return all;
}

}  // namespace

void MetaCourse::report(const FederatedResult& result, RunFigures& figures) {
    const MetaReport r{*training_, result, end_, adaptation_steps_};
    const NavigationSettings& s = settings();
    if (!end_.tasks.empty()) compare_meta(r, figures);
    const FederatedRow& last = result.last;
    const char* per = training_->evaluates_per_state() ? "state" : "step";
    figures.fields = {{"evaluated_iteration", judged_iteration_},
                      {"evaluation_interval", std::int64_t{evaluate_every()}},
                      {"iterations", last.round},
                      {"env_steps", last.environment_steps},
                      {"task_gradients", last.gradients},
                      {"inner_steps", std::int64_t{training_->training_steps()}},
                      {"trajectories", std::int64_t{training_->network() != nullptr ? 1 : s.rollout.trajectories}},
                      {"adaptation_env_steps", adaptation_steps_},
                      {"seconds", result.seconds},
                      {"env_steps_per_second", steps_per_second(result)},
                      {"kernels", training_->kernels()},
                      {"evaluation", fmt::format("per-{}", per)},
                      {"threads", std::int64_t{threads_}},
                      {"distinct_tasks", std::int64_t{training_->distinct_tasks(TaskSet::training)}},
                      {"tasks", {}}};
    if (!end_.held_out.empty()) {
        const TaskMeans mine = means(last_of_each(end_.held_out)),
                        base = means(last_of_each(end_.held_out_untrained)), one = means(end_.held_out_single);
        figures.fields.insert(figures.fields.end(), {{"held_out.distinct_tasks",
                                                      std::int64_t{training_->distinct_tasks(TaskSet::held_out)}},
                                                     {"held_out.success", mine.success},
                                                     {"held_out.untrained_success", base.success},
                                                     {"held_out.single_policy_success", one.success},
                                                     {"held_out.return_ratio", mine.ratio},
                                                     {"held_out.untrained_return_ratio", base.ratio},
                                                     {"held_out.single_policy_return_ratio", one.ratio},
                                                     {"held_out.return", mine.expected_return},
                                                     {"held_out.untrained_return", base.expected_return},
                                                     {"held_out.single_policy_return", one.expected_return}});
    }
    figures.fields.emplace_back("harms", harms(s, end_));
    if (!figures.drawn) return;

    const std::string length = s.environment_steps > 0 ? "" : fmt::format(" of {}", s.iterations);
    figures.subject =
        fmt::format("{}, seed {}, {}{} meta-iterations, {} kernels, policy evaluated per {}",
                    method_name(s.meta.method), s.seed, last.round, length, training_->kernels(), per);
    add_worst(r, figures);
    figures.numbers.insert(figures.numbers.end(),
                           {{count_text(static_cast<double>(last.environment_steps)), "environment steps"},
                            {count_text(steps_per_second(result)), "steps per second"},
                            {fmt::format("{:.2f} s", result.seconds), "training time"}});
    figures.warnings = warnings(r, judged_iteration_);
    figures.sections = sections(r);
    figures.shown = worst_tasks(r, figures.sections.front().tables.front());
    if (!end_.held_out.empty()) figures.line = held_out_text(r) + "\n";
    figures.line +=
        fmt::format("{} environment steps in {:.2f} s ({:.2f} million a second, {} kernels)\n",
                    last.environment_steps, result.seconds, steps_per_second(result) / 1e6, training_->kernels());
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// What a user should know of the tasks that settings came to.
#include "envs/grid_planning.hpp"
#include "training/host/plain_text.hpp"
#include "training/navigation/grid_world.hpp"
#include "training/navigation/navigation.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Of a sparse reward: tasks whose goal an untrained policy finds so seldom that most batches say nothing.
std::optional<std::string> seldom_found(const NavigationTraining& training) {
    constexpr int most_cells = 1024;
    const NavigationSettings& s = training.settings();
    if (s.world != World::grid || s.reward != Reward::sparse) return std::nullopt;
    const std::vector<std::string> names = training.task_names(TaskSet::training);
    double least = 1;
    std::size_t at = 0;
    int few = 0;
    const auto seen = [&](double success) { return 1 - std::pow(1 - success, s.rollout.trajectories); };
    for (std::size_t k = 0; k < names.size(); ++k) {
        const GridNavigation& task = training.grid_task(TaskSet::training, static_cast<int>(k))->environment();
        if (task.state_count() > most_cells) return std::nullopt;
        const auto actions = static_cast<std::size_t>(task.action_count());
        const std::vector<double> uniform(static_cast<std::size_t>(task.state_count()) * actions,
                                          1.0 / static_cast<double>(actions));
        const double success = evaluate_policy(task, uniform).success;
        if (seen(success) < 0.9) ++few;
        if (success < least) {
            least = success;
            at = k;
        }
    }
    if (few == 0) return std::nullopt;
    std::string more;
    if (least > 1e-4)
        more = fmt::format("rl.trajectories = {} would, ",
                           static_cast<int>(std::ceil(std::log(0.1) / std::log1p(-least))));
    return fmt::format(
        "{}: an untrained policy reaches it in {:.2g} % of trajectories, so {:.0f} % of batches of "
        "rl.trajectories = {} see no reward to learn from ({} of {} tasks are such); {}a longer rl.horizon "
        "(now {}) helps, and so does environment.reward = \"dense\"",
        names[at], 100 * least, 100 * (1 - seen(least)), s.rollout.trajectories, few, names.size(), more,
        s.horizon);
}

}  // namespace

std::vector<std::string> NavigationTraining::notes() const {
    std::vector<std::string> notes = world_notes();
    const std::size_t training = task_names(TaskSet::training).size(),
                      held_out = task_names(TaskSet::held_out).size();
    const auto distinct = static_cast<std::size_t>(distinct_tasks(TaskSet::training));
    if (distinct < training) {
        notes.push_back(
            fmt::format("the {} training tasks are {} different ones, and some are trained on more often "
                        "than others; the map has no more goals to give them",
                        training, distinct));
    }
    if (settings_.world == World::rules) {
        const double tasks = count_rule_worlds(settings_.rules);
        notes.push_back(fmt::format(
            "{} of {} training tasks are judged; settings make {} different tasks, of {} rules", training,
            settings_.training_tasks, count_text(tasks), count_text(count_rules(settings_.rules))));
    }
    const bool sampled =
        settings_.world == World::point || (settings_.goals.empty() && settings_.tasks == TaskSource::sampled);
    if (sampled && held_out < static_cast<std::size_t>(settings_.held_out_tasks)) {
        notes.push_back(
            fmt::format("{} held-out tasks instead of environment.held_out_tasks = {}: no more differ from each "
                        "other and from the training tasks; take a larger map, fewer training tasks, or "
                        "tasks that also vary by environment.permute_actions or wind_limit",
                        held_out, settings_.held_out_tasks));
    }
    if (const auto seldom = seldom_found(*this)) notes.push_back(*seldom);
    return notes;
}

}  // namespace dunlin

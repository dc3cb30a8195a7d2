// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/meta_judgement.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What a set of tasks is judged by.
struct Yardstick {
    double value;  ///< of the trained policy
    double untrained;
    double tolerance;
    const char* what;
};

Yardstick compare(const NavigationSettings& settings, const std::vector<TaskOutcome>& trained,
                  const std::vector<TaskOutcome>& untrained) {
    const TaskMeans mine = means(trained), base = means(untrained);
    if (settings.world == World::point)
        return {mine.expected_return, base.expected_return, 0.01 * std::abs(base.expected_return),
                "the mean return is"};
    if (settings.reward == Reward::dense) return {mine.success, base.success, 0.01, "the mean success is"};
    return {mine.ratio, base.ratio, 0.01, "the mean share of the optimum is"};
}

std::vector<TaskOutcome> after(const OutcomesByStep& outcomes, std::size_t step) {
    std::vector<TaskOutcome> tasks;
    for (const auto& task : outcomes) tasks.push_back(task[step]);
    return tasks;
}

std::string sentence(const Yardstick& yardstick, const std::string& tasks, std::size_t steps) {
    return fmt::format(
        "meta-training harms on {}: after {} inner step{} {} {:.3f}, and {:.3f} from an untrained policy", tasks,
        steps, steps == 1 ? "" : "s", yardstick.what, yardstick.value, yardstick.untrained);
}

}  // namespace

TaskMeans means(const std::vector<TaskOutcome>& tasks) {
    if (tasks.empty()) return {};
    const auto count = static_cast<double>(tasks.size());
    TaskMeans mean{0, 0, 0, INFINITY};
    for (const TaskOutcome& task : tasks) {
        mean.expected_return += task.expected_return / count;
        mean.ratio += task.ratio() / count;
        mean.success += task.success / count;
        mean.worst_ratio = std::min(mean.worst_ratio, task.ratio());
    }
    if (std::isnan(mean.ratio)) mean.worst_ratio = TaskOutcome::none;
    return mean;
}

std::vector<TaskOutcome> last_of_each(const OutcomesByStep& outcomes) {
    std::vector<TaskOutcome> last;
    for (const auto& task : outcomes) {
        if (task.empty()) return {};
        last.push_back(task.back());
    }
    return last;
}

double normalised_gain(const TaskOutcome& trained, const TaskOutcome& untrained) {
    const double room = trained.optimal_return - untrained.expected_return;
    if (!(room > 1e-9)) return TaskOutcome::none;
    return (trained.expected_return - untrained.expected_return) / room;
}

std::vector<std::string> harms(const NavigationSettings& settings, const MetaJudgement& judged) {
    std::vector<std::string> sentences;
    if (!judged.tasks.empty() && judged.untrained.size() == judged.tasks.size()) {
        const Yardstick yardstick = compare(settings, judged.tasks, judged.untrained);
        if (yardstick.value < yardstick.untrained - yardstick.tolerance) {
            sentences.push_back(sentence(yardstick, "the training tasks",
                                         static_cast<std::size_t>(settings.meta.adaptation().step_limit)));
        }
    }
    if (judged.held_out.empty() || judged.held_out_untrained.size() != judged.held_out.size()) return sentences;
    // Where it harms most; and what is left of that at the end.
    const std::size_t last = judged.held_out.front().size() - 1;
    std::optional<std::size_t> worst;
    double most = 0;
    for (std::size_t k = 1; k <= last; ++k) {
        const Yardstick yardstick =
            compare(settings, after(judged.held_out, k), after(judged.held_out_untrained, k));
        const double less = yardstick.untrained - yardstick.tolerance - yardstick.value;
        if (!(less > most)) continue;
        most = less;
        worst = k;
    }
    if (!worst) return sentences;
    const auto at = [&](std::size_t k) {
        return compare(settings, after(judged.held_out, k), after(judged.held_out_untrained, k));
    };
    sentences.push_back(sentence(at(*worst), judged.tasks.empty() ? "these tasks" : "held-out tasks", *worst));
    if (*worst != last) {
        const Yardstick end = at(last);
        sentences.back() += fmt::format(" (after {}: {:.3f} and {:.3f})", last, end.value, end.untrained);
    }
    return sentences;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_navigation.hpp"
#include "training/problems/meta_report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Training tasks over iterations.
template <class Value>
FigureChart over_iterations(const MetaReport& r, FigureChart chart, const Value& value) {
    chart.x_title = "meta-iteration";
    chart.whole = true;
    constexpr std::size_t most = 8;
    for (std::size_t task = 0; task < std::min(r.names.size(), most); ++task) {
        FigureLine& line = chart.lines.emplace_back(FigureLine{.name = r.names[task], .x = {}, .y = {}});
        for (const FederatedRow& row : r.result.history) {
            line.x.push_back(static_cast<double>(row.round));
            line.y.push_back(value(tasks_of(row, task + 1)[task]));
        }
    }
    return chart;
}

/// Each inner step's mean and range.
FigureLine by_step(const MetaReport& r, const char* name, const OutcomesByStep& outcomes) {
    FigureLine line{.name = name, .x = {}, .y = {}};
    for (std::size_t k = 0; k < outcomes.front().size(); ++k) {
        double sum = 0, low = INFINITY, high = -INFINITY;
        for (const auto& task : outcomes) {
            const double value = r.held_out_value(task[k]);
            sum += value;
            low = std::min(low, value);
            high = std::max(high, value);
        }
        line.x.push_back(static_cast<double>(k));
        line.y.push_back(sum / static_cast<double>(outcomes.size()));
        line.low.push_back(low);
        line.high.push_back(high);
    }
    return line;
}

}  // namespace

FigureChart returns_chart(const MetaReport& r) {
    const bool exact = r.exact();
    FigureChart chart = over_iterations(
        r,
        {.file = "returns.svg",
         .title = "Return after adaptation",
         .y_title = r.planned() ? "discounted return, exact"
                    : exact     ? "discounted return"
                                : "return, sum over the horizon",
         .caption = "Return after adaptation, while the meta-policy learns.",
         .reference_name = "optimum"},
        [exact](const TaskOutcome& task) { return exact ? task.expected_return : task.sampled_return; });
    for (std::size_t task = 0; exact && !r.end.tasks.empty() && task < chart.lines.size(); ++task)
        chart.lines[task].reference = r.end.tasks[task].optimal_return;
    return chart;
}

FigureChart shares_chart(const MetaReport& r) {
    return over_iterations(
        r,
        {.file = "",
         .title = std::string("Return after adaptation as a share of the optimum") + (r.planned() ? ", exact" : ""),
         .y_title = "share of the optimum",
         .caption = "The same as a share of each task's optimum."},
        [](const TaskOutcome& task) { return task.ratio(); });
}

FigureChart held_out_chart(const MetaReport& r) {
    FigureChart chart{.file = "held-out.svg",
                      .title = "Adaptation to tasks that were never seen",
                      .x_title = "inner steps",
                      .y_title = r.held_out_title(),
                      .caption =
                          "Held-out tasks after 0, 1, 2, ... inner steps, from the meta-policy and from the "
                          "policy that training began with.",
                      .reference_name = "one policy for all, without adaptation",
                      .lines = {by_step(r, "meta-policy", r.end.held_out)},
                      .whole = true,
                      .band_name = fmt::format("range over {} tasks", r.unseen())};
    if (!r.end.held_out_untrained.empty())
        chart.lines.push_back(by_step(r, "untrained policy", r.end.held_out_untrained));
    if (!r.end.held_out_single.empty()) {
        double sum = 0;
        for (const TaskOutcome& task : r.end.held_out_single) sum += r.held_out_value(task);
        chart.lines.front().reference = sum / static_cast<double>(r.end.held_out_single.size());
    }
    return chart;
}

FigureChart held_out_curve(const MetaReport& r) {
    FigureLine line{.name = "held-out tasks", .x = {}, .y = {}};
    for (const FederatedRow& row : r.result.history) {
        const TaskMeans mean = held_out_of(row, r.names.size());
        const double value = !r.exact() ? mean.expected_return : r.dense() ? mean.success : mean.ratio;
        if (!std::isfinite(value)) continue;  // a part of the run by an older program
        line.x.push_back(static_cast<double>(row.environment_steps));
        line.y.push_back(value);
    }
    return {.file = "",
            .title = fmt::format("Mean of {} held-out tasks after {} inner steps, while the meta-policy learns",
                                 r.unseen(), r.settings().adaptation_steps),
            .x_title = "environment steps of training",
            .y_title = r.held_out_title(),
            .lines = {std::move(line)},
            .whole = true};
}

void add_map(const MetaReport& r, FigureSection& section, FigureMap map, StartPolicy start) {
    // More panels than a page shows help nobody.
    constexpr std::size_t panels = 8;
    map.grid = r.exact();
    map.records = r.training.record(TaskSet::training, r.training.training_steps(), r.settings().shown_trajectories,
                                    panels, start);
    if (!r.training.stopped()) section.maps.push_back(std::move(map));
}

}  // namespace dunlin

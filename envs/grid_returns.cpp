// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_returns.hpp"

#include "envs/grid_model.hpp"

namespace dunlin {
namespace {

/// The pieces of a scratch block.
struct Tables {
    Tables(const GridNavigation& task, std::span<double> scratch)
        : states(static_cast<std::size_t>(task.state_count())),
          value(scratch.subspan(states, states)),
          success(scratch.subspan(2 * states, states)),
          arrival(scratch.subspan(3 * states, states)),
          action_value(scratch.subspan(4 * states, states * static_cast<std::size_t>(task.action_count()))),
          model(task, scratch.first(states)) {
        std::fill(value.begin(), value.end(), 0.0);
        std::fill(success.begin(), success.end(), 0.0);
    }

    std::size_t states;
    std::span<double> value, success, arrival, action_value;
    GridModel model;
};

}  // namespace

GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy,
                               std::span<double> scratch) {
    Tables t(task, scratch);
    for (int step = 0; step < task.horizon(); ++step) {
        t.model.arrive(t.value, task.discount(), t.arrival);
        t.model.act(t.arrival, t.action_value);
        average(policy, t.action_value, t.value);

        t.success[static_cast<std::size_t>(task.goal())] = 1.0;  // who has arrived has succeeded, wherever next
        t.model.act(t.success, t.action_value);
        average(policy, t.action_value, t.success);
    }
    return {t.model.over_starts(t.value), t.model.over_starts(t.success)};
}

double optimal_return(const GridNavigation& task, std::span<double> scratch) {
    Tables t(task, scratch);
    for (int step = 0; step < task.horizon(); ++step) {
        t.model.arrive(t.value, task.discount(), t.arrival);
        t.model.act(t.arrival, t.action_value);
        for (std::size_t s = 0; s < t.states; ++s) {
            const double* first = &t.action_value[s * t.model.actions()];
            t.value[s] = *std::max_element(first, first + t.model.actions());
        }
    }
    return t.model.over_starts(t.value);
}

}  // namespace dunlin

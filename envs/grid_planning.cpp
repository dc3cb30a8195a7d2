// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_planning.hpp"

#include "envs/grid_model.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace dunlin {
namespace {

using Values = std::vector<double>;

}  // namespace

GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy, StopAsked stop) {
    assert(std::ssize(policy) == task.state_count() * task.action_count());
    Values scratch(grid_scratch(task.state_count()));
    return evaluate_policy(task, policy, scratch, stop);
}

double optimal_return(const GridNavigation& task, StopAsked stop) {
    Values scratch(grid_scratch(task.state_count()));
    return optimal_return(task, scratch, stop);
}

std::vector<double> policy_gradient(const GridNavigation& task, std::span<const double> policy) {
    Values settled(static_cast<std::size_t>(task.state_count()));
    GridModel model(task, settled);
    assert(policy.size() == model.states() * model.actions());
    const auto horizon = static_cast<std::size_t>(task.horizon());
    Values arrival(model.states());
    Values action_value(policy.size());
    std::vector<Values> value(horizon + 1, Values(model.states(), 0.0));  // value[l]: what is left from step l on
    for (std::size_t l = horizon; l-- > 0;) {
        model.arrive(value[l + 1], task.discount(), arrival);
        model.act(arrival, action_value);
        average(policy, action_value, value[l]);
    }

    Values occupancy(model.states(), 0.0);
    Values next(model.states());
    for (const int start : task.starts())
        occupancy[static_cast<std::size_t>(start)] = 1.0 / static_cast<double>(task.starts().size());
    Values gradient(policy.size(), 0.0);
    double weight = 1.0;  // gamma^l
    for (std::size_t l = 0; l < horizon; ++l) {
        model.arrive(value[l + 1], task.discount(), arrival);
        model.act(arrival, action_value);
        for (std::size_t s = 0; s < model.states(); ++s) {
            for (std::size_t k = s * model.actions(); k < (s + 1) * model.actions(); ++k) {
                gradient[k] += weight * occupancy[s] * policy[k] * (action_value[k] - value[l][s]);
            }
        }
        model.advance(policy, occupancy, next);
        std::swap(occupancy, next);
        weight *= task.discount();
    }
    return gradient;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_planning.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace dunlin {
namespace {

using Values = std::vector<double>;

/// The tables of one task as probabilities.
class Model {
public:
    explicit Model(const GridNavigation& task)
        : task_(task),
          states_(static_cast<std::size_t>(task.state_count())),
          actions_(static_cast<std::size_t>(task.action_count())),
          wind_(task.wind()),
          slip_(task.slip()),
          settled_(states_) {}

    std::size_t states() const { return states_; }
    std::size_t actions() const { return actions_; }
    bool goal(std::size_t state) const { return static_cast<int>(state) == task_.goal(); }

    /// What it is worth that a step ends in each state, when going on from there is worth `value`.
    void arrive(const Values& value, double discount, Values& arrival) const {
        for (std::size_t s = 0; s < states_; ++s) {
            const bool over = task_.ends_at_goal() && goal(s);
            arrival[s] = task_.reward_at(static_cast<int>(s)) + (over ? 0.0 : discount * value[s]);
        }
    }

    /// Q: what each action is worth in each state, over slip and wind.
    void act(const Values& arrival, Values& action_value) {
        for (std::size_t s = 0; s < states_; ++s) {
            settled_[s] = (1.0 - wind_) * arrival[s] + wind_ * arrival[after_wind(s)];
        }
        for (std::size_t s = 0; s < states_; ++s) {
            double mean = 0.0;
            for (std::size_t a = 0; a < actions_; ++a) mean += settled_[after_action(s, a)];
            mean /= static_cast<double>(actions_);
            for (std::size_t a = 0; a < actions_; ++a) {
                action_value[s * actions_ + a] = (1.0 - slip_) * settled_[after_action(s, a)] + slip_ * mean;
            }
        }
    }

    /// The next step's probabilities of being in each state; what has ended is gone.
    void advance(std::span<const double> policy, const Values& occupancy, Values& next) {
        std::fill(settled_.begin(), settled_.end(), 0.0);
        for (std::size_t s = 0; s < states_; ++s) {
            for (std::size_t a = 0; a < actions_; ++a) {
                const double taken =
                    (1.0 - slip_) * policy[s * actions_ + a] + slip_ / static_cast<double>(actions_);
                settled_[after_action(s, a)] += occupancy[s] * taken;
            }
        }
        std::fill(next.begin(), next.end(), 0.0);
        for (std::size_t s = 0; s < states_; ++s) {
            next[s] += (1.0 - wind_) * settled_[s];
            next[after_wind(s)] += wind_ * settled_[s];
        }
        if (task_.ends_at_goal()) next[static_cast<std::size_t>(task_.goal())] = 0.0;
    }

    double over_starts(const Values& value) const {
        double sum = 0.0;
        for (const std::size_t start : task_.starts()) sum += value[start];
        return sum / static_cast<double>(task_.starts().size());
    }

private:
    std::size_t after_action(std::size_t s, std::size_t a) const {
        return static_cast<std::size_t>(task_.after_action(static_cast<int>(s), static_cast<int>(a)));
    }
    std::size_t after_wind(std::size_t s) const {
        return static_cast<std::size_t>(task_.after_wind(static_cast<int>(s)));
    }

    const GridNavigation& task_;
    std::size_t states_;
    std::size_t actions_;
    double wind_;
    double slip_;
    Values settled_;  ///< scratch: before the wind has blown
};

/// V(s) = sum over a of pi(a|s) Q(s, a)
void average(std::span<const double> policy, const Values& action_value, Values& value) {
    const std::size_t actions = policy.size() / value.size();
    for (std::size_t s = 0; s < value.size(); ++s) {
        value[s] = 0.0;
        for (std::size_t k = s * actions; k < (s + 1) * actions; ++k) value[s] += policy[k] * action_value[k];
    }
}

}  // namespace

GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy) {
    Model model(task);
    assert(policy.size() == model.states() * model.actions());
    Values value(model.states(), 0.0);
    Values success(model.states(), 0.0);
    Values arrival(model.states());
    Values action_value(policy.size());
    for (int step = 0; step < task.horizon(); ++step) {
        model.arrive(value, task.discount(), arrival);
        model.act(arrival, action_value);
        average(policy, action_value, value);

        success[static_cast<std::size_t>(task.goal())] = 1.0;  // whoever has arrived has succeeded, wherever next
        model.act(success, action_value);
        average(policy, action_value, success);
    }
    return {model.over_starts(value), model.over_starts(success)};
}

double optimal_return(const GridNavigation& task) {
    Model model(task);
    Values value(model.states(), 0.0);
    Values arrival(model.states());
    Values action_value(model.states() * model.actions());
    for (int step = 0; step < task.horizon(); ++step) {
        model.arrive(value, task.discount(), arrival);
        model.act(arrival, action_value);
        for (std::size_t s = 0; s < model.states(); ++s) {
            const double* first = &action_value[s * model.actions()];
            value[s] = *std::max_element(first, first + model.actions());
        }
    }
    return model.over_starts(value);
}

std::vector<double> policy_gradient(const GridNavigation& task, std::span<const double> policy) {
    Model model(task);
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
    for (const std::size_t start : task.starts())
        occupancy[start] = 1.0 / static_cast<double>(task.starts().size());
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

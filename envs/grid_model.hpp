// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_navigation.hpp"

#include <algorithm>
#include <span>

namespace dunlin {

/// The tables of one task as probabilities. `scratch` holds a double a state.
class GridModel {
public:
    GridModel(const GridNavigation& task, std::span<double> scratch)
        : task_(task),
          states_(static_cast<std::size_t>(task.state_count())),
          actions_(static_cast<std::size_t>(task.action_count())),
          wind_(task.wind()),
          slip_(task.slip()),
          settled_(scratch.first(states_)) {}

    std::size_t states() const { return states_; }
    std::size_t actions() const { return actions_; }
    double slip() const { return slip_; }
    bool goal(std::size_t state) const { return static_cast<int>(state) == task_.goal(); }

    /// What it is worth that a step ends in each state, when going on from there is worth `value`.
    void arrive(std::span<const double> value, double discount, std::span<double> arrival) const {
        for (std::size_t s = 0; s < states_; ++s) {
            const bool over = task_.ends_at_goal() && goal(s);
            arrival[s] = task_.reward_at(static_cast<int>(s)) + (over ? 0.0 : discount * value[s]);
        }
    }

    /// What it is worth to stand in each state before the wind blows: in `out`, or, without wind, `arrival` itself.
    std::span<const double> settle(std::span<const double> arrival, std::span<double> out) const {
        if (wind_ == 0.0) return arrival;
        for (std::size_t s = 0; s < states_; ++s) {
            out[s] = (1.0 - wind_) * arrival[s] + wind_ * arrival[after_wind(s)];
        }
        return out;
    }

    /// Q: what each action is worth in each state, over slip and wind.
    void act(std::span<const double> arrival, std::span<double> action_value) {
        const std::span<const double> settled = settle(arrival, settled_);
        for (std::size_t s = 0; s < states_; ++s) {
            double mean = 0.0;
            for (std::size_t a = 0; a < actions_; ++a) mean += settled[after_action(s, a)];
            mean /= static_cast<double>(actions_);
            for (std::size_t a = 0; a < actions_; ++a) {
                action_value[s * actions_ + a] = (1.0 - slip_) * settled[after_action(s, a)] + slip_ * mean;
            }
        }
    }

    /// The next step's probabilities of being in each state; what has ended is gone.
    void advance(std::span<const double> policy, std::span<const double> occupancy, std::span<double> next) {
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

    double over_starts(std::span<const double> value) const {
        double sum = 0.0;
        for (const int start : task_.starts()) sum += value[static_cast<std::size_t>(start)];
        return sum / static_cast<double>(task_.starts().size());
    }

    std::size_t after_action(std::size_t s, std::size_t a) const {
        return static_cast<std::size_t>(task_.after_action(static_cast<int>(s), static_cast<int>(a)));
    }

private:
    std::size_t after_wind(std::size_t s) const {
        return static_cast<std::size_t>(task_.after_wind(static_cast<int>(s)));
    }

    const GridNavigation& task_;
    std::size_t states_;
    std::size_t actions_;
    double wind_;
    double slip_;
    std::span<double> settled_;  ///< scratch: before the wind has blown
};

/// V(s) = sum over a of pi(a|s) Q(s, a)
inline void average(std::span<const double> policy, std::span<const double> action_value, std::span<double> value) {
    const std::size_t actions = policy.size() / value.size();
    for (std::size_t s = 0; s < value.size(); ++s) {
        value[s] = 0.0;
        for (std::size_t k = s * actions; k < (s + 1) * actions; ++k) value[s] += policy[k] * action_value[k];
    }
}

}  // namespace dunlin

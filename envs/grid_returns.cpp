// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_returns.hpp"

#include "envs/grid_model.hpp"

#include <limits>
#include <utility>

namespace dunlin {
namespace {

constexpr double left_off = std::numeric_limits<double>::quiet_NaN();

/// The pieces of a scratch block, all zero.
struct Tables {
    Tables(const GridNavigation& task, std::span<double> scratch)
        : states(static_cast<std::size_t>(task.state_count())), blocks(scratch) {
        std::fill(scratch.begin(), scratch.begin() + static_cast<std::ptrdiff_t>(6 * states), 0.0);
    }
    std::span<double> operator[](std::size_t k) const { return blocks.subspan(k * states, states); }

    std::size_t states;
    std::span<double> blocks;
};

/// Q(s, a) for the actions of one state, from what it is worth to stand in each state before the wind blows.
struct ActionValues {
    ActionValues(const GridModel& model, std::span<const double> settled, std::size_t s)
        : model_(model), settled_(settled), state_(s) {
        if (model.slip() > 0.0) {
            for (std::size_t a = 0; a < model.actions(); ++a) mean_ += settled[model.after_action(s, a)];
            mean_ /= static_cast<double>(model.actions());
        }
    }
    double operator[](std::size_t a) const {
        const double value = settled_[model_.after_action(state_, a)];
        return model_.slip() > 0.0 ? (1.0 - model_.slip()) * value + model_.slip() * mean_ : value;
    }

private:
    const GridModel& model_;
    std::span<const double> settled_;
    std::size_t state_;
    double mean_ = 0.0;
};

}  // namespace

GridEvaluation evaluate_policy(const GridNavigation& task, std::span<const double> policy,
                               std::span<double> scratch, StopAsked stop) {
    const Tables t(task, scratch);
    GridModel model(task, t[0]);
    const std::span<double> value = t[1], arrival = t[2];
    std::span<double> success = t[3], next_success = t[4];
    for (int step = 0; step < task.horizon(); ++step) {
        if (stop()) return {left_off, left_off};
        model.arrive(value, task.discount(), arrival);
        success[static_cast<std::size_t>(task.goal())] = 1.0;  // who has arrived has succeeded, wherever next
        const std::span<const double> settled = model.settle(arrival, t[0]);
        const std::span<const double> settled_success = model.settle(success, t[5]);
        for (std::size_t s = 0; s < t.states; ++s) {
            if (!task.connected(static_cast<int>(s))) continue;
            const ActionValues gain(model, settled, s), chance(model, settled_success, s);
            double mean_gain = 0.0, mean_chance = 0.0;
            for (std::size_t a = 0; a < model.actions(); ++a) {
                const double probability = policy[s * model.actions() + a];
                mean_gain += probability * gain[a];
                mean_chance += probability * chance[a];
            }
            value[s] = mean_gain;
            next_success[s] = mean_chance;
        }
        std::swap(success, next_success);
    }
    return {model.over_starts(value), model.over_starts(success)};
}

double optimal_return(const GridNavigation& task, std::span<double> scratch, StopAsked stop) {
    const Tables t(task, scratch);
    GridModel model(task, t[0]);
    const std::span<double> value = t[1], arrival = t[2];
    for (int step = 0; step < task.horizon(); ++step) {
        if (stop()) return left_off;
        model.arrive(value, task.discount(), arrival);
        const std::span<const double> settled = model.settle(arrival, t[0]);
        for (std::size_t s = 0; s < t.states; ++s) {
            if (!task.connected(static_cast<int>(s))) continue;
            const ActionValues gain(model, settled, s);
            double best = gain[0];
            for (std::size_t a = 1; a < model.actions(); ++a) best = std::max(best, gain[a]);
            value[s] = best;
        }
    }
    return model.over_starts(value);
}

}  // namespace dunlin

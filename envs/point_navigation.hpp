// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace dunlin {

enum class PointReward : std::uint8_t {
    squared_distance,  ///< -|position - goal|^2, as the paper's text says
    distance           ///< -|position - goal|, as the authors' published code does
};

/// A round obstacle in the plane.
struct PointDisc {
    float x = 0.0f, y = 0.0f, radius = 0.0f;

    bool holds(float at_x, float at_y) const {
        const float dx = at_x - x, dy = at_y - y;
        return dx * dx + dy * dy < radius * radius;
    }
    /// Is any point of the straight way from one to another within it?
    bool blocks(float from_x, float from_y, float to_x, float to_y) const {
        const float dx = to_x - from_x, dy = to_y - from_y, length = dx * dx + dy * dy;
        float share = length > 0.0f ? ((x - from_x) * dx + (y - from_y) * dy) / length : 0.0f;
        share = share < 0.0f ? 0.0f : share > 1.0f ? 1.0f : share;
        return holds(from_x + share * dx, from_y + share * dy);
    }

    friend bool operator==(const PointDisc&, const PointDisc&) = default;
};

/// Continuous navigation in the plane: from the origin to a goal that only the rewards reveal. An action is a
/// velocity, each coordinate clipped to [-0.1, 0.1]; a step moves by it, and by the drift, and pays for the position
/// reached. A step that would pass through an obstacle stays where it began. Tasks differ in their goals, and in what
/// drift they have.
///
/// Source: Finn, Abbeel, Levine 2017 (MAML), section 5.3 and appendix A.2. The paper ends a trajectory within 0.01
/// of the goal, which goal_radius does. At 0 nothing does, so that every return is a sum over the whole horizon and
/// lingering nearby is not paid. Obstacles and drift are ours.
struct PointNavigation {
    struct State {
        float x = 0.0f;
        float y = 0.0f;
    };
    struct Step {
        float reward;
        bool ended;
    };
    static constexpr float speed_limit = 0.1f;
    static constexpr int obstacle_limit = 8;

    float goal_x = 0.0f;
    float goal_y = 0.0f;
    PointReward reward = PointReward::squared_distance;
    int horizon_steps = 100;        ///< H
    float discount_factor = 0.99f;  ///< gamma
    float goal_radius = 0.0f;  ///< a step that ends as near to the goal as this ends the trajectory; 0: none does
    float drift_x = 0.0f, drift_y = 0.0f;  ///< added to every step
    int obstacles = 0;                     ///< of `discs`, the first ones
    std::array<PointDisc, obstacle_limit> discs{};

    /// A task whose goal is uniform in [-0.5, 0.5)^2.
    static PointNavigation sample(Stream& random) {
        PointNavigation task;
        task.goal_x = random.uniform() - 0.5f;
        task.goal_y = random.uniform() - 0.5f;
        return task;
    }

    int action_size() const { return 2; }
    int horizon() const { return horizon_steps; }
    float discount() const { return discount_factor; }

    /// The origin; draws nothing.
    State reset(Stream&) const { return {}; }

    /// The action is action[0] and action[stride]; draws nothing.
    Step step(State& state, const float* action, std::ptrdiff_t stride, Stream&) const {
        const float x = state.x + clip(action[0]) + drift_x, y = state.y + clip(action[stride]) + drift_y;
        if (!blocked(state.x, state.y, x, y)) state = {x, y};
        const float dx = state.x - goal_x;
        const float dy = state.y - goal_y;
        const float squared = dx * dx + dy * dy;
        return {reward == PointReward::distance ? -__builtin_sqrtf(squared) : -squared,
                squared < goal_radius * goal_radius};
    }

    /// Does an obstacle stand on the straight way from one place to another?
    bool blocked(float from_x, float from_y, float to_x, float to_y) const {
        for (int k = 0; k < obstacles; ++k) {
            if (discs[static_cast<std::size_t>(k)].blocks(from_x, from_y, to_x, to_y)) return true;
        }
        return false;
    }

    friend bool operator==(const PointNavigation&, const PointNavigation&) = default;

    /// Is it within 0.1 of the goal?
    bool arrived(const State& state) const {
        const float dx = state.x - goal_x, dy = state.y - goal_y;
        return dx * dx + dy * dy < 0.01f;
    }

    int observation_size() const { return 2; }
    /// The position: out[0] and out[stride].
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        out[0] = state.x;
        out[stride] = state.y;
    }

private:
    static float clip(float velocity) {
        return velocity < -speed_limit ? -speed_limit : velocity > speed_limit ? speed_limit : velocity;
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <cstddef>
#include <cstdint>

namespace dunlin {

enum class PointReward : std::uint8_t {
    squared_distance,  ///< -|position - goal|^2, as the paper's text says
    distance           ///< -|position - goal|, as the authors' published code does
};

/// Continuous navigation in the plane: from the origin to a goal that only the rewards reveal. An action is a
/// velocity, each coordinate clipped to [-0.1, 0.1]; a step moves by it and pays for the position reached. The goal
/// is what differs between tasks.
///
/// Source: Finn, Abbeel, Levine 2017 (MAML), section 5.3 and appendix A.2. The paper ends a trajectory within 0.01
/// of the goal. Here nothing does, so that every return is a sum over the whole horizon and lingering nearby is not
/// paid.
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

    float goal_x = 0.0f;
    float goal_y = 0.0f;
    PointReward reward = PointReward::squared_distance;
    int horizon_steps = 100;        ///< H
    float discount_factor = 0.99f;  ///< gamma

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
        state.x += clip(action[0]);
        state.y += clip(action[stride]);
        const float dx = state.x - goal_x;
        const float dy = state.y - goal_y;
        const float squared = dx * dx + dy * dy;
        return {reward == PointReward::distance ? -__builtin_sqrtf(squared) : -squared, false};
    }

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

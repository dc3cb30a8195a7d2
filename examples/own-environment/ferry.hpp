// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

/// A ferry that is to stay in the middle of a river while a current pushes it sideways. Each river has its own
/// current, and on some ferries the rudder is mounted the wrong way round: what is right for one task is wrong for
/// the next, so that a policy must adapt. All that Dunlin asks of an environment is in rl/environment.hpp; nothing
/// is inherited and nothing registered.
struct Ferry {
    struct State {
        float place;  ///< -1 is the left bank, 1 the right one
        float speed;  ///< places a step
        int step;
    };
    struct Step {
        float reward;
        bool ended;
    };

    float current = 0.0f;  ///< pushes by this much a step
    bool reversed = false;

    static Ferry sample(dunlin::Stream& random) {
        return {0.02f * (2.0f * random.uniform() - 1.0f), random.uniform() < 0.5f};
    }

    int horizon() const { return 40; }
    float discount() const { return 0.97f; }
    int action_count() const { return 3; }  // left, straight on, right
    int observation_size() const { return 2; }

    State reset(dunlin::Stream& random) const { return {1.6f * random.uniform() - 0.8f, 0.0f, 0}; }

    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        out[0] = state.place;
        out[stride] = 10.0f * state.speed;  // about as large as the place: networks like that
    }

    /// The reward is 1 in the middle and 0 at a bank, where the trip ends.
    Step step(State& state, int action, dunlin::Stream&) const {
        const float rudder = 0.06f * static_cast<float>(action - 1) * (reversed ? -1.0f : 1.0f);
        state.speed = 0.7f * state.speed + rudder + current;
        state.place = std::clamp(state.place + state.speed, -1.0f, 1.0f);
        ++state.step;
        const float distance = std::abs(state.place);
        return {(1.0f - distance) * (1.0f - distance), distance >= 1.0f};
    }
};

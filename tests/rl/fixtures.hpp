// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "envs/navigation_tasks.hpp"
#include "rl/policy_gradient_task.hpp"

#include <memory>
#include <vector>

namespace dunlin::testing {

/// Memory that an arena can use.
class Memory {
public:
    explicit Memory(std::size_t bytes) : lines_(bytes / Arena::alignment + 1) {}
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(lines_)); }

private:
    struct alignas(Arena::alignment) Line {
        std::byte bytes[Arena::alignment];
    };
    std::vector<Line> lines_;
};

/// A task of reinforcement learning together with its memory.
template <Environment E, class Policy>
struct Learner {
    Memory memory;
    Arena arena;
    PolicyGradientTask<E, Policy> task;
    std::vector<typename Policy::Scalar> parameters;

    Learner(const Policy& policy, const RolloutSettings& settings, const RolloutLimits& limits)
        : memory(PolicyGradientTask<E, Policy>::bytes(policy, settings, limits)),
          arena(memory.bytes()),
          task(policy, settings, limits, arena),
          parameters(policy.parameters()) {
        Stream random(21, 0, Purpose::initialise);
        for (auto& w : parameters) w = typename Policy::Scalar(0.4f * random.normal());
    }
};

inline GridTask grid(int rows, int columns, GridTaskSettings settings) {
    return *GridTask::make({std::string(static_cast<std::size_t>(rows * columns), '.'), rows, columns}, settings);
}

inline RolloutLimits limits(const GridNavigation& environment) {
    return {environment.horizon(), environment.observation_size(), environment.state_count()};
}

template <class S>
CategoricalPolicy<S> one_hot_policy(const GridNavigation& environment, std::vector<int> hidden,
                                    Activation activation = Activation::tanh) {
    return {Mlp<S>{*MlpShape::make(environment.state_count(), hidden, environment.action_count(), activation, true,
                                   !hidden.empty())}};
}

}  // namespace dunlin::testing

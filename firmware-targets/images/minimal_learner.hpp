// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/first_order.hpp"
#include "core/random.hpp"
#include "rl/policy_gradient_task.hpp"

/// The learner whose size is measured: a 2-64-64-5 policy with relu, four trajectories of eight steps.
namespace dunlin::minimal {

/// A world that costs nothing: walking along a line.
struct Walk {
    using State = std::int32_t;
    struct Step {
        float reward;
        bool ended;
    };
    int horizon() const { return 8; }
    float discount() const { return 0.95f; }
    State reset(Stream& random) const { return static_cast<State>(random.below(3)); }
    int observation_size() const { return 2; }
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        out[0] = static_cast<float>(state);
        out[stride] = 1.0f;
    }
    int action_count() const { return 5; }
    Step step(State& state, int action, Stream&) const { return {static_cast<float>(state += action - 2), false}; }
};

constexpr MlpShape shape{
    .inputs = 2, .layers = 3, .widths = {64, 64, 5}, .hidden = Activation::relu, .one_hot = false, .bias = true};
using Policy = CategoricalPolicy<float>;
using WalkTask = PolicyGradientTask<Walk, Policy>;
constexpr Policy policy{{shape, &first_order_kernels}};
constexpr RolloutSettings rollout{.trajectories = 4,
                                  .baseline = Baseline::leave_one_out,
                                  .evaluation = Evaluation::per_step,
                                  .second_order = false,
                                  .as_drawn = true};
constexpr RolloutLimits limits{.horizon = 8, .observations = 2, .states = 0};

constexpr std::size_t dimension = policy.parameters();

/// Bytes of the task's memory that hold activations (the network's, its inputs and its deltas), and those that hold
/// what a batch recorded: six numbers a step.
constexpr int columns = pad_columns(rollout.trajectories);
constexpr std::size_t activation_bytes =
    sizeof(float) * static_cast<std::size_t>(columns) *
    static_cast<std::size_t>((shape.units() + shape.inputs) * limits.horizon + shape.units());
constexpr std::size_t record_bytes =
    6 * sizeof(float) * static_cast<std::size_t>(columns) * static_cast<std::size_t>(limits.horizon);

}  // namespace dunlin::minimal

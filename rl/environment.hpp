// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace dunlin {

/// What reinforcement learning needs of an environment: a value that describes one Markov decision process and
/// knows how to start and to step a trajectory, whose state is a small trivially copyable value. All randomness
/// comes from the stream that is handed in; nothing allocates. An environment outside Dunlin is one struct with
/// these members (examples/own-environment).
template <class E>
concept Environment = std::copyable<E> && std::is_trivially_copyable_v<typename E::State> &&
    std::default_initializable<E> &&
    requires(const E& e, const typename E::State& state, Stream& random, float* out, std::ptrdiff_t stride) {
    { e.horizon() } -> std::convertible_to<int>;             // H: most steps of a trajectory
    { e.discount() } -> std::convertible_to<float>;          // gamma
    { e.reset(random) } -> std::same_as<typename E::State>;  // draws a start
    { e.observation_size() } -> std::convertible_to<int>;
    e.observe(state, out, stride);  // number k goes to out[k * stride]
};

/// Actions 0 ... action_count() - 1. `step` moves the state and returns {float reward; bool ended}.
template <class E>
concept DiscreteEnvironment = Environment<E> &&
    requires(const E& e, typename E::State& state, int action, Stream& random) {
    { e.action_count() } -> std::convertible_to<int>;
    { e.step(state, action, random).reward } -> std::convertible_to<float>;
    { e.step(state, action, random).ended } -> std::convertible_to<bool>;
};

/// Actions are action_size() numbers; number k is action[k * stride].
template <class E>
concept ContinuousEnvironment = Environment<E> &&
    requires(const E& e, typename E::State& state, const float* action, std::ptrdiff_t stride, Stream& random) {
    { e.action_size() } -> std::convertible_to<int>;
    { e.step(state, action, stride, random).reward } -> std::convertible_to<float>;
    { e.step(state, action, stride, random).ended } -> std::convertible_to<bool>;
};

/// States can be counted: 0 <= index(state) < state_count(), and state(index) is the way back. Such an environment
/// can be seen one-hot, and a policy is evaluated once a state instead of once a step where that is cheaper.
template <class E>
concept FiniteEnvironment = DiscreteEnvironment<E> &&
    requires(const E& e, const typename E::State& state, std::int32_t index) {
    { e.state_count() } -> std::convertible_to<int>;
    { e.index(state) } -> std::convertible_to<std::int32_t>;
    { e.state(index) } -> std::same_as<typename E::State>;
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "rl/environment.hpp"
#include "rl/policy.hpp"

#include <algorithm>
#include <span>

namespace dunlin {

/// What a policy does in every state of a finite environment: its probabilities, normalised in double, the actions
/// of one state side by side. `out` holds state_count() x actions() of them; the arena gives probability_bytes, and
/// one that is used again begins anew. States are evaluated `most` at a time, a multiple of column_multiple: the
/// fewer, the less memory.
inline constexpr int all_states = 1 << 20;
template <class A>
constexpr void take_probability_scratch(const MlpShape& shape, int observations, int states, int most, A& arena,
                                        Columns<float>& observed, Columns<float>& tape,
                                        std::span<std::int32_t>& index) {
    const int columns = std::min(pad_columns(states), most);
    const auto floats = [&](int rows) {
        return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    };
    observed = {arena.template take<float>(floats(observations)).data(), columns};
    tape = {arena.template take<float>(floats(shape.units())).data(), columns};
    index = arena.template take<std::int32_t>(static_cast<std::size_t>(columns));
}
constexpr std::size_t probability_bytes(const MlpShape& shape, int observations, int states,
                                        int most = all_states) {
    ArenaSize size;
    Columns<float> matrix;
    std::span<std::int32_t> index;
    take_probability_scratch(shape, observations, states, most, size, matrix, matrix, index);
    return size.bytes();
}

template <FiniteEnvironment E>
void action_probabilities(const CategoricalPolicy<float>& policy, const E& environment,
                          ConstVector<float> parameters, Arena& arena, std::span<double> out,
                          int most = all_states) {
    const int states = environment.state_count(), actions = policy.actions();
    Columns<float> observed, tape;
    std::span<std::int32_t> index;
    take_probability_scratch(policy.network.shape, environment.observation_size(), states, most, arena, observed,
                             tape, index);
    const int columns = static_cast<int>(tape.stride);
    for (int first = 0; first < states; first += columns) {
        const int count = std::min(columns, states - first);
        for (int s = 0; s < count; ++s) {
            index[static_cast<std::size_t>(s)] = first + s;
            environment.observe(environment.state(first + s), observed.data + s, observed.stride);
        }
        policy.network.forward(parameters.data(), {observed, index.data()}, tape, columns);
        const Columns<float> probability = policy.network.output(tape);
        policy.network.kernels->softmax(probability, probability, actions, columns);
        for (int s = 0; s < count; ++s) {
            double sum = 0;
            for (int a = 0; a < actions; ++a) sum += static_cast<double>(probability.row(a)[s]);
            for (int a = 0; a < actions; ++a) {
                out[static_cast<std::size_t>((first + s) * actions + a)] =
                    static_cast<double>(probability.row(a)[s]) / sum;
            }
        }
    }
}

}  // namespace dunlin

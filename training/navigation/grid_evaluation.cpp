// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/grid_evaluation.hpp"

#include "rl/probabilities.hpp"
#include "training/host/host_memory.hpp"

namespace dunlin {

std::vector<double> action_probabilities(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                         ConstVector<float> parameters) {
    // As many states at once as a processor's cache holds the network's answers for.
    constexpr int most = 1024;
    HostMemory memory(probability_bytes(policy.network.shape, task.observation_size(), task.state_count(), most));
    Arena arena(memory.bytes());
    std::vector<double> probabilities(static_cast<std::size_t>(task.state_count() * policy.actions()));
    action_probabilities(policy, task, parameters, arena, probabilities, most);
    return probabilities;
}

GridEvaluation evaluate_exactly(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                ConstVector<float> parameters, StopAsked stop) {
    return evaluate_policy(task, action_probabilities(policy, task, parameters), stop);
}

}  // namespace dunlin

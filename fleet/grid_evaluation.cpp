// SPDX-License-Identifier: Apache-2.0
#include "fleet/grid_evaluation.hpp"

#include "fleet/host_memory.hpp"

namespace dunlin {

std::vector<double> action_probabilities(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                         ConstVector<float> parameters) {
    const MlpShape& shape = policy.network.shape;
    const int columns = pad_columns(task.state_count());
    const auto floats = [&](int rows) {
        return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    };
    HostMemory memory(Arena::bytes<float>(floats(task.observation_size())) +
                      Arena::bytes<float>(floats(shape.units())) +
                      Arena::bytes<std::int32_t>(static_cast<std::size_t>(columns)));
    Arena arena(memory.bytes());
    const Columns<float> observations{arena.take<float>(floats(task.observation_size())).data(), columns};
    const Columns<float> tape{arena.take<float>(floats(shape.units())).data(), columns};
    const std::span<std::int32_t> index = arena.take<std::int32_t>(static_cast<std::size_t>(columns));
    for (int s = 0; s < task.state_count(); ++s) {
        index[static_cast<std::size_t>(s)] = s;
        task.observe(task.state(s), observations.data + s, columns);
    }
    policy.network.forward(parameters.data(), {observations, index.data()}, tape, columns);
    const Columns<float> out = policy.network.output(tape);
    policy.network.kernels->softmax(out, out, policy.actions(), columns);

    std::vector<double> probabilities;
    for (int s = 0; s < task.state_count(); ++s) {
        double sum = 0;
        for (int a = 0; a < policy.actions(); ++a) sum += static_cast<double>(out.row(a)[s]);
        for (int a = 0; a < policy.actions(); ++a)
            probabilities.push_back(static_cast<double>(out.row(a)[s]) / sum);
    }
    return probabilities;
}

GridEvaluation evaluate_exactly(const CategoricalPolicy<float>& policy, const GridNavigation& task,
                                ConstVector<float> parameters) {
    return evaluate_policy(task, action_probabilities(policy, task, parameters));
}

}  // namespace dunlin

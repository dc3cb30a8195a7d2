// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/grid_evaluation.hpp"

#include "core/optimiser.hpp"
#include "rl/probabilities.hpp"
#include "training/host/host_memory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

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

std::vector<double> shared_policy(std::span<const GridNavigation> tasks, std::span<const double> optima,
                                  StopAsked stop) {
    constexpr double most_work = 2e9;  // multiply-adds, about two seconds
    constexpr int steps = 120;
    constexpr std::size_t few = 3;
    if (tasks.empty()) return {};
    const GridNavigation& first = tasks.front();
    // Values backwards, occupancies forwards, and the values of each step again.
    const double once = 20.0 * first.horizon() * first.state_count() * first.action_count();
    const auto affordable = static_cast<std::size_t>(most_work / (once * steps));
    if (affordable < std::min(few, tasks.size())) return {};
    const std::size_t batch = std::min(tasks.size(), affordable);
    const int between_looks = batch == tasks.size() ? 1 : 30;

    const auto actions = static_cast<std::size_t>(first.action_count());
    const std::size_t size = static_cast<std::size_t>(first.state_count()) * actions;
    std::vector<double> logits(size, 0.0), policy(size), mean(size, 0.0), square(size, 0.0), gradient(size), best;
    Adam adam{.rate = 0.3f, .mean_decay = 0.8f, .square_decay = 0.9f};
    Adam::State<double> moments{mean, square, 0};
    double best_value = -std::numeric_limits<double>::infinity();
    for (int k = 0; k <= steps; ++k) {
        for (std::size_t s = 0; s < size; s += actions) {
            const double most = *std::max_element(logits.begin() + static_cast<std::ptrdiff_t>(s),
                                                  logits.begin() + static_cast<std::ptrdiff_t>(s + actions));
            double sum = 0;
            for (std::size_t a = s; a < s + actions; ++a) sum += policy[a] = std::exp(logits[a] - most);
            for (std::size_t a = s; a < s + actions; ++a) policy[a] /= sum;
        }
        if (k % between_looks == 0) {
            double value = 0;
            for (std::size_t i = 0; i < tasks.size(); ++i) {
                if (stop()) return {};
                if (optima[i] > 0) value += evaluate_policy(tasks[i], policy, stop).expected_return / optima[i];
            }
            if (value > best_value) {
                best_value = value;
                best = policy;
            }
        }
        if (k == steps) break;
        std::fill(gradient.begin(), gradient.end(), 0.0);
        for (std::size_t b = 0; b < batch; ++b) {
            const std::size_t i = (static_cast<std::size_t>(k) * batch + b) % tasks.size();
            if (stop()) return {};
            if (!(optima[i] > 0)) continue;  // nothing to be earned there
            const std::vector<double> own = policy_gradient(tasks[i], policy);
            for (std::size_t a = 0; a < size; ++a) gradient[a] -= own[a] / (optima[i] * static_cast<double>(batch));
        }
        adam.rate = 0.3f / (1.0f + 0.02f * static_cast<float>(k));
        adam.step<double>(logits, gradient, moments);
    }
    return best;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// End to end: MEMRL iterations on the 7x7 navigation tasks (sampling, environment, policy gradient, inner and outer
// steps) on one core, with a 64-64 perceptron evaluated for every step of every trajectory (general) or once for
// every state (per state).
#include "training/navigation/navigation.hpp"

#include "bench.hpp"

#include <memory>
#include <string>

namespace dunlin::bench {
namespace {

void iterate(benchmark::State& state, Evaluation evaluation, PolicyInput input, int trajectories) {
    NavigationSettings settings;
    settings.input = input;
    settings.rollout.trajectories = trajectories;
    settings.rollout.evaluation = evaluation;
    settings.iterations = 1 << 30;
    const auto training = NavigationTraining::make(settings, 1);
    if (!training) return state.SkipWithError(training.error().text.c_str());
    for (auto _ : state) {
        if (!(*training)->iterate()) return state.SkipWithError("training stopped");
    }
    state.counters["M env steps/s"] = benchmark::Counter(
        1e-6 * static_cast<double>((*training)->environment_steps()), benchmark::Counter::kIsRate);
}

void add(const std::string& name, Evaluation evaluation, PolicyInput input, int trajectories) {
    take_best(
        benchmark::RegisterBenchmark(("memrl 7x7/" + name).c_str(), iterate, evaluation, input, trajectories));
}

}  // namespace

void register_navigation() {
    for (int trajectories : {32, 48, 128}) {
        const std::string count = "/D=" + std::to_string(trajectories);
        add("general, one-hot" + count, Evaluation::per_step, PolicyInput::one_hot, trajectories);
        add("general, coordinates" + count, Evaluation::per_step, PolicyInput::coordinates, trajectories);
        add("per state, one-hot" + count, Evaluation::per_state, PolicyInput::one_hot, trajectories);
    }
}

}  // namespace dunlin::bench

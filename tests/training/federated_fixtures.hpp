// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/federated_problem.hpp"
#include "training/runs/federated_training.hpp"

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

namespace dunlin::test {

/// f_i(w) = 1/2 |w - c_i|^2 with noise on the gradient: a task whose optima are known.
struct Bowl {
    const float* centre = nullptr;
    std::size_t size = 2;
    float noise = 0.0f;
    std::array<std::vector<float>, 8> shifts{};

    std::size_t dimension() const { return size; }
    int slots() const { return 8; }
    void draw(int slot, ConstVector<float>, Stream& random) {
        random.next_epoch();
        auto& shift = shifts[static_cast<std::size_t>(slot)];
        shift.resize(size);
        for (float& x : shift) x = noise > 0.0f ? noise * random.normal() : 0.0f;
    }
    float value(int, ConstVector<float> w) const {
        float sum = 0.0f;
        for (std::size_t k = 0; k < size; ++k) sum += 0.5f * (w[k] - centre[k]) * (w[k] - centre[k]);
        return sum;
    }
    void gradient(int slot, ConstVector<float> w, Vector<float> out) const {
        for (std::size_t k = 0; k < size; ++k)
            out[k] = w[k] - centre[k] + shifts[static_cast<std::size_t>(slot)][k];
    }
    void hessian_vector(int, ConstVector<float>, ConstVector<float> v, Vector<float> out) const {
        std::copy(v.begin(), v.end(), out.begin());
    }
};

/// Bowls around given centres, as a fleet learns them. Metric: the mean distance to the node's centre, negative.
struct BowlWorld {
    using Task = Bowl;
    std::vector<std::vector<float>> centres;
    float noise = 0.0f;

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(centres.size()); }
    void initialise(Vector<float> w) const { std::fill(w.begin(), w.end(), 0.0f); }
    std::vector<float> samples() const { return std::vector<float>(centres.size(), 1.0f); }
    std::size_t bytes() const { return 64; }
    Task make_task(Arena&) const { return {centres[0].data(), centres[0].size(), noise}; }
    void describe(TrainedModel& model) const { model.task = "bowls"; }
    void assign(Task& task, std::uint32_t node) const { task.centre = centres[node % centres.size()].data(); }
    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
        assign(task, node);
        return {1, {-std::sqrt(2.0 * static_cast<double>(task.value(0, w))), 0.0, 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        return {{"closeness", "closeness", score.sums[0] / static_cast<double>(score.count)}};
    }
};

/// A fleet on bowls, with all that it needs.
struct BowlFleet {
    Workers workers;
    WorldProblem<BowlWorld> problem;
    std::vector<float> samples;
    Outcome<std::unique_ptr<FederatedFleet>> made;

    BowlFleet(const FederatedSettings& settings, std::vector<std::vector<float>> centres, std::uint64_t seed = 1,
              int threads = 1, float noise = 0.0f)
        : workers(threads),
          problem({std::move(centres), noise}, settings, threads),
          samples(problem.samples()),
          made([&] {
              const std::vector<float> first(problem.dimension());
              return FederatedFleet::make(
                  settings, seed, first, samples,
                  [this](std::uint32_t node, int worker) -> Learner& { return problem.learner(node, worker); },
                  workers);
          }()) {}
    FederatedFleet* operator->() { return made->get(); }
    Outcome<void> advance(double until_s) {
        return (*made)->advance(until_s, [] { return false; });
    }
};

inline std::vector<std::vector<float>> spread_centres(std::size_t nodes) {
    std::vector<std::vector<float>> centres;
    for (std::size_t i = 0; i < nodes; ++i) {
        const auto angle = static_cast<float>(i);
        centres.push_back({2.0f + std::cos(angle), -1.0f + std::sin(angle)});
    }
    return centres;
}

}  // namespace dunlin::test

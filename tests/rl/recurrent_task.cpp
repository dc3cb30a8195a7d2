// SPDX-License-Identifier: Apache-2.0
#include "rl/recurrent_task.hpp"

#include "allocations.hpp"

#include <vector>

using namespace dunlin;

namespace {

/// A short corridor in which a step may fail; its end pays and ends a trajectory.
struct Corridor {
    struct State {
        int at = 0;
    };
    struct Step {
        float reward;
        bool ended;
    };
    float slip = 0.2f;

    int horizon() const { return 5; }
    float discount() const { return 0.9f; }
    int action_count() const { return 3; }
    int observation_size() const { return 2; }
    State reset(Stream& random) const { return {static_cast<int>(random.below(2))}; }
    Step step(State& state, int action, Stream& random) const {
        if (random.uniform() >= slip) state.at += action - 1;
        return {state.at >= 3 ? 1.0f : -0.1f * static_cast<float>(action), state.at >= 3};
    }
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        out[0] = static_cast<float>(state.at);
        out[stride] = state.at > 1 ? 1.0f : 0.0f;
    }
};
static_assert(DiscreteEnvironment<Corridor>);

template <class S>
struct Bench {
    Bench(LayerKind cell, bool across, const Kernels<S>* kernels)
        : policy(RecurrentPolicy<S>::make(trial_inputs(2, 3), 4, cell, 5, 3, kernels).value()),
          settings{.trials = 16, .steps = 17, .across = across, .discount = 0.9f, .clip = 0.3f, .entropy = 0.05f},
          lines(RecurrentTask<Corridor, S>::bytes(policy, settings, 2, 3) / sizeof(Line) + 1),
          arena(std::as_writable_bytes(std::span(lines))),
          task(policy, settings, 2, 3, arena),
          environments(16, &corridor) {}

    struct alignas(Arena::alignment) Line {
        std::byte bytes[Arena::alignment];
    };
    Corridor corridor;
    RecurrentPolicy<S> policy;
    TrialSettings settings;
    std::vector<Line> lines;
    Arena arena;
    RecurrentTask<Corridor, S> task;
    std::vector<const Corridor*> environments;
};

std::vector<double> numbers(std::size_t count, std::uint32_t node, double scale) {
    Stream random(3, node, Purpose::user);
    std::vector<double> all;
    for (std::size_t k = 0; k < count; ++k) all.push_back(scale * static_cast<double>(random.normal()));
    return all;
}

}  // namespace

TEST_CASE(
    "a recurrent policy's gradient through time is that of its loss, with and without a memory across "
    "trajectories") {
    for (const LayerKind cell : {LayerKind::gru, LayerKind::lstm}) {
        for (const bool across : {true, false}) {
            Bench<double> bench(cell, across, &generic_kernels<double>());
            const std::size_t d = bench.policy.parameters();
            const std::vector<double> old = numbers(d, 1, 0.4), move = numbers(d, 2, 0.03);
            bench.task.sample(old.data(), bench.environments, Stream(1, 0, Purpose::rollout), 0);
            bench.task.normalise(0.1f, 2.0f);
            std::vector<double> w = old;
            for (std::size_t k = 0; k < d; ++k) w[k] += move[k];
            const double weight = 1.0 / static_cast<double>(bench.task.steps());
            std::vector<double> gradient(d);
            const double loss = bench.task.gradient(w.data(), weight, false, gradient.data());
            CHECK(loss == Approx(bench.task.loss(w.data(), weight)));
            for (std::size_t k = 0; k < d; k += 3) {
                constexpr double h = 1e-5;
                std::vector<double> there = w;
                there[k] = w[k] + h;
                const double up = bench.task.loss(there.data(), weight);
                there[k] = w[k] - h;
                const double down = bench.task.loss(there.data(), weight);
                REQUIRE(gradient[k] == Approx((up - down) / (2 * h)).epsilon(1e-4).margin(2e-7));
            }
        }
    }
}

TEST_CASE("what was sampled serves the first gradient as it is, and nothing allocates") {
    Bench<float> bench(LayerKind::gru, false, *available_kernels());
    std::vector<float> w(bench.policy.parameters()), first(w.size()), again(w.size());
    Stream random(1, 0, Purpose::initialise);
    bench.policy.initialise(random, w, 1.0f);
    const std::size_t before = dunlin::test::allocations();
    bench.task.sample(w.data(), bench.environments, Stream(1, 0, Purpose::rollout), 0);
    bench.task.gradient(w.data(), 0.01f, true, first.data());
    bench.task.gradient(w.data(), 0.01f, false, again.data());
    CHECK(dunlin::test::allocations() == before);
    CHECK(first == again);
}

TEST_CASE("without a memory across trajectories the first step of each is the same, with one it is not") {
    for (const bool across : {false, true}) {
        Bench<float> bench(LayerKind::gru, across, *available_kernels());
        std::vector<float> w(bench.policy.parameters());
        Stream random(1, 0, Purpose::initialise);
        for (float& parameter : w) parameter = 0.5f * random.normal();
        bench.task.sample(w.data(), bench.environments, Stream(1, 0, Purpose::rollout), 0);
        // Of trajectories that begin in the same state.
        std::vector<float> seen[2];
        for (int c = 0; c < bench.task.trials(); ++c) {
            for (int t = 0; t < bench.settings.steps; ++t) {
                if (bench.task.begins(t, c))
                    seen[bench.task.told(t, c, 0) > 0.5f].push_back(bench.task.value(t, c));
            }
        }
        bool same = true;
        for (const auto& values : seen) {
            REQUIRE(values.size() > 10);
            for (const float value : values) same = same && value == values.front();
        }
        CHECK(same == !across);
    }
}

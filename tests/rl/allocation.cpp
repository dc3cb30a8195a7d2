// SPDX-License-Identifier: Apache-2.0
#include "allocations.hpp"
#include "envs/point_navigation.hpp"
#include "fixtures.hpp"
#include "rl/meta_learning.hpp"

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// Allocations of two whole meta-iterations after set-up.
template <Environment E, class Policy>
std::size_t allocations_of(const Policy& policy, const E& environment, const MetaSettings& meta,
                           RolloutSettings rollout, const RolloutLimits& room) {
    rollout.slots = meta.slots();
    Learner<E, Policy> learner(policy, rollout, room);
    Memory memory(MetaLearner<float>::bytes(meta, policy.parameters(), 2));
    Arena arena(memory.bytes());
    MetaLearner<float> outer(meta, policy.parameters(), 2, arena);
    std::vector<float> scratch(MetaLearner<float>::scratch(meta, policy.parameters()));
    learner.task.set_environment(environment);
    Stream random(1, 0, Purpose::rollout);

    const std::size_t before = dunlin::test::allocations();
    for (int iteration = 0; iteration < 2; ++iteration) {
        for (int b = 0; b < meta.task_batch; ++b) outer.learn(b, b, learner.task, random, Vector<float>(scratch));
        if (!outer.update()) return static_cast<std::size_t>(-1);
    }
    return dunlin::test::allocations() - before;
}

}  // namespace

TEST_CASE("after set-up, learning allocates nothing: every method, baseline, evaluation and both worlds") {
    const GridTask map = grid(4, 4, {.goal = GridCell{3, 3}, .start = {}, .wind = 0.1f, .horizon = 12});
    for (const char* kernels : {"fast", "reference"}) {
        CategoricalPolicy<float> categorical = one_hot_policy<float>(map.environment(), {16, 16});
        categorical.network.kernels = *find_kernels(kernels);
        GaussianPolicy<float> gaussian{
            Mlp<float>{*MlpShape::make(2, std::vector<int>{16, 16}, 2), *find_kernels(kernels)}};
        for (MetaMethod method : {MetaMethod::memrl, MetaMethod::maml, MetaMethod::fomaml, MetaMethod::reptile,
                                  MetaMethod::anil, MetaMethod::meta_sgd, MetaMethod::imaml}) {
            for (Baseline baseline : {Baseline::none, Baseline::leave_one_out, Baseline::linear}) {
                MetaSettings meta;
                meta.method = method;
                meta.task_batch = 2;
                for (Evaluation evaluation : {Evaluation::per_state, Evaluation::per_step}) {
                    const RolloutSettings rollout{
                        .trajectories = 6, .baseline = baseline, .evaluation = evaluation};
                    CHECK(allocations_of(categorical, map.environment(), meta, rollout,
                                         limits(map.environment())) == 0);
                }
                PointNavigation point;
                point.horizon_steps = 10;
                CHECK(allocations_of(gaussian, point, meta, {.trajectories = 6, .baseline = baseline},
                                     {.horizon = 10, .observations = 2}) == 0);
            }
        }
    }
}

TEST_CASE("the trap would see an allocation") {
#if !defined(__SANITIZE_ADDRESS__)
    const std::size_t before = dunlin::test::allocations();
    std::vector<int> heap(1000);
    CHECK(heap.data() != nullptr);
    CHECK(dunlin::test::allocations() > before);
#endif
}

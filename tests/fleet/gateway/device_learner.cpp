// SPDX-License-Identifier: Apache-2.0
// The learner of a board takes the gradients that a host's node takes, to the bit.
#include "core/adapt/plain.hpp"
#include "grid_learner.hpp"
#include "policy.hpp"
#include "training/host/host_memory.hpp"
#include "training/simulation/learner.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using Exported = exported::Policy;

extern "C" {
int dunlin_storage_read(void*, std::uint32_t) {
    return 0;
}
int dunlin_storage_write(const void*, std::uint32_t) {
    return 0;
}
}

namespace {

using HostPolicy = CategoricalPolicy<float>;
using HostTask = PolicyGradientTask<GridNavigation, HostPolicy>;

/// The same task as a host keeps it: any adaptation, with a batch for each of its inner steps.
struct Host {
    HostPolicy policy{{Exported::shape, *find_kernels("reference")}};
    RolloutSettings rollout = [] {
        RolloutSettings settings = Exported::rollout;
        settings.slots = 9;
        settings.as_drawn = false;
        return settings;
    }();
    RolloutLimits limits{
        .horizon = Exported::task.horizon, .observations = 2, .states = Exported::rows * Exported::columns};
    HostMemory memory{HostTask::bytes(policy, rollout, limits) +
                      GridNavigation::bytes(Exported::rows * Exported::columns)};
    Arena arena{memory.bytes()};
    GridMap map{Exported::map, Exported::rows, Exported::columns};
    GridNavigation environment{*GridNavigation::make(map, Exported::task, arena)};
    HostTask task{policy, rollout, limits, arena};

    template <class Adaptation>
    std::vector<float> gradient(const Adaptation& adaptation, ConstVector<float> w, Stream random) {
        task.set_environment(environment);
        std::vector<float> out(w.size());
        TaskLearner<HostTask, Adaptation>(task, adaptation).gradient(w, random, out);
        return out;
    }
};

}  // namespace

TEST_CASE("a board's gradients are a host's, by each objective that a board knows") {
    static device::GridLearner<Exported> learner;
    REQUIRE(learner.start(Exported::seed));
    Host host;
    std::vector<float> w(Exported::parameters.begin(), Exported::parameters.end());
    const MoreauEnvelope moreau{.prox_weight = 0.5f,
                                .inner_rate = 0.7f,
                                .accuracy = 0.0f,
                                .step_limit = 4,
                                .step_clip = 0.5f,
                                .fresh_batches = true};
    const Maml maml{.steps = 3, .inner_rate = 0.7f, .first_order = true, .step_clip = 0.5f};
    for (std::uint32_t draw = 0; draw < 3; ++draw) {
        const Stream random(draw, 1, Purpose::user);
        for (const Objective objective : {Objective::plain, Objective::maml, Objective::moreau}) {
            REQUIRE(learner.understands(objective, moreau, maml));
            Stream own = random;
            std::vector<float> out(w.size());
            learner.gradient(objective, moreau, maml, w, own, out, [] {});
            const std::vector<float> expected = objective == Objective::plain  ? host.gradient(Plain{}, w, random)
                                                : objective == Objective::maml ? host.gradient(maml, w, random)
                                                                               : host.gradient(moreau, w, random);
            INFO(static_cast<int>(objective));
            CHECK(out == expected);
        }
        for (float& value : w) value *= 0.9f;
    }
    CHECK_FALSE(learner.understands(Objective::maml, moreau, Maml{.steps = 3}));
}

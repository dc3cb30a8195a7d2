// SPDX-License-Identifier: Apache-2.0
// The learner and nothing else: forward, backward, SGD, sampling and MEMRL's inner loop of a 2-64-64-5 policy. Only
// its size is of interest (firmware-targets/baseline.json: text_bytes, ram_bytes).
#include "board.hpp"
#include "core/optimiser.hpp"
#include "hooks.h"
#include "images/minimal_learner.hpp"
#include "rl/adaptation.hpp"

// By name, so that the size report tells them apart.
namespace dunlin::minimal {
constinit std::array<float, dimension> meta{}, personal{}, gradient{};
alignas(Arena::alignment) constinit std::byte batch[WalkTask::bytes(policy, rollout, limits)]{};
}  // namespace dunlin::minimal

int main() {
    using namespace dunlin;
    using namespace dunlin::minimal;
    Arena arena(batch);
    WalkTask task(policy, rollout, limits, arena);
    Stream random(dunlin_entropy_seed(1), 0, Purpose::rollout);
    const MoreauEnvelope inner{.prox_weight = 0.01f, .inner_rate = 0.7f, .step_clip = 0.5f, .fresh_batches = true};
    adapt_to(Walk{}, inner, ConstVector<float>(meta), 4, random, task, personal, gradient,
             [](int, ConstVector<float>) {});
    task.draw(0, ConstVector<float>(personal), random);
    task.gradient(0, ConstVector<float>(personal), gradient);
    Sgd{.rate = 0.01f}.step<float>(meta, ConstVector<float>(gradient));
    return static_cast<int>(board::deepest_stack());
}

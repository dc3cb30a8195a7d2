// SPDX-License-Identifier: Apache-2.0
// A node of a fleet behind a serial line. It learns its own navigation task, the exported one, in whatever job its
// coordinator offers: PersA-FL or PARS-Push, with plain gradients, first-order MAML or the Moreau envelope.
#include "exported_policy.hpp"
#include "grid_learner.hpp"
#include "node_life.hpp"

namespace {
using namespace dunlin;
constinit device::GridLearner<exported::Policy, true> learner;
}  // namespace

int main() {
    return live(learner, [] { return learner.start(exported::Policy::seed).has_value(); });
}

// SPDX-License-Identifier: Apache-2.0
#include "fleet/footprint.hpp"

#include "core/aggregate/pars_push.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/grid_returns.hpp"
#include "rl/policy_gradient_task.hpp"
#include "rl/probabilities.hpp"

#include <numeric>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;

namespace {

// Bytes of code that firmware-targets/images link on a Cortex-M4F with GCC 12: the learner with its environment,
// double precision and the C library's parts; and what PARS-Push adds. The stack at its deepest.
constexpr std::size_t learner_code = 21'200, push_code = 3'000, deepest_stack = 1'100;

std::size_t sum(const std::vector<FootprintPart>& parts) {
    return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                           [](std::size_t total, const FootprintPart& part) { return total + part.bytes; });
}

}  // namespace

std::size_t Footprint::flash_bytes() const {
    return sum(flash);
}
std::size_t Footprint::ram_bytes() const {
    return sum(ram);
}

Footprint footprint(const DeviceSettings& s) {
    const CategoricalPolicy<float> policy{{s.shape}};
    const std::size_t d = policy.parameters(), numbers = d * sizeof(float);
    const RolloutSettings rollout{.trajectories = s.trajectories, .second_order = false, .as_drawn = true};
    const RolloutLimits limits{.horizon = s.horizon, .observations = 2, .states = s.cells};
    const std::size_t judging = static_cast<std::size_t>(s.cells) * move_count * sizeof(double) +
                                grid_scratch(s.cells) * sizeof(double) +
                                probability_bytes(s.shape, limits.observations, s.cells);
    Footprint result;
    result.flash = {{"learner", learner_code}, {"meta-policy", numbers}};
    result.ram = {{"personal policy", numbers},
                  {"gradient", numbers},
                  {"a batch: activations, deltas, what was done and earned",
                   PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>::bytes(policy, rollout, limits)},
                  {"the map's tables", GridNavigation::bytes(s.cells)},
                  {"exact evaluation", judging}};
    if (s.method == DeviceMethod::pars_push) {
        result.flash.push_back({"PARS-Push", push_code});
        result.ram.push_back({"PARS-Push: x, phi, pending and a running sum a neighbour",
                              ParsPush<>::memory(d, static_cast<std::size_t>(s.neighbours))});
        result.ram.push_back({"PARS-Push: the estimate z", numbers});
    }
    result.ram.push_back({"stack", deepest_stack});
    return result;
}

}  // namespace dunlin

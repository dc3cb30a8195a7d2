// SPDX-License-Identifier: Apache-2.0
#include "training/host/footprint.hpp"

#include "core/aggregate/pars_push.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/grid_returns.hpp"
#include "rl/policy_gradient_task.hpp"
#include "rl/probabilities.hpp"

#include <algorithm>
#include <numeric>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;

namespace {

// Bytes of code that firmware-targets/images link on a Cortex-M4F with GCC 12: the learner with its environment,
// double precision and the C library's parts; and a node's: session, messages, line, PARS-Push and PersA-FL. The
// stack of adapt at its deepest, and a node's room for it. What a node is beyond the parts that follow from its
// job.
constexpr std::size_t learner_code = 21'200, node_code = 38'800;
constexpr std::size_t deepest_stack = 1'100, node_stack = 3'072, node_objects = 2'300, node_outbox = 384;
// The same of a learner with one body: its code, its stack and itself.
constexpr std::size_t body_code = 12'900, body_stack = 464, body_object = 392;

std::size_t sum(const std::vector<FootprintPart>& parts) {
    return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                           [](std::size_t total, const FootprintPart& part) { return total + part.bytes; });
}

Footprint body_footprint(const DeviceSettings& s) {
    const std::size_t numbers = s.shape.parameters() * sizeof(float);
    const std::size_t steps = static_cast<std::size_t>(s.trajectories) * static_cast<std::size_t>(s.horizon);
    const std::size_t seen = s.shape.one_hot ? 1 : static_cast<std::size_t>(s.shape.inputs);
    Footprint result;
    result.flash = {{"learner", body_code}, {"meta-policy", numbers}};
    result.ram = {{"personal policy", numbers},
                  {"gradient", numbers},
                  {"lives: what was seen, done and earned",
                   (seen + 2) * 4 * steps + 4 * static_cast<std::size_t>(s.trajectories)},
                  {"activations and deltas", 3 * sizeof(float) * static_cast<std::size_t>(s.shape.units())},
                  {"learner", body_object},
                  {"stack", body_stack}};
    return result;
}

}  // namespace

std::size_t Footprint::flash_bytes() const {
    return sum(flash);
}
std::size_t Footprint::ram_bytes() const {
    return sum(ram);
}

Footprint footprint(const DeviceSettings& s) {
    if (s.method == DeviceMethod::one_body) return body_footprint(s);
    using Task = PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;
    using LeanTask = PolicyGradientTask<GridNavigation, CategoricalPolicy<float>, true>;
    const bool node = s.method == DeviceMethod::pars_push;
    const CategoricalPolicy<float> policy{{s.shape}};
    const std::size_t d = policy.parameters(), numbers = d * sizeof(float);
    RolloutSettings rollout{.trajectories = s.trajectories, .second_order = false, .as_drawn = true};
    if (node) rollout.evaluation = Evaluation::per_state;
    const RolloutLimits limits{.horizon = s.horizon, .observations = 2, .states = s.cells};
    const std::size_t judging =
        static_cast<std::size_t>(s.cells) * move_count * sizeof(double) + grid_scratch(s.cells) * sizeof(double) +
        probability_bytes(s.shape, limits.observations, s.cells, node ? column_multiple : all_states);
    Footprint result;
    result.flash = {{"learner", learner_code}, {"meta-policy", numbers}};
    result.ram = {{"personal policy", numbers},
                  {"gradient", numbers},
                  {node ? "a batch: what actions weigh in each state"
                        : "a batch: activations, deltas, what was done and earned",
                   node ? LeanTask::bytes(policy, rollout, limits) : Task::bytes(policy, rollout, limits)},
                  {"the map's tables", GridNavigation::bytes(s.cells)}};
    if (!node) {
        result.ram.push_back({"exact evaluation", judging});
        result.ram.push_back({"stack", deepest_stack});
        return result;
    }
    const std::size_t share = d * sizeof(Mass) + 192;
    const std::size_t working = std::max(LeanTask::workspace_bytes(policy, rollout, limits), judging);
    result.flash.push_back({"a node: session, messages, serial line, PARS-Push, PersA-FL", node_code});
    result.ram.push_back({"PARS-Push: x, phi, pending and a running sum a neighbour",
                          ParsPush<>::memory(d, static_cast<std::size_t>(s.neighbours))});
    result.ram.push_back({"PARS-Push: the estimate z", numbers});
    result.ram.push_back({"where a share arrives, and in turn a batch is drawn and differentiated",
                          std::max({share, working, std::size_t{1024}})});
    result.ram.push_back({"session, terms, serial line, what is being said", node_objects + node_outbox});
    result.ram.push_back({"stack", node_stack});
    return result;
}

}  // namespace dunlin

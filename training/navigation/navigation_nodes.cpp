// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation_nodes.hpp"

#include "core/adapt/plain.hpp"
#include "core/heads.hpp"
#include "training/navigation/grid_evaluation.hpp"
#include "training/navigation/grid_world.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

Outcome<std::vector<GridTask>> tasks_of(const FleetNavigationSettings& s, const StoredMap& map) {
    GridTaskDistribution distribution;
    distribution.common.horizon = s.horizon;
    distribution.common.discount = s.discount;
    distribution.common.reward = s.reward == Reward::sparse ? GridReward::sparse : GridReward::dense;
    distribution.permute_actions = s.permute_actions;
    distribution.wind_limit = s.wind_limit;
    distribution.slip_limit = s.slip_limit;
    if (!s.start.empty()) {
        if (s.start.size() != 2) return refuse("environment.start: expected [row, column]");
        distribution.common.start = GridCell{s.start[0], s.start[1]};
    }
    Stream random(s.seed, 1, Purpose::tasks);
    Result<GridTaskSplit> split = sample_tasks(map, distribution, s.nodes, 0, random);
    if (!split) return refuse(split.error(), s.rows.empty() ? "environment.map: " + s.map : "environment.rows");
    return std::move(split->training);
}

}  // namespace

Outcome<MlpShape> policy_shape(const FleetNavigationSettings& s, int cells) {
    const bool one_hot = s.input == PolicyInput::one_hot;
    Result<MlpShape> shape = MlpShape::make(one_hot ? cells : 2, s.hidden, move_count, s.activation, one_hot,
                                            !one_hot || !s.hidden.empty());
    if (!shape) return refuse(shape.error(), "policy.hidden");
    return *shape;
}

NavigationNodes::NavigationNodes(const FleetNavigationSettings& settings, std::vector<GridTask> tasks,
                                 const Policy& policy, int threads)
    : settings_(settings), tasks_(std::move(tasks)), policy_(policy) {
    RolloutLimits limits;
    for (const GridTask& task : tasks_) {
        environments_.push_back(task.environment());
        limits.horizon = task.environment().horizon();
        limits.observations = task.environment().observation_size();
        limits.states = std::max(limits.states, task.environment().state_count());
    }
    RolloutSettings rollout = settings.rollout;
    if (settings.method.objective == Objective::maml) rollout.slots = maml_of(settings).slots();
    for (int worker = 0; worker < threads; ++worker)
        benches_.push_back(std::make_unique<Bench>(policy_, rollout, limits, settings));
    // Without a pull there is none when a node makes parameters its own either.
    if (settings.method.objective != Objective::moreau) settings_.inner.prox_weight = 0.0f;
}

std::unique_ptr<Learner> NavigationNodes::Bench::make_learner(Learning& task,
                                                              const FleetNavigationSettings& settings) {
    switch (settings.method.objective) {
        case Objective::maml:
            return std::make_unique<TaskLearner<Learning, Maml>>(task, maml_of(settings));
        case Objective::moreau:
            return std::make_unique<TaskLearner<Learning, MoreauEnvelope>>(task, settings.inner);
        default:
            return std::make_unique<TaskLearner<Learning, Plain>>(task, Plain{});
    }
}

Outcome<std::unique_ptr<NavigationNodes>> NavigationNodes::make(const FleetNavigationSettings& s, int threads) {
    const Result<const Kernels<float>*> kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + s.kernels + "\"");
    if (traits_of(s.method.objective).kept != Kept::nothing)
        return refuse(fmt::format(
            "objective.name = {}: nothing of a policy stays with its node yet; take plain, maml or moreau",
            name_of(s.method.objective)));
    if (s.method.objective == Objective::maml && s.inner.step_limit > Maml::step_limit)
        return refuse(
            fmt::format("adaptation.steps = {}: MAML takes at most {}", s.inner.step_limit, Maml::step_limit));
    if (s.inner.inner_rate * s.inner.prox_weight >= 1.0f) {
        return refuse(
            fmt::format("adaptation.inner_rate = {}: times adaptation.prox_weight = {} it must stay below "
                        "1, or the inner loop overshoots",
                        s.inner.inner_rate, s.inner.prox_weight));
    }
    const Outcome<StoredMap> map = map_of(s.map, s.rows);
    if (!map) return tl::unexpected(map.error());
    if (s.input == PolicyInput::one_hot && map->rows * map->columns > MlpShape::width_limit) {
        return refuse(
            fmt::format("environment.map: {}: {} x {} = {} cells, and a policy with one-hot input has at most {} "
                        "inputs; use a smaller map",
                        s.map, map->rows, map->columns, map->rows * map->columns, MlpShape::width_limit));
    }
    Outcome<std::vector<GridTask>> tasks = tasks_of(s, *map);
    if (!tasks) return tl::unexpected(tasks.error());
    const Outcome<MlpShape> shape = policy_shape(s, map->rows * map->columns);
    if (!shape) return tl::unexpected(shape.error());
    return std::unique_ptr<NavigationNodes>(
        new NavigationNodes(s, *std::move(tasks), Policy{Mlp<float>{*shape, *kernels}}, threads));
}

std::string NavigationNodes::name(std::uint32_t node) const {
    const GridCell goal = *tasks_[node].settings().goal;
    return fmt::format("node {}: goal ({}, {})", node, goal.row, goal.column);
}

std::vector<float> NavigationNodes::first_parameters() const {
    std::vector<float> first(dimension());
    Stream random(settings_.seed, 0, Purpose::initialise);
    initialise(policy_.network.shape, random, Vector<float>(first), settings_.output_gain);
    return first;
}

Learner& NavigationNodes::learner(std::uint32_t node, int worker) {
    Bench& bench = *benches_[static_cast<std::size_t>(worker)];
    bench.task.set_environment(environments_[node]);
    return *bench.learner;
}

double NavigationNodes::ratio(std::uint32_t node, ConstVector<float> w, std::uint64_t epoch, double optimum,
                              int worker) {
    Bench& bench = *benches_[static_cast<std::size_t>(worker)];
    bench.task.set_environment(environments_[node]);
    Stream random(settings_.seed, node, Purpose::evaluate);
    // An adaptation draws at most once a step. Evaluations stand a multiple of 4096 draws apart, none in another's.
    const auto draws = static_cast<std::uint64_t>(settings_.adaptations) *
                       (static_cast<std::uint64_t>(settings_.inner.step_limit) + 1);
    random.seek_epoch(epoch * ((draws + 4095) / 4096 * 4096));
    double sum = 0;
    for (int k = 0; k < settings_.adaptations; ++k) {
        settings_.inner.solve<float>(bench.task, w, random, bench.personal, bench.scratch);
        sum += evaluate_exactly(policy_, environments_[node], bench.personal).expected_return;
    }
    return sum / (optimum * settings_.adaptations);
}

std::int64_t NavigationNodes::environment_steps() const {
    std::int64_t steps = 0;
    for (const auto& bench : benches_) steps += bench->task.steps();
    return steps;
}

}  // namespace dunlin

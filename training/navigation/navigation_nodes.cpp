// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation_nodes.hpp"

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

/// As any fleet that learns a policy has them.
PolicySettings policy_settings(const FleetNavigationSettings& s) {
    PolicySettings policy;
    policy.kernels = s.kernels;
    policy.seed = s.seed;
    policy.section = "policy";
    policy.personal_layers = s.personal_layers;
    policy.output_gain = s.output_gain;
    policy.baseline = s.rollout.baseline;
    policy.step_clip = s.inner.step_clip;
    policy.federated = federated_settings(s);
    policy.federated.batch = s.rollout.trajectories;
    return policy;
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
                                 PolicyWorld<GridNavigation> world, const FederatedSettings& learning, int threads)
    : settings_(settings),
      tasks_(std::move(tasks)),
      problem_(std::move(world), learning, threads),
      benches_(static_cast<std::size_t>(threads),
               {std::vector<float>(dimension()), std::vector<float>(dimension())}) {
    // Without a pull there is none when a node makes parameters its own either.
    if (settings.method.objective != Objective::moreau) settings_.inner.prox_weight = 0.0f;
}

Outcome<std::unique_ptr<NavigationNodes>> NavigationNodes::make(const FleetNavigationSettings& s, int threads) {
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
    PolicySettings learned = policy_settings(s);
    EnvironmentTexts texts{.task = "grid-navigation", .input = {}, .output = {}};
    std::vector<GridNavigation> environments;
    for (const GridTask& task : *tasks) {
        const GridCell goal = *task.settings().goal;
        texts.nodes.push_back(fmt::format("node {}: goal ({}, {})", environments.size(), goal.row, goal.column));
        environments.push_back(task.environment());
    }
    auto world = make_policy_world(learned, std::move(environments), std::move(texts), *shape);
    if (!world) return tl::unexpected(world.error());
    return std::unique_ptr<NavigationNodes>(
        new NavigationNodes(s, *std::move(tasks), *std::move(world), learning_of(learned), threads));
}

std::vector<float> NavigationNodes::first_parameters() const {
    std::vector<float> first(dimension());
    problem_.initialise(first);
    return first;
}

double NavigationNodes::ratio(std::uint32_t node, ConstVector<float> w, std::uint64_t epoch, double optimum,
                              int worker) {
    Bench& bench = benches_[static_cast<std::size_t>(worker)];
    const auto judged = [&] {
        return evaluate_exactly(policy(), environments()[node], bench.personal).expected_return;
    };
    if (traits_of(settings_.method.objective).kept != Kept::nothing) {
        std::ranges::copy(w, bench.personal.begin());
        return judged() / optimum;
    }
    auto& task = problem_.task_of(node, worker);
    Stream random(settings_.seed, node, Purpose::evaluate);
    // An adaptation draws at most once a step. Evaluations stand a multiple of 4096 draws apart, none in another's.
    const auto draws = static_cast<std::uint64_t>(settings_.adaptations) *
                       (static_cast<std::uint64_t>(settings_.inner.step_limit) + 1);
    random.seek_epoch(epoch * ((draws + 4095) / 4096 * 4096));
    double sum = 0;
    for (int k = 0; k < settings_.adaptations; ++k) {
        settings_.inner.solve<float>(task, w, random, bench.personal, bench.scratch);
        sum += judged();
    }
    return sum / (optimum * settings_.adaptations);
}

std::int64_t NavigationNodes::environment_steps() const {
    std::int64_t steps = 0;
    for (std::size_t worker = 0; worker < benches_.size(); ++worker)
        steps += problem_.task(static_cast<int>(worker)).steps();
    return steps;
}

}  // namespace dunlin

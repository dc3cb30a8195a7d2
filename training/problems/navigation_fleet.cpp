// SPDX-License-Identifier: Apache-2.0
#include "training/problems/navigation_fleet.hpp"

#include "training/navigation/grid_evaluation.hpp"
#include "training/navigation/grid_world.hpp"
#include "training/navigation/meta_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

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
    policy.federated = learning_of(s);
    return policy;
}

/// The inner loop as MAML has it.
Maml maml_of(const FleetNavigationSettings& s) {
    Maml maml;
    maml.steps = s.inner.step_limit;
    maml.inner_rate = s.inner.inner_rate;
    maml.first_order = s.first_order;
    maml.score_term = !s.first_order;  // what is sampled depends on the parameters
    maml.step_clip = s.inner.step_clip;
    return maml;
}

/// The network of the policy on a map of so many cells. Error: widths that make none.
Outcome<MlpShape> policy_shape(const FleetNavigationSettings& s, int cells) {
    const bool one_hot = s.input == PolicyInput::one_hot;
    Result<MlpShape> shape = MlpShape::make(one_hot ? cells : 2, s.hidden, move_count, s.activation, one_hot,
                                            !one_hot || !s.hidden.empty());
    if (!shape) return refuse(shape.error(), "policy.hidden");
    return *shape;
}

Judging judging_of(const FleetNavigationSettings& s) {
    const bool envelope = s.federated.objective() == Objective::moreau;
    // An adaptation draws at most once a step. Evaluations stand a multiple of 4096 draws apart, none in another's.
    const auto draws =
        static_cast<std::uint64_t>(s.adaptations) * (static_cast<std::uint64_t>(s.inner.step_limit) + 1);
    Judging how{.repeats = s.adaptations, .draws = (draws + 4095) / 4096 * 4096};
    how.personal = {.steps = s.inner.step_limit,
                    .rate = s.inner.inner_rate,
                    .prox_weight = envelope ? s.inner.prox_weight : 0.0f,
                    .accuracy = s.inner.accuracy};
    return how;
}

/// What is wrong with the method, or its steps.
Outcome<void> check_fleet(const FleetNavigationSettings& s) {
    const Method method = s.federated.method;
    if (const std::string refusal = refusal_of(method); !refusal.empty())
        return refuse(fmt::format("objective.name = {}, aggregation.name = {}: {}", name_of(method.objective),
                                  name_of(method.aggregation), refusal));
    const FederatedSettings learning = learning_of(s);
    if (method.aggregation == AggregationName::fedprox && learning.rate() * learning.fedprox_weight >= 1.0f)
        return refuse(
            fmt::format("{} with aggregation.name = fedprox, which pulls with adaptation.prox_weight = {}: "
                        "their product must stay below 1, or steps overshoot",
                        method.objective == Objective::moreau
                            ? fmt::format("method.local_interpolation = {}", s.local_interpolation)
                            : fmt::format("method.rate = {}", s.rate),
                        s.inner.prox_weight));
    return {};
}

Outcome<RoundPlan> rounds_of(const FleetNavigationSettings& s, const FederatedProblem& fleet) {
    const Method method = s.federated.method;
    const bool envelope = method.objective == Objective::moreau;
    const double largest = envelope
                               ? static_cast<double>(s.interpolation) / static_cast<double>(s.inner.prox_weight)
                               : static_cast<double>(s.rate);
    const auto offset = static_cast<double>(s.step_offset);
    const StepSchedule theta{offset > 0.0 ? largest * offset : largest, offset, s.wake_gap};
    const bool keeps = fleet.split().has_personal() || traits_of(method.objective).kept == Kept::model;
    RoundPlan plan{.recipe = s.recipe(learning_of(s), fleet.nodes(), s.seed, theta),
                   .rounds = std::int64_t{s.rounds} + (has_neighbours(method.aggregation) ? s.settling_rounds : 0),
                   .learning = s.rounds,
                   .evaluate_every = s.evaluate_every,
                   .columns = {"run", "round", "wake_ups", "env_steps", "consensus_error", "node*_ratio"},
                   .length_key = "method.rounds, with method.settling_rounds",
                   .method = std::string(envelope ? title_of(method.aggregation) : ""),
                   .advice = "try a smaller method.interpolation or a larger method.weight_floor"};
    if (plan.method.empty()) plan.method = title_of(method);
    plan.shared_is = fmt::format("{} of a fleet, seed {}",
                                 keeps || !has_one_model(method.aggregation) ? "the mean of the nodes' policies"
                                 : has_server(method.aggregation)            ? "the server's policy"
                                                                             : "one policy for all tasks",
                                 s.seed);
    return plan;
}

/// The same tasks in one process: MEMRL with all of them in every iteration.
class Centralised final : public SideCourse {
public:
    Centralised(const FleetNavigationSettings& s, const NavigationWorld& world, int threads)
        : trainer_(world.policy,
                   {.meta = meta_settings(s, world),
                    .rollout = s.rollout,
                    .seed = s.seed,
                    .threads = threads,
                    .output_gain = s.output_gain},
                   world.environments) {}

    Outcome<void> iterate() override {
        if (const Result<void> done = trainer_.iterate(); !done)
            return refuse(done.error(), fmt::format("the centralised run, iteration {}", trainer_.iteration()));
        return {};
    }
    std::int64_t iteration() const override { return trainer_.iteration(); }
    std::int64_t environment_steps() const override { return trainer_.environment_steps(); }
    ConstVector<float> parameters() const override { return trainer_.parameters(); }
    void save(Saver& saver) const override { saver(trainer_.save()); }
    Result<void> restore(Loader& loader) override {
        MetaTrainerState state;
        loader(state);
        return loader.ok() ? trainer_.restore(state) : Result<void>{};
    }

private:
    static MetaSettings meta_settings(const FleetNavigationSettings& s, const NavigationWorld& world) {
        MetaSettings meta;
        meta.task_batch = static_cast<int>(world.nodes());
        meta.interpolation = s.interpolation;
        meta.inner = s.inner;
        return meta;
    }

    mutable MetaTrainer<GridNavigation, NavigationWorld::Policy> trainer_;  ///< whose `save` is not const
};

/// MEMRL, so there is nothing to compare another objective with, or what nodes keep.
std::unique_ptr<SideCourse> centralised(const FleetNavigationSettings& s, const FederatedProblem& fleet,
                                        Workers& workers) {
    if (!s.centralised || s.federated.objective() != Objective::moreau || fleet.split().has_personal()) return {};
    return std::make_unique<Centralised>(s, static_cast<const NavigationFleet&>(fleet).world(), workers.count());
}

}  // namespace

FederatedSettings learning_of(const FleetNavigationSettings& s) {
    FederatedSettings learning;
    learning.method = s.federated.method;
    learning.bilevel = s.federated.bilevel;
    learning.ditto = s.federated.ditto;
    learning.series = s.federated.series;
    learning.deployment = s.federated.deployment;
    learning.moreau = s.inner;
    if (learning.objective() == Objective::maml) learning.maml = maml_of(s);
    learning.local_rate = learning.maml_local_rate = s.rate;
    learning.moreau_local_rate =
        (has_server(learning.method.aggregation) ? s.local_interpolation : s.interpolation) / s.inner.prox_weight;
    learning.fedprox_weight = s.inner.prox_weight;
    learning.batch = s.rollout.trajectories;
    learning.personal = judging_of(s).personal;
    s.serve(learning, s.nodes);
    return learning;
}

FleetScore NavigationWorld::judge(Task&, std::uint32_t node, ConstVector<float> w) const {
    return {1, {evaluate_exactly(policy, environments[node], w).expected_return, 0.0, 0.0}};
}

double NavigationWorld::optimum(std::uint32_t node) const {
    optima.resize(environments.size());
    if (optima[node] == 0.0) optima[node] = optimal_return(environments[node]);
    return optima[node];
}

std::vector<FleetMetric> NavigationWorld::metrics(const FleetScore& score) const {
    return {{"return", "return", score.sums[0] / static_cast<double>(score.count)}};
}

std::vector<FleetMetric> NavigationWorld::node_metrics(std::uint32_t node, const FleetScore& score) const {
    const double best = optimum(node);
    return {{"return_ratio", "share of the optimum", score.sums[0] / (best * static_cast<double>(score.count))},
            {"optimal_return", "optimum", best}};
}

std::vector<FleetMetric> NavigationWorld::metrics_of(std::span<const FleetScore> scores) const {
    double sum = 0, worst = INFINITY;
    for (std::uint32_t i = 0; i < scores.size(); ++i) {
        const double ratio = node_metrics(i, scores[i]).front().value;
        sum += ratio;
        // No comparison is true of NaN, and a node whose policy is one is the worst.
        if (!(ratio >= worst) && !std::isnan(worst)) worst = ratio;
    }
    return {{"worst_ratio", "of the optimum, worst node", worst},
            {"mean_ratio", "of the optimum, mean of nodes", sum / static_cast<double>(scores.size())}};
}

Outcome<std::unique_ptr<FederatedProblem>> make_navigation_fleet(const FleetNavigationSettings& s, int threads) {
    if (s.federated.objective() == Objective::maml && s.inner.step_limit > Maml::step_limit)
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
    const PolicySettings learned = policy_settings(s);
    const auto kept = std::make_shared<const std::vector<GridTask>>(*std::move(tasks));
    EnvironmentTexts texts{.task = "grid-navigation", .input = {}, .output = {}};
    std::vector<GridNavigation> environments;
    for (const GridTask& task : *kept) {
        const GridCell goal = *task.settings().goal;
        texts.nodes.push_back(fmt::format("node {}: goal ({}, {})", environments.size(), goal.row, goal.column));
        environments.push_back(task.environment());
    }
    auto world = make_policy_world(learned, std::move(environments), std::move(texts), *shape);
    if (!world) return tl::unexpected(world.error());
    return std::make_unique<NavigationFleet>(NavigationWorld{*std::move(world), kept}, learning_of(learned),
                                             threads);
}

ProblemKind<FleetNavigationSettings> navigation_fleet_kind() {
    return {.name = "fleet-navigation",
            .settings = fleet_navigation_settings,
            .make = make_navigation_fleet,
            .about =
                [](const FleetNavigationSettings& s, const FederatedProblem& made) {
                    return fmt::format("Navigation on {}: {} nodes, each with a task of its own.",
                                       s.rows.empty() ? s.map : "a map of its own", made.nodes());
                },
            .method_key = "method.name",
            .methods = "pars-push,sgp,persafl-me",
            .newer = newer_fleet_navigation_settings(),
            .learning = [](const FleetNavigationSettings& s) { return learning_of(s); },
            .judging = judging_of,
            .rounds = [](const FleetNavigationSettings& s, const FederatedProblem& fleet) -> Outcome<RoundPlan> {
                if (auto fits = check_fleet(s); !fits) return tl::unexpected(fits.error());
                return rounds_of(s, fleet);
            },
            .resize = [](FleetNavigationSettings& s, std::uint32_t nodes) { s.nodes = static_cast<int>(nodes); },
            .describe =
                [](const FleetNavigationSettings& s, const FederatedProblem& fleet) {
                    return navigation_model(
                        s, static_cast<const NavigationFleet&>(fleet).world().policy.network.shape);
                },
            .report = report_navigation_fleet,
            .beside = centralised};
}

Outcome<void> check_network(const FleetNavigationSettings& s, const TrainedModel& policy) {
    const MlpShape& shape = policy.shape;
    const auto differs = [](const std::string& key, const auto& set, const auto& has) {
        return refuse(fmt::format(
            "{} = {}: the policy that is pushed has {}; leave it out, or train another policy", key, set, has));
    };
    constexpr std::string_view activations[] = {"identity", "relu", "tanh", "sigmoid"};
    const auto name = [&](Activation activation) { return activations[static_cast<std::size_t>(activation)]; };
    if (policy.gaussian()) return refuse("the policy's outputs are velocities, and real nodes navigate on a grid");
    if (policy.network) return refuse("the policy is no perceptron, as nodes that navigate have");
    if (shape.outputs() != move_count)
        return refuse(fmt::format("the policy has {} outputs; a grid has {} actions", shape.outputs(), move_count));
    const bool one_hot = s.input == PolicyInput::one_hot;
    if (one_hot != shape.one_hot)
        return differs("policy.input", one_hot ? "one-hot" : "coordinates",
                       shape.one_hot ? "one-hot" : "coordinates");
    const std::vector<int> hidden(shape.widths.begin(), shape.widths.begin() + shape.layers - 1);
    if (hidden != s.hidden) return differs("policy.hidden", fmt::format("{}", s.hidden), fmt::format("{}", hidden));
    if (!hidden.empty() && shape.hidden != s.activation)
        return differs("policy.activation", name(s.activation), name(shape.hidden));
    const auto map = map_of(s.map, s.rows);
    if (!map) return tl::unexpected(map.error());
    if (one_hot && map->rows * map->columns != shape.inputs)
        return differs("environment.map", fmt::format("{}, {} cells", s.map, map->rows * map->columns),
                       fmt::format("an input for each of {} cells", shape.inputs));
    const Outcome<MlpShape> built = policy_shape(s, map->rows * map->columns);
    if (!built) return tl::unexpected(built.error());
    if (!(*built == shape))
        return refuse("the policy's network (its biases, its input layer) is none that real nodes build");
    return {};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation_model.hpp"

#include "training/navigation/grid_world.hpp"
#include "training/navigation/navigation_nodes.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

/// Puts the map of a file into the settings, so that they can travel.
template <class S>
void carry_map(S& s) {
    if (!s.rows.empty() || is_built_in_map(s.map)) return;
    const auto map = map_of(s.map, {});
    if (!map) return;  // it was read before; gone since, the settings name it still
    for (int row = 0; row < map->rows; ++row) {
        const auto columns = static_cast<std::size_t>(map->columns);
        s.rows.push_back(map->text.substr(static_cast<std::size_t>(row) * columns, columns));
    }
}

void describe_grid(TrainedModel& model, const NavigationSettings& s) {
    model.task = "grid-navigation";
    model.output_names = {"up", "down", "left", "right", "stay"};
    model.output = "logits, one an action; probabilities are their softmax";
    const auto map = map_of(s.map, s.rows);
    const std::string size = map ? fmt::format("{} rows and {} columns", map->rows, map->columns) : "unknown size";
    if (model.shape.one_hot) {
        model.input = fmt::format(
            "the number of the cell where the agent stands: row * {} + column, both from 0, row 0 is the map's "
            "first "
            "line; walls are counted",
            map ? std::to_string(map->columns) : "columns");
    } else {
        model.input =
            "the agent's place, each coordinate scaled to [-1, 1]: 2 row / (rows - 1) - 1 and 2 column / (columns "
            "- "
            "1) - 1, both from 0 at the map's upper left corner; 0 where there is one row or column";
        model.input_names = {"row, scaled to [-1, 1]", "column, scaled to [-1, 1]"};
    }
    model.notes = {fmt::format("Map: {}, {}", s.rows.empty() ? s.map : "of its own", size),
                   s.permute_actions
                       ? "Each task permutes the actions: action k makes the move that the task's `moves` says at "
                         "k, by the order of the names above"
                       : "Action k makes the move with its name, unless a task permutes them",
                   s.reward == Reward::sparse
                       ? "Reward: 1 for the step that ends on the goal, which ends the trajectory"
                       : "Reward: 1 - distance to the goal / largest distance, at each step"};
}

void describe_point(TrainedModel& model) {
    model.task = "point-navigation";
    model.input = "the agent's place in the plane, x and y; goals are drawn from [-0.5, 0.5] in each";
    model.input_names = {"x", "y"};
    model.output =
        "means of the velocity in x and y, in the plane's unit a step; what is drawn is clipped to [-0.1, 0.1]";
    model.output_names = {"velocity in x", "velocity in y"};
    model.notes = {"Reward: minus the distance to the goal, at each step"};
}

std::string_view title(MetaMethod method) {
    constexpr std::string_view names[] = {"memrl", "maml", "fomaml", "reptile", "scratch"};
    const auto at = static_cast<std::size_t>(method);
    return at < std::size(names) ? names[at] : "meta-learning";
}

}  // namespace

TrainedModel navigation_model(const NavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters) {
    NavigationSettings s = settings;
    if (s.world == World::grid) carry_map(s);
    TrainedModel model{.experiment = s.experiment,
                       .shape = shape,
                       .head = s.world == World::grid ? ModelHead::actions : ModelHead::gaussian,
                       .parameters = std::move(parameters)};
    if (s.world == World::grid)
        describe_grid(model, s);
    else
        describe_point(model);
    model.notes.push_back(fmt::format("Horizon: {} steps; discount: {}", s.horizon, s.discount));
    const MoreauEnvelope inner = s.meta.adaptation();
    model.shared_is = fmt::format("meta-policy of {}, seed {}", title(s.meta.method), s.seed);
    model.personal_is =
        fmt::format("up to {} policy-gradient steps of size {} on {} trajectories each, pulled back with weight {}",
                    s.adaptation_steps, inner.inner_rate, s.rollout.trajectories, inner.prox_weight);
    model.config = navigation_settings(s).write();
    return model;
}

TrainedModel navigation_model(const FleetNavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters) {
    FleetNavigationSettings s = settings;
    carry_map(s);
    TrainedModel model = navigation_model(in_one_process(s), shape, std::move(parameters));
    model.shared_is = fmt::format("meta-policy of a fleet, seed {}", s.seed);
    const Kept kept = traits_of(s.method.objective).kept;
    if (kept == Kept::layers) model.personal_is = "the shared policy with the node's own layers";
    if (kept == Kept::model)
        model.personal_is = "the policy that the node kept beside the shared one, which it followed";
    model.config = fleet_navigation_settings(s).write(Settings::Paths::absolute, newer_fleet_navigation_settings());
    return model;
}

NavigationSettings in_one_process(const FleetNavigationSettings& fleet) {
    NavigationSettings s;
    s.experiment = fleet.experiment;
    s.kernels = fleet.kernels;
    s.seed = fleet.seed;
    s.map = fleet.map;
    s.rows = fleet.rows;
    s.start = fleet.start;
    s.tasks = TaskSource::sampled;
    s.training_tasks = fleet.nodes;
    s.held_out_tasks = 0;
    s.reward = fleet.reward;
    s.permute_actions = fleet.permute_actions;
    s.wind_limit = fleet.wind_limit;
    s.slip_limit = fleet.slip_limit;
    s.hidden = fleet.hidden;
    s.activation = fleet.activation;
    s.input = fleet.input;
    s.output_gain = fleet.output_gain;
    s.horizon = fleet.horizon;
    s.discount = fleet.discount;
    s.meta.inner = fleet.inner;
    s.meta.task_batch = 1;
    s.rollout = fleet.rollout;
    s.adaptation_steps = fleet.inner.step_limit;
    return s;
}

Outcome<FleetNavigationSettings> on_a_fleet(const NavigationSettings& s, FleetNavigationSettings fleet) {
    if (s.world != World::grid)
        return refuse("this policy is of the point world, and real nodes navigate on a grid");
    fleet.experiment = s.experiment;
    fleet.kernels = s.kernels;
    fleet.seed = s.seed;
    fleet.map = s.map;
    fleet.rows = s.rows;
    fleet.start = s.start;
    fleet.reward = s.reward;
    fleet.permute_actions = s.permute_actions;
    fleet.wind_limit = s.wind_limit;
    fleet.slip_limit = s.slip_limit;
    fleet.hidden = s.hidden;
    fleet.activation = s.activation;
    fleet.input = s.input;
    fleet.output_gain = s.output_gain;
    fleet.horizon = s.horizon;
    fleet.discount = s.discount;
    fleet.inner = s.meta.adaptation();
    fleet.inner.step_limit = std::max(1, s.adaptation_steps);
    fleet.rollout.trajectories = s.rollout.trajectories;
    fleet.rollout.baseline = s.rollout.baseline;
    return fleet;
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

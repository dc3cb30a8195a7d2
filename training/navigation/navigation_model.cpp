// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation_model.hpp"

#include "training/navigation/grid_world.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

void describe_grid(TrainedModel& model, const NavigationSettings& s) {
    model.task = "grid-navigation";
    model.output_names = {"up", "down", "left", "right", "stay"};
    if (s.diagonal) {
        for (const char* diagonal : {"up left", "up right", "down left", "down right"})
            model.output_names.emplace_back(diagonal);
    }
    model.output = "logits, one an action; probabilities are their softmax";
    const auto map = frame_of(s);
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
    model.notes = {s.maps.empty() ? fmt::format("Map: {}, {}", s.rows.empty() ? s.map : "of its own", size)
                                  : fmt::format("Maps: several, in a frame of {}", size),
                   s.permute_actions
                       ? "Each task permutes the actions: action k makes the move that the task's `moves` says at "
                         "k, by the order of the names above"
                       : "Action k makes the move with its name, unless a task permutes them",
                   s.reward == Reward::sparse
                       ? "Reward: 1 for the step that ends on the goal, which ends the trajectory"
                       : "Reward: 1 - distance to the goal / largest distance, at each step"};
}

void describe_rules(TrainedModel& model, const NavigationSettings& s) {
    model.task = "rule-worlds";
    model.output_names = {"up", "down", "left", "right", "pick up or put down"};
    model.output = "logits, one an action; probabilities are their softmax";
    const int w = s.rules.window;
    model.input = fmt::format(
        "the {0} x {0} cells around the agent, zeros and ones: {1} planes of {2} numbers, row by row (wall; closed "
        "door; "
        "{3} colours; {4} shapes, the first a key, which a door shows too), then colour and shape of what is in "
        "the hand",
        w, RuleWorld::cell_channels, w * w, RuleKind::colours, RuleKind::shapes);
    model.notes = {fmt::format("Rule worlds: side {}, {} rooms, {} rules deep, {} distractors", s.rules.side,
                               s.rules.rooms, s.rules.rule_depth, s.rules.distractors),
                   "Reward: 1 for the step that reaches the goal, which ends the trajectory"};
}

void describe_point(TrainedModel& model, const PointWorldSettings& s) {
    model.task = "point-navigation";
    model.input = "the agent's place in the plane, x and y; goals are drawn from [-0.5, 0.5] in each";
    model.input_names = {"x", "y"};
    model.output =
        "means of the velocity in x and y, in the plane's unit a step; what is drawn is clipped to [-0.1, 0.1]";
    model.output_names = {"velocity in x", "velocity in y"};
    model.notes = {s.reward == PointReward::distance
                       ? "Reward: minus the distance to the goal, at each step"
                       : "Reward: minus the squared distance to the goal, at each step"};
    if (s.goal_radius > 0.0f)
        model.notes.push_back(fmt::format("A trajectory ends within {} of the goal", s.goal_radius));
    if (s.obstacles > 0)
        model.notes.push_back(
            fmt::format("{} round obstacles of radius {}, the same in all tasks", s.obstacles, s.obstacle_radius));
    if (s.drift_limit > 0.0f)
        model.notes.push_back(fmt::format("Each task has a drift of up to {} a step in x and in y", s.drift_limit));
}

constexpr std::string_view memory_note =
    "Its memory is the state of the recurrent layer, which is zero before the first trajectory of a task and is "
    "kept from step "
    "to step";

std::string_view title(MetaMethod method) {
    constexpr std::string_view names[] = {"memrl",    "maml",  "fomaml",  "reptile", "anil",
                                          "meta-sgd", "imaml", "scratch", "rl2",     "joint"};
    const auto at = static_cast<std::size_t>(method);
    return at < std::size(names) ? names[at] : "meta-learning";
}

}  // namespace

void carry_map(const std::string& name, std::vector<std::string>& rows) {
    if (!rows.empty() || is_built_in_map(name)) return;
    const auto map = map_of(name, {});
    if (!map) return;  // it was read before; gone since, the settings name it still
    for (int row = 0; row < map->rows; ++row) {
        const auto columns = static_cast<std::size_t>(map->columns);
        rows.push_back(map->text.substr(static_cast<std::size_t>(row) * columns, columns));
    }
}

TrainedModel navigation_model(const NavigationSettings& settings, const MlpShape& shape,
                              std::vector<float> parameters) {
    NavigationSettings s = settings;
    if (s.world == World::grid && s.maps.empty()) carry_map(s.map, s.rows);
    TrainedModel model{.experiment = s.experiment,
                       .shape = shape,
                       .head = s.world == World::point ? ModelHead::gaussian : ModelHead::actions,
                       .parameters = std::move(parameters)};
    if (s.world == World::grid)
        describe_grid(model, s);
    else if (s.world == World::rules)
        describe_rules(model, s);
    else
        describe_point(model, s.point);
    model.notes.push_back(fmt::format("Horizon: {} steps; discount: {}", s.horizon, s.discount));
    const MoreauEnvelope inner = s.meta.adaptation();
    model.shared_is = fmt::format("meta-policy of {}, seed {}", title(s.meta.method), s.seed);
    model.personal_is =
        fmt::format("up to {} policy-gradient steps of size {} on {} trajectories each, pulled back with weight {}",
                    s.adaptation_steps, inner.inner_rate, s.rollout.trajectories, inner.prox_weight);
    if (const std::string more = beyond_plain_steps(s); !more.empty()) model.personal_is += ", by " + more;
    model.config = navigation_settings(s).write();
    return model;
}

std::string beyond_plain_steps(const NavigationSettings& s) {
    if (s.meta.learns_step_sizes()) return "learned step sizes, one a parameter";
    if (s.meta.has_step_sizes()) return "steps of the last layer alone";
    if (s.rollout.baseline == Baseline::value) return "a value network";
    if (s.rollout.surrogate.compares()) return "ratios of probabilities";
    if (s.rollout.entropy_weight > 0) return "a loss with the policy's entropy in it";
    return {};
}

TrainedModel navigation_model(const NavigationSettings& settings, const NetworkShape& network,
                              ConstVector<float> parameters) {
    const ConstVector<float> own = parameters.first(network.parameters());
    TrainedModel model = navigation_model(settings, MlpShape{}, {own.begin(), own.end()});
    model.network = network;
    model.input +=
        "; then what was done last (a number an action), what that paid, and 1 where a trajectory begins";
    model.input_names.clear();
    model.notes.push_back(std::string(memory_note));
    model.personal_is =
        settings.meta.method == MetaMethod::rl2
            ? fmt::format("the memory of up to {} trajectories of a task", settings.adaptation_steps)
            : "nothing: it is the same for all tasks";
    return model;
}

Outcome<void> check_memoryless(const TrainedModel& model) {
    if (std::ranges::find(model.notes, memory_note) == model.notes.end()) return {};
    return refuse(
        "this policy has a memory, which lives from step to step; what is asked for here evaluates single samples, "
        "and would "
        "begin anew with each: `dunlin adapt` runs it");
}

}  // namespace dunlin

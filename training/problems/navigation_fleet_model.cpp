// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation_model.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {

TrainedModel navigation_model(const FleetNavigationSettings& settings, const MlpShape& shape) {
    FleetNavigationSettings s = settings;
    carry_map(s.map, s.rows);
    TrainedModel model = navigation_model(in_one_process(s), shape, {});
    model.shared_is = fmt::format("meta-policy of a fleet, seed {}", s.seed);
    const Kept kept = traits_of(s.federated.objective()).kept;
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
        return refuse(fmt::format("this policy is of {}, and real nodes navigate on a grid",
                                  s.world == World::rules ? "rule worlds" : "the point world"));
    if (s.meta.is_recurrent())
        return refuse("this policy has a memory, and nodes that navigate have a perceptron as their policy");
    if (const std::string more = beyond_plain_steps(s); !more.empty()) {
        return refuse(
            fmt::format("this policy adapts by {}, which nodes of a fleet do not; say what they are to adapt by "
                        "with --experiment, for example fleet-navigation-server",
                        more));
    }
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

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/problems/point_fleet.hpp"

#include "envs/point_navigation.hpp"

#include <fmt/format.h>

namespace dunlin {
namespace {

Settings point_fleet_settings(PointFleetSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    add_policy_settings(list, s, true);
    list.add("environment.horizon", s.horizon, "steps of a trajectory H", Range{1, 10000});
    list.add("environment.discount", s.discount, "gamma", Range{0, 1, true});
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<std::unique_ptr<FederatedProblem>> make_point_fleet(const PointFleetSettings& s, int threads) {
    EnvironmentTexts texts{.task = "point-navigation",
                           .input = "the position in the plane, the start at (0, 0)",
                           .output = "mean of the step in each direction, cut to 0.1",
                           .input_names = {"x", "y"},
                           .output_names = {"step in x", "step in y"}};
    std::vector<PointNavigation> goals;
    Stream random(s.seed, 1, Purpose::tasks);
    for (int i = 0; i < s.nodes; ++i) {
        PointNavigation goal = PointNavigation::sample(random);
        goal.horizon_steps = s.horizon;
        goal.discount_factor = s.discount;
        texts.nodes.push_back(fmt::format("goal ({:.2f}, {:.2f})", static_cast<double>(goal.goal_x),
                                          static_cast<double>(goal.goal_y)));
        goals.push_back(goal);
    }
    return make_policy_problem(s, std::move(goals), std::move(texts), threads);
}

}  // namespace

ProblemKind<PointFleetSettings> point_fleet_kind() {
    return {.name = "fleet-point-navigation",
            .settings = point_fleet_settings,
            .make = make_point_fleet,
            .about = [](const PointFleetSettings&, const FederatedProblem& made) {
                return fmt::format(
                    "Point navigation: {} nodes, each with a goal of its own in the plane, which its "
                    "rewards alone reveal.",
                    made.nodes());
            }};
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_planning.hpp"
#include "envs/navigation_tasks.hpp"
#include "rl/policy_gradient_task.hpp"
#include "training/navigation/fleet_navigation.hpp"
#include "training/problems/policy_problem.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;

/// The network of a fleet's policy on a map of so many cells. Error: widths that make none.
Outcome<MlpShape> policy_shape(const FleetNavigationSettings& settings, int cells);

/// Navigation tasks, one for each node of a fleet, and what the nodes learn them with: the same tasks whether the
/// nodes are simulated in one process or real and each looks at its own.
class NavigationNodes {
public:
    using Policy = CategoricalPolicy<float>;
    using Problem = WorldProblem<PolicyWorld<GridNavigation>>;

    /// For `threads` callers at a time, each with a number below it. Errors: settings that do not fit each other,
    /// the map.
    static Outcome<std::unique_ptr<NavigationNodes>> make(const FleetNavigationSettings& settings, int threads);

    /// What the nodes learn with, whatever the objective is.
    FederatedProblem& problem() { return problem_; }
    std::uint32_t nodes() const { return problem_.nodes(); }
    std::size_t dimension() const { return problem_.dimension(); }
    /// Which layers stay with their node.
    LayerSplit split() const { return problem_.split(); }
    const Policy& policy() const { return problem_.world().policy; }
    const std::vector<GridNavigation>& environments() const { return problem_.world().environments; }
    /// "node 3: goal (2, 5)"
    const std::string& name(std::uint32_t node) const { return problem_.world().texts.nodes[node]; }
    double optimum(std::uint32_t node) const { return optimal_return(environments()[node]); }
    DataNotes notes() const { return problem_.notes(); }

    /// The first parameters, the same for all nodes.
    std::vector<float> first_parameters() const;
    /// Exact return over the optimal one of what a node makes its own of w: after the inner loop, the mean of
    /// settings.adaptations times; or of w as it is, with an objective by which the node kept something already.
    double ratio(std::uint32_t node, ConstVector<float> w, std::uint64_t epoch, double optimum, int worker);
    /// What the worker's last `ratio` judged last.
    ConstVector<float> personal(int worker) const { return benches_[static_cast<std::size_t>(worker)].personal; }
    /// Sampled by all workers so far, for training and for `ratio`.
    std::int64_t environment_steps() const;

private:
    /// What one thread judges with.
    struct Bench {
        std::vector<float> personal, scratch;
    };

    NavigationNodes(const FleetNavigationSettings& settings, std::vector<GridTask> tasks,
                    PolicyWorld<GridNavigation> world, const FederatedSettings& learning, int threads);

    FleetNavigationSettings settings_;
    std::vector<GridTask> tasks_;  ///< the environments are views of them
    Problem problem_;
    std::vector<Bench> benches_;
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_planning.hpp"
#include "envs/navigation_tasks.hpp"
#include "rl/policy_gradient_task.hpp"
#include "training/host/host_memory.hpp"
#include "training/navigation/fleet_navigation.hpp"
#include "training/simulation/learner.hpp"

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

    /// For `threads` callers at a time, each with a number below it. Errors: settings that do not fit each other,
    /// the map.
    static Outcome<std::unique_ptr<NavigationNodes>> make(const FleetNavigationSettings& settings, int threads);

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(environments_.size()); }
    std::size_t dimension() const { return policy_.parameters(); }
    const Policy& policy() const { return policy_; }
    const std::vector<GridNavigation>& environments() const { return environments_; }
    /// "node 3: goal (2, 5)"
    std::string name(std::uint32_t node) const;
    double optimum(std::uint32_t node) const { return optimal_return(environments_[node]); }

    /// The first parameters, the same for all nodes.
    std::vector<float> first_parameters() const;
    /// The objective on the node's task, until the same worker asks for another.
    Learner& learner(std::uint32_t node, int worker);
    /// Exact return over the optimal one after the inner loop from w, the mean of settings.adaptations times.
    double ratio(std::uint32_t node, ConstVector<float> w, std::uint64_t epoch, double optimum, int worker);
    /// What the worker's last `ratio` ended its inner loop at.
    ConstVector<float> personal(int worker) const { return benches_[static_cast<std::size_t>(worker)]->personal; }
    /// Sampled by all workers so far, for training and for `ratio`.
    std::int64_t environment_steps() const;

private:
    using Learning = PolicyGradientTask<GridNavigation, Policy>;

    /// What one thread computes with; it serves any node.
    struct Bench {
        HostMemory memory;
        Arena arena;
        Learning task;
        std::unique_ptr<Learner> learner;
        std::vector<float> personal, scratch;

        Bench(const Policy& policy, const RolloutSettings& rollout, const RolloutLimits& limits,
              const FleetNavigationSettings& settings)
            : memory(Learning::bytes(policy, rollout, limits)),
              arena(memory.bytes()),
              task(policy, rollout, limits, arena),
              learner(make_learner(task, settings)),
              personal(policy.parameters()),
              scratch(policy.parameters()) {}

        static std::unique_ptr<Learner> make_learner(Learning& task, const FleetNavigationSettings& settings);
    };

    NavigationNodes(const FleetNavigationSettings& settings, std::vector<GridTask> tasks, const Policy& policy,
                    int threads);

    FleetNavigationSettings settings_;
    std::vector<GridTask> tasks_;
    std::vector<GridNavigation> environments_;
    Policy policy_;
    std::vector<std::unique_ptr<Bench>> benches_;
};

}  // namespace dunlin

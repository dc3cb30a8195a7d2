// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/rule_world.hpp"

#include <cstdint>
#include <vector>

namespace dunlin {

enum class RuleMoves : std::uint8_t {
    all,    ///< every action: the shortest plan
    useful  ///< picks up only what leads to the goal or opens a door, and puts it down only where that does something or what it is has to lie: a plan
    ///< is found where there is one, which need not be the shortest
};

/// From a start to the goal.
struct RulePlan {
    bool found = false;
    /// Steps of the plan; where none was found, fewer than any plan has.
    int steps = 0;
    std::vector<std::uint8_t> actions{};  ///< empty where none was found
};

/// Breadth-first over states, of which at most `state_limit` are kept. States count as the same by a 64-bit checksum of
/// all that they hold. For hosts: allocates about 60 bytes a state.
RulePlan plan_rule_world(const RuleWorld& world, const RuleWorld::State& start, RuleMoves moves, int state_limit);

/// The best discounted return, mean over `starts` starts that `random` draws, of the goal's reward alone. `exact` is false where
/// a search came to `state_limit` states: the mean then is an upper bound.
struct RuleOptimum {
    double value = 0;
    bool exact = true;
};
RuleOptimum optimal_return(const RuleWorld& world, int starts, Stream random, int state_limit);

}  // namespace dunlin

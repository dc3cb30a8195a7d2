// SPDX-License-Identifier: Apache-2.0
#include "envs/rule_planning.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dunlin {
namespace {

using State = RuleWorld::State;

std::uint64_t checksum(const RuleWorld& world, State state, RuleMoves moves) {
    state.fired = 0;  // does not change what can be done
    if (moves == RuleMoves::useful) {
        // A key whose door is open is of no use any more, wherever it lies.
        for (std::size_t k = 0; k < world.objects; ++k) {
            if (state.kind[k] < RuleKind::first_thing && (state.open >> state.kind[k] & 1) != 0 &&
                state.at[k] != RuleWorld::in_hand)
                state.at[k] = RuleWorld::nowhere;
        }
    }
    static_assert(sizeof(State) == 28);
    std::uint64_t hash = 0x243f6a8885a308d3u, word = 0;
    for (std::size_t at = 0; at < sizeof(State); at += sizeof word) {
        word = 0;
        std::memcpy(&word, reinterpret_cast<const char*>(&state) + at, std::min(sizeof word, sizeof(State) - at));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash == 0 ? 1 : hash;
}

/// Checksums that were seen, in an open table of twice as many places.
class Seen {
public:
    explicit Seen(int limit) {
        std::size_t places = 64;
        while (places < 2 * static_cast<std::size_t>(limit)) places *= 2;
        table_.resize(places);
    }
    /// False: it was there.
    bool add(std::uint64_t hash) {
        for (std::size_t at = static_cast<std::size_t>(hash) & (table_.size() - 1);;
             at = (at + 1) & (table_.size() - 1)) {
            if (table_[at] == hash) return false;
            if (table_[at] != 0) continue;
            table_[at] = hash;
            return true;
        }
    }

private:
    std::vector<std::uint64_t> table_;
};

/// Does the goal, a rule on the way to it or a closed door ask for this kind?
bool leads_on(const RuleWorld& world, const State& state, std::uint8_t kind) {
    if (world.goal.a == kind || (world.goal.what == RuleGoal::What::pair && world.goal.b == kind)) return true;
    for (std::size_t r = 0; r < world.chain; ++r) {
        if (world.rule[r].a == kind ||
            (world.rule[r].when != ProductionRule::When::taken && world.rule[r].b == kind))
            return true;
    }
    for (std::size_t d = 0; d < world.doors; ++d) {
        if ((state.open >> d & 1) == 0 && world.door[d].colour == kind) return true;
    }
    return false;
}

/// Was it made in the hand, and has to lie somewhere first for the rule that takes it further?
bool lies_first(const RuleWorld& world, std::uint8_t kind) {
    bool made_in_hand = false;
    for (std::size_t r = 0; r < world.chain; ++r)
        made_in_hand =
            made_in_hand || (world.rule[r].when == ProductionRule::When::taken && world.rule[r].c == kind);
    if (!made_in_hand) return false;
    for (std::size_t r = 0; r < world.chain; ++r) {
        if (world.rule[r].when == ProductionRule::When::taken && world.rule[r].a == kind) return true;
        if (world.rule[r].when == ProductionRule::When::onto && world.rule[r].b == kind) return true;
    }
    return false;
}

/// Is it no use to try action `use` here?
bool useless(const RuleWorld& world, const State& before, const State& after) {
    if (before.held < 0) {
        return after.held < 0 || !leads_on(world, before, before.kind[static_cast<std::size_t>(after.held)]);
    }
    // What is put down does something, has to lie, or was a key, whose door (of the same number) is open.
    const std::uint8_t held = before.kind[static_cast<std::size_t>(before.held)];
    const bool spent = held < RuleKind::first_thing && (before.open >> held & 1) != 0;
    return after.held >= 0 ||
           (after.fired == before.fired && !spent && !lies_first(world, held) && !world.reached(after));
}

}  // namespace

RulePlan plan_rule_world(const RuleWorld& world, const State& start, RuleMoves moves, int state_limit) {
    struct Node {
        State state;
        std::int32_t from;
        std::uint8_t action;
    };
    RulePlan plan;
    Stream unused;
    Seen seen(state_limit);
    std::vector<Node> nodes{{start, -1, 0}};
    nodes.reserve(static_cast<std::size_t>(state_limit));
    seen.add(checksum(world, start, moves));
    std::size_t layer_end = 1;
    for (std::size_t at = 0; at < nodes.size(); ++at) {
        if (at == layer_end) {
            ++plan.steps;
            layer_end = nodes.size();
        }
        for (int action = 0; action < world.action_count(); ++action) {
            Node next{nodes[at].state, static_cast<std::int32_t>(at), static_cast<std::uint8_t>(action)};
            const bool ended = world.step(next.state, action, unused).ended;
            if (!ended && action == RuleWorld::use && moves == RuleMoves::useful &&
                useless(world, nodes[at].state, next.state))
                continue;
            if (ended) {
                plan.found = true;
                ++plan.steps;
                plan.actions.push_back(next.action);
                for (auto k = static_cast<std::int32_t>(at); nodes[static_cast<std::size_t>(k)].from >= 0;
                     k = nodes[static_cast<std::size_t>(k)].from)
                    plan.actions.push_back(nodes[static_cast<std::size_t>(k)].action);
                std::ranges::reverse(plan.actions);
                return plan;
            }
            if (!seen.add(checksum(world, next.state, moves))) continue;
            if (std::ssize(nodes) == state_limit) return plan;
            nodes.push_back(next);
        }
    }
    return plan;
}

RuleOptimum optimal_return(const RuleWorld& world, int starts, Stream random, int state_limit) {
    RuleOptimum optimum;
    for (int k = 0; k < starts; ++k) {
        const RulePlan plan = plan_rule_world(world, world.reset(random), RuleMoves::all, state_limit);
        optimum.exact = optimum.exact && plan.found;
        // A plan of n steps pays at time n - 1; where none was found, any has one step more than was looked at, or more.
        const int last = plan.found ? plan.steps - 1 : plan.steps;
        if (last < world.horizon()) optimum.value += std::pow(static_cast<double>(world.discount()), last) / starts;
    }
    return optimum;
}

}  // namespace dunlin

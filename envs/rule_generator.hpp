// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "envs/rule_world.hpp"

#include <cstdint>

namespace dunlin {

/// How hard generated rule worlds are.
struct RuleWorldSettings {
    int side = 5;              ///< free cells of a side, rooms and the walls between them together
    int rooms = 1;             ///< 1, 2 or 4; more than one need a side of at least 7
    int locked_doors = 0;      ///< of the rooms - 1 doorways
    int things = 12;           ///< kinds of objects, keys not counted, that tasks are made of
    int rule_depth = 1;        ///< production rules one after the other from what lies there to what the goal needs
    int distractors = 2;       ///< objects that lead nowhere
    int distractor_rules = 1;  ///< rules of theirs; each needs two of them
    int window = 5;            ///< side of the square that the agent sees; odd
    int horizon = 30;
    float discount = 0.95f;
    float rule_reward = 0.0f;  ///< for each rule on the way to the goal when it first fires
};

/// Which part of all rules a task is from. A rule (goal and production rules on the way to it) is in one of them by
/// its own number: 7 of 10 to train on, 1 to choose settings by, 2 to be judged on. Whatever the seed, no task of one part
/// has a rule of another.
enum class RuleSplit : std::uint8_t { training, validation, test };

/// The goal and the rules that lead to it as a number, the same for tasks that differ in rooms, distractors and places alone.
/// Two rules may have the same number by chance, 2^-64 a pair.
std::uint64_t rule_number(const RuleWorld& world);
RuleSplit split_of(std::uint64_t rule_number);

/// Task `number` of a seed, of one part of the rules. The same on every processor. Every task can be solved from wherever
/// it starts: what is needed lies in rooms that can be reached with what lies before them, nothing that is needed can be
/// used up by other rules, and doors stay open. Errors: out_of_range (a setting; or `things` make so few rules that none of
/// them is in this part).
Result<RuleWorld> make_rule_world(const RuleWorldSettings& settings, std::uint64_t seed, std::uint64_t number,
                                  RuleSplit split);

/// Different goals with the rules that lead to them; and times the choice of distractors: different tasks, whatever the rooms
/// are. Of valid settings.
double count_rules(const RuleWorldSettings& settings);
double count_rule_worlds(const RuleWorldSettings& settings);

}  // namespace dunlin

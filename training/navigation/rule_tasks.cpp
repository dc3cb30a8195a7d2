// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/rule_tasks.hpp"

#include "training/settings/task_text.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr int planned_starts = 8, planned_states = 60'000;
constexpr std::size_t judged_tasks = 16;  ///< of those trained on

std::string kind_name(std::uint8_t kind) {
    constexpr const char* colours[] = {"red", "green", "blue", "yellow"};
    constexpr const char* shapes[] = {"key", "ball", "box", "cone"};
    return fmt::format("{} {}", colours[kind % RuleKind::colours], shapes[kind / RuleKind::colours]);
}

std::string goal_name(const RuleGoal& goal) {
    switch (goal.what) {
        case RuleGoal::What::hold:
            return fmt::format("hold a {}", kind_name(goal.a));
        case RuleGoal::What::stand:
            return fmt::format("stand by a {}", kind_name(goal.a));
        default:
            return fmt::format("{} beside {}", kind_name(goal.a), kind_name(goal.b));
    }
}

std::string rule_name(const ProductionRule& rule) {
    switch (rule.when) {
        case ProductionRule::When::taken:
            return fmt::format("{} taken is {}", kind_name(rule.a), kind_name(rule.c));
        case ProductionRule::When::beside:
            return fmt::format("{} beside {} is {}", kind_name(rule.a), kind_name(rule.b), kind_name(rule.c));
        case ProductionRule::When::onto:
            return fmt::format("{} onto {} is {}", kind_name(rule.a), kind_name(rule.b), kind_name(rule.c));
        default:
            return fmt::format("{} taken opens door {}", kind_name(rule.a), rule.b + 1);
    }
}

/// What differs between tasks that are not the same.
std::pair<std::uint64_t, std::set<std::uint8_t>> identity(const RuleWorld& world) {
    return {rule_number(world), {world.kind.begin(), world.kind.begin() + world.objects}};
}

Failure refusal(const Error& error) {
    return Failure{
        fmt::format("environment: no rule world of such settings ({} is out of range, the limit is {}): more than "
                    "one of rooms (1, 2, "
                    "4) need a side of 7 or more, locked_doors are fewer than rooms, a rule of distractors needs "
                    "two of them, window is "
                    "odd, things are at least 2 rule_depth + 2 + distractors + distractor_rules, and a third of "
                    "the cells holds all "
                    "objects",
                    error.first, error.second)};
}

}  // namespace

Outcome<RuleTasks> RuleTasks::make(const NavigationSettings& s) {
    RuleTasks world;
    world.settings_ = s.rules;
    world.settings_.horizon = s.horizon;
    world.settings_.discount = s.discount;
    world.seed_ = s.environment_seed == 0 ? s.seed : s.environment_seed;
    world.part_ = s.held_out_part;
    const auto add = [&](std::vector<RuleWorld>& to, int count, RuleSplit part) -> Outcome<void> {
        std::set<std::uint64_t> rules;
        // Rules that differ, as long as there are some; then the same again with other distractors.
        for (std::uint64_t number = 0; std::ssize(to) < count; ++number) {
            const Result<RuleWorld> made = make_rule_world(world.settings_, world.seed_, number, part);
            if (!made) return tl::unexpected(refusal(made.error()));
            const bool fresh = rules.insert(rule_number(*made)).second;
            if (fresh || number >= 4 * static_cast<std::uint64_t>(count)) to.push_back(*made);
        }
        return {};
    };
    if (auto added = add(world.pool_, s.training_tasks, RuleSplit::training); !added)
        return tl::unexpected(added.error());
    world.training_.assign(world.pool_.begin(), world.pool_.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                          judged_tasks, world.pool_.size())));
    if (auto added = add(world.held_out_, s.held_out_tasks, world.part_); !added)
        return tl::unexpected(added.error());
    world.training_optima_.assign(world.training_.size(), NAN);
    world.held_out_optima_.assign(world.held_out_.size(), NAN);
    return world;
}

Outcome<RuleTasks::Policy> RuleTasks::policy(const NavigationSettings& s, const Kernels<float>* kernels) const {
    const RuleWorld& any = pool_.front();
    if (s.rollout.baseline == Baseline::linear)
        return refuse(
            "rl.baseline = linear: it fits features of few observations, and a rule world has too many; use "
            "leave-one-out");
    const Result<MlpShape> shape =
        MlpShape::make(any.observation_size(), s.hidden, any.action_count(), s.activation);
    if (!shape) return refuse(shape.error(), "policy.hidden");
    const Outcome<Mlp<float>> critic = critic_of(s, *shape, kernels);
    if (!critic) return tl::unexpected(critic.error());
    return Policy{{Mlp<float>{*shape, kernels}}, *critic};
}

std::string RuleTasks::name(const RuleWorld& world) const {
    std::string text = goal_name(world.goal);
    for (std::size_t k = 0; k < world.chain; ++k) text += ", " + rule_name(world.rule[k]);
    return text;
}

std::vector<std::string> RuleTasks::names(TaskSet set) const {
    std::vector<std::string> all;
    for (const RuleWorld& task : environments(set))
        all.push_back(fmt::format("task {}: {}", all.size() + 1, name(task)));
    return all;
}

Outcome<int> RuleTasks::add_held_out(const std::string& description) {
    std::uint64_t number = 0, seed = seed_;
    const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
        const auto given = numbers<std::uint64_t>(value, 1);
        if ((key != "number" && key != "seed") || !given) return false;
        (key == "seed" ? seed : number) = given->front();
        return true;
    });
    if (!read) return tl::unexpected(read.error());
    const Result<RuleWorld> made = make_rule_world(settings_, seed, number, part_);
    if (!made) return tl::unexpected(refusal(made.error()));
    held_out_.push_back(*made);
    held_out_optima_.push_back(NAN);
    return static_cast<int>(held_out_.size()) - 1;
}

int RuleTasks::distinct_tasks(TaskSet set) const {
    std::set<std::pair<std::uint64_t, std::set<std::uint8_t>>> all;
    for (const RuleWorld& task : environments(set)) all.insert(identity(task));
    return static_cast<int>(all.size());
}

bool RuleTasks::trained_on(int number) const {
    const std::uint64_t rule = rule_number(held_out_[static_cast<std::size_t>(number)]);
    return std::ranges::any_of(pool_, [rule](const RuleWorld& task) { return rule_number(task) == rule; });
}

double RuleTasks::optimum(TaskSet set, std::size_t number, StopAsked stop) {
    double& known = (set == TaskSet::training ? training_optima_ : held_out_optima_)[number];
    if (std::isnan(known) && !stop()) {
        const Stream random(seed_, static_cast<std::uint32_t>(number), Purpose::evaluate);
        known = optimal_return(environments(set)[number], planned_starts, random, planned_states).value;
    }
    return known;
}

void RuleTasks::describe(TaskSet set, int number, TaskRecord& record) const {
    const RuleWorld& task = environments(set)[static_cast<std::size_t>(number)];
    record.rows = record.columns = task.side + 2;
    for (int row = 0; row < record.rows; ++row) {
        for (int column = 0; column < record.columns; ++column)
            record.walls.push_back(task.is_wall(row * RuleWorld::stride + column));
    }
    record.goal = {-1, -1};  // it is in no cell
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "envs/rule_generator.hpp"
#include "envs/rule_planning.hpp"

#include <cmath>
#include <set>
#include <type_traits>
#include <vector>

using namespace dunlin;
using When = ProductionRule::When;
using What = RuleGoal::What;

namespace {

static_assert(std::is_trivially_copyable_v<RuleWorld> && std::is_trivially_copyable_v<RuleWorld::State>);
static_assert(sizeof(RuleWorld::State) == 28 && sizeof(RuleWorld) <= 256);

constexpr int up = 0, down = 1, left = 2, right = 3, use = RuleWorld::use;

constexpr std::uint8_t cell(int row, int column) {
    return static_cast<std::uint8_t>(row * RuleWorld::stride + column);
}

/// One room of 5 x 5 with these objects, by hand.
RuleWorld room(std::vector<ProductionRule> rules, RuleGoal goal, std::vector<int> kinds) {
    RuleWorld world = make_rule_world({}, 1, 0, RuleSplit::training).value();
    world.rules = world.chain = 0;
    for (const ProductionRule& rule : rules) world.rule[world.rules++] = rule;
    world.chain = world.rules;
    world.goal = goal;
    world.objects = 0;
    for (const int kind : kinds) world.kind[world.objects++] = static_cast<std::uint8_t>(kind);
    return world;
}

RuleWorld::State state_of(const RuleWorld& world, std::uint8_t agent, std::vector<std::uint8_t> cells) {
    RuleWorld::State state;
    state.agent = agent;
    for (std::size_t k = 0; k < cells.size(); ++k) {
        state.kind[k] = world.kind[k];
        state.at[k] = cells[k];
    }
    return state;
}

RuleWorld::Step play(const RuleWorld& world, RuleWorld::State& state, std::vector<int> actions) {
    Stream unused;
    RuleWorld::Step step{};
    for (const int action : actions) {
        CHECK_FALSE(step.ended);
        step = world.step(state, action, unused);
    }
    return step;
}

std::vector<RuleWorldSettings> families() {
    std::vector<RuleWorldSettings> all(6);
    all[0].rule_depth = 0;
    all[2] = {.side = 7, .rooms = 2, .locked_doors = 1, .rule_depth = 1};
    all[3] = {.side = 9, .rooms = 4, .locked_doors = 3, .rule_depth = 2, .distractors = 3};
    all[4] = {.side = 11, .rooms = 4, .locked_doors = 1, .rule_depth = 2, .distractors = 2, .window = 7};
    all[5] = {.side = 14, .rooms = 1, .rule_depth = 3, .distractors = 2, .distractor_rules = 1};
    return all;
}

}  // namespace

TEST_CASE("objects beside each other, put onto each other and taken become what the rules say") {
    const RuleWorld beside = room({{When::beside, 4, 5, 9}}, {What::hold, 9}, {4, 5});
    auto state = state_of(beside, cell(1, 1), {cell(1, 1), cell(1, 4)});
    CHECK(play(beside, state, {use, right, right}).reward == 0.0f);
    CHECK(state.held == 0);
    CHECK(play(beside, state, {use}).ended == false);  // put down beside the other one
    CHECK(state.kind[1] == 9);
    CHECK(state.at[1] == cell(1, 4));
    CHECK(state.at[0] == RuleWorld::nowhere);
    const auto taken = play(beside, state, {right, use});
    CHECK(taken.ended);
    CHECK(taken.reward == 1.0f);

    const RuleWorld onto = room({{When::onto, 4, 5, 9}}, {What::stand, 9}, {4, 5});
    state = state_of(onto, cell(2, 2), {cell(2, 2), cell(2, 4)});
    CHECK(play(onto, state, {use, right, right, use}).ended);
    state = state_of(onto, cell(2, 4), {cell(2, 2), cell(2, 4)});
    CHECK_FALSE(play(onto, state, {use, left, left, use}).ended);  // the other way round is no rule
    CHECK(state.held == 1);

    RuleWorld turns = room({{When::taken, 4, 0, 9}}, {What::pair, 9, 5}, {4, 5});
    turns.rule_reward = 0.25f;
    state = state_of(turns, cell(3, 3), {cell(3, 3), cell(5, 3)});
    CHECK(play(turns, state, {use}).reward == 0.25f);
    CHECK(state.kind[0] == 9);
    const auto there = play(turns, state, {down, use});
    CHECK(there.ended);
    CHECK(there.reward == 1.0f);
}

TEST_CASE("walls stop, and a door opens for its key in the hand or by a rule, and stays open") {
    RuleWorld world =
        make_rule_world({.side = 7, .rooms = 2, .locked_doors = 1}, 3, 0, RuleSplit::training).value();
    REQUIRE(world.doors == 1);
    const int door = world.door[0].cell, before = door - 1, behind = door + 1;
    world.rules = world.chain = 0;
    world.goal = {What::hold, 15};
    world.objects = 1;
    world.kind[0] = 0;
    world.door[0].key = 0;
    auto state = state_of(world, static_cast<std::uint8_t>(before), {static_cast<std::uint8_t>(before)});
    play(world, state, {right});
    CHECK(state.agent == before);
    play(world, state, {use, right});
    CHECK(state.agent == door);
    play(world, state, {left, use, right, right});
    CHECK(state.agent == behind);

    world.door[0].key = RuleWorld::Door::no_key;
    state = state_of(world, static_cast<std::uint8_t>(before), {static_cast<std::uint8_t>(before)});
    play(world, state, {use, right});
    CHECK(state.agent == before);
    world.rule[world.rules++] = {When::opens, 0, 0};
    state = state_of(world, static_cast<std::uint8_t>(before), {static_cast<std::uint8_t>(before)});
    play(world, state, {use, use, right, right});
    CHECK(state.agent == behind);

    state = state_of(world, cell(1, 1), {cell(7, 1)});
    play(world, state, {up, left, up});
    CHECK(state.agent == cell(1, 1));
}

TEST_CASE("the agent sees a window: walls, doors, objects, and what it holds") {
    const RuleWorld world = room({}, {What::hold, 15}, {4, 13});
    auto state = state_of(world, cell(1, 1), {cell(2, 3), cell(5, 5)});
    std::vector<float> seen(static_cast<std::size_t>(world.observation_size()) * 3, 7.0f);
    world.observe(state, seen.data(), 3);
    const auto at = [&](int channel, int row, int column) {
        return seen[static_cast<std::size_t>(((channel * 5 + row) * 5 + column) * 3)];
    };
    double sum = 0;
    for (std::size_t k = 0; k < seen.size(); k += 3) sum += static_cast<double>(seen[k]);
    CHECK(sum == 16 + 2);  // the cells of two rows and two columns that are walls, and one object
    CHECK(at(0, 0, 0) == 1.0f);
    CHECK(at(0, 1, 4) == 1.0f);
    CHECK(at(0, 4, 1) == 1.0f);
    CHECK(at(0, 2, 2) == 0.0f);
    CHECK(at(2 + 4 % 4, 3, 4) == 1.0f);
    CHECK(at(6 + 4 / 4, 3, 4) == 1.0f);
    CHECK(seen[1] == 7.0f);
    state.held = 1;
    state.at[1] = RuleWorld::in_hand;
    world.observe(state, seen.data(), 1);
    CHECK(seen[250 + 13 % 4] == 1.0f);
    CHECK(seen[250 + 4 + 13 / 4] == 1.0f);
}

TEST_CASE("a planner solves every generated rule world from every start, and the plan does what it says") {
    for (const RuleWorldSettings& settings : families()) {
        for (std::uint64_t number = 0; number < 60; ++number) {
            const auto split = static_cast<RuleSplit>(number % 3);
            const RuleWorld world = make_rule_world(settings, 7, number, split).value();
            Stream random(9, static_cast<std::uint32_t>(number), Purpose::rollout);
            const RuleWorld::State start = world.reset(random);
            CHECK_FALSE(world.premature(start));
            const RulePlan plan = plan_rule_world(world, start, RuleMoves::useful, 400'000);
            REQUIRE(plan.found);
            CHECK(plan.steps == static_cast<int>(plan.actions.size()));
            RuleWorld::State state = start;
            RuleWorld::Step step{};
            for (const std::uint8_t action : plan.actions) {
                CHECK_FALSE(step.ended);
                step = world.step(state, action, random);
            }
            CHECK(step.ended);
            CHECK(step.reward == 1.0f);
        }
    }
}

TEST_CASE("the shortest plan is no longer than a useful one, and a search that is cut short gives a bound") {
    const RuleWorldSettings settings{.side = 4, .rule_depth = 1, .distractors = 1, .distractor_rules = 0};
    for (std::uint64_t number = 0; number < 10; ++number) {
        const RuleWorld world = make_rule_world(settings, 2, number, RuleSplit::test).value();
        Stream random(1, 0, Purpose::rollout);
        const RuleWorld::State start = world.reset(random);
        const RulePlan best = plan_rule_world(world, start, RuleMoves::all, 300'000);
        const RulePlan useful = plan_rule_world(world, start, RuleMoves::useful, 300'000);
        const RulePlan cut = plan_rule_world(world, start, RuleMoves::all, 30);
        REQUIRE(best.found);
        CHECK(best.steps <= useful.steps);
        CHECK((cut.found ? cut.steps == best.steps : cut.steps < best.steps));
        const RuleOptimum exact = optimal_return(world, 1, Stream(1, 0, Purpose::rollout), 300'000);
        CHECK(exact.exact);
        CHECK(exact.value == Approx(std::pow(0.95, best.steps - 1)));
        CHECK(optimal_return(world, 1, Stream(1, 0, Purpose::rollout), 30).value >= exact.value);
    }
}

TEST_CASE("training, validation and test have no rule in common, whatever the seed") {
    const RuleWorldSettings settings{.things = 8, .rule_depth = 1};
    std::set<std::uint64_t> rules[3];
    for (int part = 0; part < 3; ++part) {
        for (std::uint64_t number = 0; number < 3000; ++number) {
            const RuleWorld world =
                make_rule_world(settings, number % 5, number, static_cast<RuleSplit>(part)).value();
            rules[part].insert(rule_number(world));
        }
    }
    for (int part = 0; part < 3; ++part) {
        for (const std::uint64_t rule : rules[part]) {
            CHECK(rules[(part + 1) % 3].count(rule) == 0);
            CHECK(rules[(part + 2) % 3].count(rule) == 0);
        }
    }
}

TEST_CASE("rules are counted as they are drawn, and the usual settings make more than a million tasks") {
    for (const int depth : {0, 1}) {
        const RuleWorldSettings few{.things = 4, .rule_depth = depth, .distractors = 0, .distractor_rules = 0};
        std::set<std::uint64_t> rules;
        for (const RuleSplit part : {RuleSplit::training, RuleSplit::validation, RuleSplit::test}) {
            for (std::uint64_t number = 0; number < 10'000; ++number) {
                const auto world = make_rule_world(few, 1, number, part);
                if (!world) break;  // so few rules that none is in this part
                rules.insert(rule_number(*world));
            }
        }
        CHECK(static_cast<double>(rules.size()) == count_rules(few));
    }
    CHECK(count_rule_worlds({.distractors = 3}) > 1e6);
    CHECK(count_rules({.rule_depth = 2}) > 1e6);
}

TEST_CASE("the same seed gives the same rule world on every processor") {
    std::uint64_t sum = 0;
    for (const RuleWorldSettings& settings : families()) {
        for (std::uint64_t number = 0; number < 20; ++number) {
            const RuleWorld world = make_rule_world(settings, 5, number, RuleSplit::training).value();
            Stream random(6, 0, Purpose::rollout);
            RuleWorld::State state = world.reset(random);
            for (int h = 0; h < 50; ++h) {
                if (world.step(state, static_cast<int>(random.below(5)), random).ended) state = world.reset(random);
                sum = sum * 31 + state.agent + state.open * 7u + state.kind[0] * 11u + state.at[1];
            }
            sum ^= rule_number(world);
        }
    }
    CHECK(sum == 0xf1d742a8dc469646u);
    CHECK(rule_number(make_rule_world({}, 2, 3, RuleSplit::test).value()) ==
          rule_number(make_rule_world({}, 2, 3, RuleSplit::test).value()));
}

TEST_CASE("rule worlds that cannot be are refused") {
    const auto refused = [](RuleWorldSettings settings) {
        const auto made = make_rule_world(settings, 1, 0, RuleSplit::training);
        return !made && made.error().code == Code::out_of_range;
    };
    CHECK(refused({.side = 6, .rooms = 2}));
    CHECK(refused({.side = 9, .rooms = 3}));
    CHECK(refused({.side = 15}));
    CHECK(refused({.locked_doors = 1}));
    CHECK(refused({.things = 5}));
    CHECK(refused({.side = 3, .distractors = 2}));
    CHECK(refused({.distractors = 1, .distractor_rules = 1}));
    CHECK(refused({.window = 4}));
    CHECK(refused({.window = 11}));
    CHECK(refused({.horizon = 0}));
    CHECK(refused({.discount = 0.0f}));
}

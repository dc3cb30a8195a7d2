// SPDX-License-Identifier: Apache-2.0
#include "envs/rule_generator.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using When = ProductionRule::When;
using What = RuleGoal::What;

constexpr int longest_horizon = 10000;
/// Draws until a rule of the wanted part comes; where so few kinds make so few rules that none is in it, none does.
constexpr int draw_limit = 4096;

/// Objects that a goal needs: of a chain of two inputs each, and the other one of a pair.
constexpr int most_needed(const RuleWorldSettings& s) {
    return s.rule_depth + 2;
}

/// Kinds that a task takes at most.
constexpr int most_kinds(const RuleWorldSettings& s) {
    return 2 * s.rule_depth + 2 + s.distractors + s.distractor_rules;
}

Result<void> check(const RuleWorldSettings& s) {
    const auto in = [](int value, int low, int high) -> Result<void> {
        if (value < low || value > high) return fail(Code::out_of_range, value, value < low ? low : high);
        return {};
    };
    constexpr int most_things = RuleKind::count - RuleKind::first_thing;
    if (auto ok = in(s.rooms == 3 ? 5 : s.rooms, 1, RuleWorld::room_limit); !ok) return ok;
    if (auto ok = in(s.side, s.rooms > 1 ? 7 : 3, RuleWorld::side_limit); !ok) return ok;
    if (auto ok = in(s.locked_doors, 0, s.rooms - 1); !ok) return ok;
    if (auto ok = in(s.rule_depth, 0, 3); !ok) return ok;
    if (auto ok = in(s.distractors, 0, 6); !ok) return ok;
    if (auto ok = in(s.distractor_rules, 0, s.distractors / 2); !ok) return ok;
    if (auto ok = in(s.things, most_kinds(s), most_things); !ok) return ok;
    if (auto ok = in(s.window | (s.window % 2 == 0 ? 64 : 0), 3, RuleWorld::window_limit); !ok) return ok;
    if (auto ok = in(s.horizon, 1, longest_horizon); !ok) return ok;
    if (!(s.discount > 0.0f && s.discount <= 1.0f)) return fail(Code::out_of_range, 0, 1);
    if (!(s.rule_reward >= 0.0f && s.rule_reward <= 1.0f)) return fail(Code::out_of_range, 0, 1);
    const int objects = most_needed(s) + s.distractors + s.locked_doors;
    if (auto ok = in(objects, 1, RuleWorld::object_limit); !ok) return ok;
    // Three cells for each object leave room to put things down without touching others.
    const int cells = s.rooms == 1 ? s.side * s.side : (s.side - 1) * (s.side - 1);
    return in(objects, 1, std::max(1, cells / 3));
}

/// Draws kinds without giving one out twice.
class Kinds {
public:
    Kinds(int things, Stream& random) : random_(random), left_(things) {
        for (int k = 0; k < things; ++k) kind_[k] = static_cast<std::uint8_t>(RuleKind::first_thing + k);
    }
    std::uint8_t draw() {
        const std::uint32_t at = random_.below(static_cast<std::uint32_t>(left_));
        std::swap(kind_[at], kind_[--left_]);
        return kind_[left_];
    }

private:
    Stream& random_;
    int left_;
    std::uint8_t kind_[RuleKind::count] = {};
};

void put_object(RuleWorld& world, std::uint8_t kind, std::uint8_t room) {
    world.kind[world.objects] = kind;
    world.home[world.objects++] = room;
}

std::uint8_t any_room(const RuleWorld& world, Stream& random) {
    return static_cast<std::uint8_t>(random.below(world.rooms));
}

ProductionRule draw_rule(std::uint8_t product, Kinds& kinds, Stream& random) {
    // Of two inputs each kind has as many rules as another, where beside counts once and onto twice.
    const std::uint32_t way = random.below(4);
    ProductionRule rule{.when = way == 0 ? When::taken : way == 1 ? When::beside : When::onto, .c = product};
    rule.a = kinds.draw();
    if (rule.when == When::taken) return rule;
    rule.b = kinds.draw();
    if (rule.when == When::beside && rule.a > rule.b) std::swap(rule.a, rule.b);
    return rule;
}

/// The goal, the rules on the way to it, and what has to lie somewhere.
void draw_chain(const RuleWorldSettings& s, RuleWorld& world, Kinds& kinds, Stream& random) {
    world.goal.what = static_cast<What>(random.below(3));
    std::uint8_t needed = world.goal.a = kinds.draw();
    if (world.goal.what == What::pair) {
        world.goal.b = kinds.draw();
        if (s.rule_depth == 0 && world.goal.b < world.goal.a) std::swap(world.goal.a, world.goal.b);
        needed = world.goal.a;
        put_object(world, world.goal.b, any_room(world, random));
    }
    for (int depth = 0; depth < s.rule_depth; ++depth) {
        const ProductionRule rule = draw_rule(needed, kinds, random);
        world.rule[world.rules++] = rule;
        needed = rule.a;
        if (rule.when == When::taken) continue;
        // Either of the two may be made by the next rule.
        const bool second = random.below(2) == 1;
        put_object(world, second ? rule.a : rule.b, any_room(world, random));
        if (second) needed = rule.b;
    }
    put_object(world, needed, any_room(world, random));
    world.chain = world.rules;
}

void draw_distractors(const RuleWorldSettings& s, RuleWorld& world, Kinds& kinds, Stream& random) {
    const int first = world.objects;
    for (int k = 0; k < s.distractors; ++k) {
        const std::uint8_t room = any_room(world, random);  // draws first, with any compiler
        put_object(world, kinds.draw(), room);
    }
    for (int k = 0; k < s.distractor_rules; ++k) {
        const auto at = static_cast<std::size_t>(first + 2 * k);
        world.rule[world.rules++] = {.when = random.below(2) == 0 ? When::beside : When::onto,
                                     .a = world.kind[at],
                                     .b = world.kind[at + 1],
                                     .c = kinds.draw()};
    }
}

void build_wall(RuleWorld& world, int row, int column) {
    world.walls[static_cast<std::size_t>(row)] =
        static_cast<std::uint16_t>(world.walls[static_cast<std::size_t>(row)] | 1u << column);
}

void open_wall(RuleWorld& world, int cell) {
    auto& row = world.walls[static_cast<std::size_t>(cell / RuleWorld::stride)];
    row = static_cast<std::uint16_t>(row & ~(1u << cell % RuleWorld::stride));
}

/// Walls, and where doorways may be: rooms follow each other clockwise from the upper left one.
void build_rooms(const RuleWorldSettings& s, RuleWorld& world) {
    const int n = s.side, first = (n - 1) / 2, second = n - 1 - first;
    for (int row = 0; row < RuleWorld::stride; ++row) {
        for (int column = 0; column < RuleWorld::stride; ++column) {
            if (row == 0 || column == 0 || row > n || column > n) build_wall(world, row, column);
            if (s.rooms > 1 && column == first + 1) build_wall(world, row, column);
            if (s.rooms > 2 && row == first + 1) build_wall(world, row, column);
        }
    }
    const auto room = [](int top, int left, int height, int width) {
        return RuleWorld::Room{static_cast<std::uint8_t>(top), static_cast<std::uint8_t>(left),
                               static_cast<std::uint8_t>(height), static_cast<std::uint8_t>(width)};
    };
    const int tall = s.rooms > 2 ? first : n, wide = s.rooms > 1 ? first : n;
    world.room[0] = room(1, 1, tall, wide);
    world.room[1] = room(1, first + 2, tall, second);
    world.room[2] = room(first + 2, first + 2, second, second);
    world.room[3] = room(first + 2, 1, second, first);
}

/// The cell of the doorway from room k to the next one.
int doorway(const RuleWorld& world, int k, Stream& random) {
    const auto& from = world.room[static_cast<std::size_t>(k)];
    if (k == 1) {  // down
        const int column = from.left + static_cast<int>(random.below(from.width));
        return (from.top + from.height) * RuleWorld::stride + column;
    }
    const int row = from.top + static_cast<int>(random.below(from.height));
    return row * RuleWorld::stride + (k == 0 ? from.left + from.width : from.left - 1);
}

/// Which doorways are locked, by what they open, and where that lies: in a room that can be reached without them.
void draw_doors(const RuleWorldSettings& s, RuleWorld& world, Stream& random) {
    world.start_rooms = world.rooms;
    int locks = s.locked_doors;
    for (int k = 0; k + 1 < s.rooms; ++k) {
        const int cell = doorway(world, k, random);
        // So many of the doorways that are left.
        const bool locked = static_cast<int>(random.below(static_cast<std::uint32_t>(s.rooms - 1 - k))) < locks;
        if (!locked) {
            open_wall(world, cell);
            continue;
        }
        --locks;
        if (world.doors == 0) world.start_rooms = static_cast<std::uint8_t>(k + 1);
        const std::uint8_t colour = world.doors;  // also the number of the key
        const bool by_rule = random.below(2) == 1;
        put_object(world, colour, static_cast<std::uint8_t>(random.below(static_cast<std::uint32_t>(k + 1))));
        if (by_rule) world.rule[world.rules++] = {.when = When::opens, .a = colour, .b = world.doors};
        world.door[world.doors++] = {static_cast<std::uint8_t>(cell), colour,
                                     by_rule ? RuleWorld::Door::no_key : colour};
    }
}

constexpr std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    return hash * 0xd6e8feb86659fd93u ^ hash >> 29;
}

RuleWorld draw_task(const RuleWorldSettings& s, Stream& random) {
    RuleWorld world;
    world.side = s.side;
    world.window = s.window;
    world.horizon_steps = s.horizon;
    world.discount_factor = s.discount;
    world.rule_reward = s.rule_reward;
    world.rooms = static_cast<std::uint8_t>(s.rooms);
    build_rooms(s, world);
    Kinds kinds(s.things, random);
    draw_chain(s, world, kinds, random);
    draw_distractors(s, world, kinds, random);
    draw_doors(s, world, random);
    return world;
}

double choose(int n, int k) {
    double ways = 1;
    for (int i = 0; i < k; ++i) ways *= static_cast<double>(n - i) / (i + 1);
    return ways;
}

/// Ways of so many rules to make one product when so many kinds are left, each with the kinds that then remain: calls
/// f(ways, kinds left).
template <class F>
void each_chain(int depth, int left, double ways, const F& f) {
    if (depth == 0) return f(ways, left);
    const double two = static_cast<double>(left) * (left - 1);
    each_chain(depth - 1, left - 1, ways * left, f);  // taken
    // beside: two that go either way round; onto: which is put down. Above the last rule also which of the two is made.
    each_chain(depth - 1, left - 2, ways * two * (depth > 1 ? 3.0 : 1.5), f);
}

template <class F>
void each_rule(const RuleWorldSettings& s, const F& f) {
    const int n = s.things;
    each_chain(s.rule_depth, n - 1, 2.0 * n, f);                                       // hold, stand
    each_chain(s.rule_depth, n - 2, (s.rule_depth > 0 ? 1.0 : 0.5) * n * (n - 1), f);  // pair
}

}  // namespace

std::uint64_t rule_number(const RuleWorld& world) {
    std::uint64_t hash =
        mixed(0, static_cast<std::uint64_t>(world.goal.what) << 16 | world.goal.a << 8 | world.goal.b);
    for (std::size_t k = 0; k < world.chain; ++k) {
        const ProductionRule& r = world.rule[k];
        hash = mixed(hash, static_cast<std::uint64_t>(r.when) << 24 | std::uint64_t{r.a} << 16 |
                               std::uint64_t{r.b} << 8 | r.c);
    }
    return hash;
}

RuleSplit split_of(std::uint64_t rule_number) {
    const std::uint64_t part = (rule_number >> 32) % 10;
    return part < 7 ? RuleSplit::training : part == 7 ? RuleSplit::validation : RuleSplit::test;
}

Result<RuleWorld> make_rule_world(const RuleWorldSettings& settings, std::uint64_t seed, std::uint64_t number,
                                  RuleSplit split) {
    if (const Result<void> ok = check(settings); !ok) return tl::unexpected(ok.error());
    Stream random(seed, 2u + static_cast<std::uint32_t>(split), Purpose::tasks);
    random.seek_epoch(number);
    for (int k = 0; k < draw_limit; ++k) {
        const RuleWorld world = draw_task(settings, random);
        if (split_of(rule_number(world)) == split) return world;
    }
    return fail(Code::out_of_range, settings.things, RuleKind::count - RuleKind::first_thing);
}

double count_rules(const RuleWorldSettings& settings) {
    double sum = 0;
    each_rule(settings, [&sum](double ways, int) { sum += ways; });
    return sum;
}

double count_rule_worlds(const RuleWorldSettings& settings) {
    double sum = 0;
    each_rule(settings, [&](double ways, int left) { sum += ways * choose(left, settings.distractors); });
    return sum;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace dunlin {

/// What an object is, or a key: a shape and a colour. Shape 0 is a key.
struct RuleKind {
    static constexpr int colours = 4, shapes = 4, count = colours * shapes;
    static constexpr int first_thing = colours;  ///< kinds below are keys
};

/// A production rule. Kinds in it are numbers below RuleKind::count.
struct ProductionRule {
    enum class When : std::uint8_t {
        beside,  ///< a and b lie in neighbouring cells: a vanishes, b becomes c
        onto,    ///< a is put where b lies: a vanishes, b becomes c
        taken,   ///< a is picked up: it becomes c
        opens    ///< a is picked up: door number b opens
    };
    When when = When::beside;
    std::uint8_t a = 0, b = 0, c = 0;

    friend constexpr bool operator==(const ProductionRule&, const ProductionRule&) = default;
};

struct RuleGoal {
    enum class What : std::uint8_t {
        hold,   ///< a is in the agent's hand
        stand,  ///< the agent is where an a lies, or in a neighbouring cell
        pair    ///< a and b lie in neighbouring cells
    };
    What what = What::hold;
    std::uint8_t a = 0, b = 0;

    friend constexpr bool operator==(const RuleGoal&, const RuleGoal&) = default;
};

/// A grid of rooms, doors and objects, where production rules say what becomes of objects, and a goal ends a
/// trajectory and pays 1. Rules and goal are what differs between tasks, and nothing shows them: only trying does.
/// Objects lie in other cells of their rooms in every trajectory. All is certain but where a trajectory starts.
///
/// Four actions move to a neighbouring cell, over objects but not through walls and closed doors; the fifth picks up
/// what lies where the agent stands, or puts down what it holds (where nothing lies, or where a rule puts it onto what
/// lies there). A door opens for who walks into it with its key in the hand, or by a rule, and stays open.
///
/// Seen is a square window around the agent: for each of its cells a wall, a closed door, colour and shape (of a door,
/// those of its key), through walls too; and colour and shape of what is in the hand.
///
/// A value without pointers, made by rule_generator.hpp. Nothing allocates. After XLand-MiniGrid (Nikulin et al. 2024),
/// whose rules and goals are of the same kinds; here the agent has no direction.
struct RuleWorld {
    static constexpr int side_limit = 14;  ///< of free cells; walls surround them
    static constexpr int stride = 16;      ///< from a cell to the one below
    static constexpr int object_limit = 12, rule_limit = 8, door_limit = 3, room_limit = 4, window_limit = 9;
    static constexpr int cell_channels = 2 + RuleKind::colours + RuleKind::shapes;
    // Places of objects that lie nowhere: numbers of cells that are walls.
    static constexpr std::uint8_t nowhere = 0, in_hand = 1;

    struct State {
        std::uint8_t agent = 0;  ///< its cell: row * stride + column, the walls around counted
        std::int8_t held = -1;   ///< number of the object in the hand; -1: none
        std::uint8_t open = 0;   ///< a bit for each door
        std::uint8_t fired = 0;  ///< a bit for each rule that has fired
        std::array<std::uint8_t, object_limit> kind{}, at{};

        friend constexpr bool operator==(const State&, const State&) = default;
    };
    struct Step {
        float reward;
        bool ended;
    };
    struct Room {
        std::uint8_t top = 1, left = 1, height = 0, width = 0;
    };
    struct Door {
        static constexpr std::uint8_t no_key = 255;
        std::uint8_t cell = 0, colour = 0;
        std::uint8_t key = no_key;  ///< kind that opens it from the hand
    };

    int side = 0;  ///< free cells of a side
    int window = 5;
    int horizon_steps = 30;
    float discount_factor = 0.95f;
    float rule_reward = 0.0f;  ///< for each rule of the chain that leads to the goal, when it first fires
    std::uint8_t rooms = 0, doors = 0, objects = 0, rules = 0;
    std::uint8_t chain = 0;                     ///< so many of the rules, the first ones, lead to the goal
    std::uint8_t start_rooms = 0;               ///< the agent starts in one of the first so many
    std::array<std::uint16_t, stride> walls{};  ///< a bit a column
    std::array<Room, room_limit> room{};
    std::array<Door, door_limit> door{};
    std::array<std::uint8_t, object_limit> kind{}, home{};  ///< of each object, and the room it starts in
    std::array<ProductionRule, rule_limit> rule{};
    RuleGoal goal{};

    int action_count() const { return 5; }
    static constexpr int use = 4;  ///< after up, down, left, right
    int horizon() const { return horizon_steps; }
    float discount() const { return discount_factor; }

    /// Places the agent and all objects, so that no rule is about to fire and the goal is not there yet. Where that
    /// fails in `placement_tries` attempts, which only a crowded world makes likely, the last one stays.
    State reset(Stream& random) const;
    static constexpr int placement_tries = 16;
    /// Is a rule about to fire, or the goal there, before anything was done?
    bool premature(const State& state) const;

    /// `action` in [0, 5); draws nothing.
    Step step(State& state, int action, Stream&) const;

    int observation_size() const { return window * window * cell_channels + RuleKind::colours + RuleKind::shapes; }
    /// Zeros and ones: channel by channel, row by row of the window.
    void observe(const State& state, float* out, std::ptrdiff_t stride_of_out) const;

    bool is_wall(int cell) const {
        return (walls[static_cast<std::size_t>(cell / stride)] >> cell % stride & 1) != 0;
    }
    bool reached(const State& state) const;
    /// May two kinds not lie beside each other at the start?
    bool reacts(std::uint8_t a, std::uint8_t b) const;

private:
    bool enters(State& state, int cell) const;
    bool handle(State& state) const;
    void react(State& state) const;
    bool place(State& state, Stream& random) const;
    int object_at(const State& state, std::uint8_t cell) const;
    std::uint8_t draw_cell(std::uint8_t in, Stream& random) const;
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "envs/rule_world.hpp"

namespace dunlin {
namespace {

using When = ProductionRule::When;
using What = RuleGoal::What;

constexpr int offsets[] = {-RuleWorld::stride, RuleWorld::stride, -1, 1};

constexpr bool neighbours(std::uint8_t a, std::uint8_t b) {
    // Outer cells are walls, so that no row's end is next to another row's beginning.
    const int apart = a > b ? a - b : b - a;
    return apart == 1 || apart == RuleWorld::stride;
}

constexpr bool lies(std::uint8_t cell) {
    return cell > RuleWorld::in_hand;
}

int bits(std::uint32_t mask) {
    return __builtin_popcount(mask);
}

}  // namespace

int RuleWorld::object_at(const State& state, std::uint8_t cell) const {
    for (int k = 0; k < objects; ++k) {
        if (state.at[static_cast<std::size_t>(k)] == cell) return k;
    }
    return -1;
}

bool RuleWorld::reacts(std::uint8_t a, std::uint8_t b) const {
    if (goal.what == What::pair && ((goal.a == a && goal.b == b) || (goal.a == b && goal.b == a))) return true;
    for (std::size_t k = 0; k < rules; ++k) {
        const ProductionRule& r = rule[k];
        if (r.when == When::beside && ((r.a == a && r.b == b) || (r.a == b && r.b == a))) return true;
    }
    return false;
}

bool RuleWorld::reached(const State& state) const {
    const auto count = static_cast<std::size_t>(objects);
    switch (goal.what) {
        case What::hold:
            return state.held >= 0 && state.kind[static_cast<std::size_t>(state.held)] == goal.a;
        case What::stand:
            for (std::size_t k = 0; k < count; ++k) {
                if (state.kind[k] == goal.a && lies(state.at[k]) &&
                    (state.at[k] == state.agent || neighbours(state.at[k], state.agent)))
                    return true;
            }
            return false;
        default:
            for (std::size_t k = 0; k < count; ++k) {
                if (state.kind[k] != goal.a || !lies(state.at[k])) continue;
                for (std::size_t l = 0; l < count; ++l) {
                    if (state.kind[l] == goal.b && lies(state.at[l]) && neighbours(state.at[k], state.at[l]))
                        return true;
                }
            }
            return false;
    }
}

std::uint8_t RuleWorld::draw_cell(std::uint8_t in, Stream& random) const {
    const Room& r = room[in];
    const auto k = static_cast<int>(random.below(static_cast<std::uint32_t>(r.height) * r.width));
    return static_cast<std::uint8_t>((r.top + k / r.width) * stride + r.left + k % r.width);
}

bool RuleWorld::premature(const State& state) const {
    if (reached(state)) return true;
    for (std::size_t k = 0; k < objects; ++k) {
        for (std::size_t l = k + 1; l < objects; ++l) {
            if (neighbours(state.at[k], state.at[l]) && reacts(state.kind[k], state.kind[l])) return true;
        }
    }
    return false;
}

/// Each object in a cell of its own.
bool RuleWorld::place(State& state, Stream& random) const {
    constexpr int draws = 64;
    state.at = {};
    for (std::size_t k = 0; k < objects; ++k) {
        state.kind[k] = kind[k];
        int tries = 0;
        std::uint8_t cell;
        do {
            cell = draw_cell(home[k], random);
        } while (object_at(state, cell) >= 0 && ++tries < draws);
        if (tries == draws) return false;
        state.at[k] = cell;
    }
    state.agent = draw_cell(static_cast<std::uint8_t>(random.below(start_rooms)), random);
    return !premature(state);
}

RuleWorld::State RuleWorld::reset(Stream& random) const {
    State state;
    for (int k = 0; k < placement_tries && !place(state, random); ++k) {
    }
    return state;
}

/// May the agent go there? Opens a door that its key is held for.
bool RuleWorld::enters(State& state, int cell) const {
    if (!is_wall(cell)) return true;
    for (std::size_t d = 0; d < doors; ++d) {
        if (door[d].cell != cell) continue;
        if (state.held >= 0 && state.kind[static_cast<std::size_t>(state.held)] == door[d].key)
            state.open = static_cast<std::uint8_t>(state.open | 1u << d);
        return (state.open >> d & 1) != 0;
    }
    return false;
}

/// Until no rule has two neighbours left; each time there is one object less.
void RuleWorld::react(State& state) const {
    for (bool again = true; again;) {
        again = false;
        for (std::size_t r = 0; r < rules && !again; ++r) {
            if (rule[r].when != When::beside) continue;
            for (std::size_t k = 0; k < objects && !again; ++k) {
                if (state.kind[k] != rule[r].a || !lies(state.at[k])) continue;
                for (std::size_t l = 0; l < objects && !again; ++l) {
                    if (state.kind[l] != rule[r].b || !lies(state.at[l]) || !neighbours(state.at[k], state.at[l]))
                        continue;
                    state.at[k] = nowhere;
                    state.kind[l] = rule[r].c;
                    state.fired = static_cast<std::uint8_t>(state.fired | 1u << r);
                    again = true;
                }
            }
        }
    }
}

/// Picks up or puts down. False: nothing changed.
bool RuleWorld::handle(State& state) const {
    const int here = object_at(state, state.agent);
    if (state.held < 0) {
        if (here < 0) return false;
        const auto taken = static_cast<std::size_t>(here);
        state.held = static_cast<std::int8_t>(here);
        state.at[taken] = in_hand;
        const std::uint8_t was = state.kind[taken];
        for (std::size_t r = 0; r < rules; ++r) {
            if (rule[r].a != was) continue;
            if (rule[r].when == When::opens) {
                state.open = static_cast<std::uint8_t>(state.open | 1u << rule[r].b);
            } else if (rule[r].when == When::taken && state.kind[taken] == was) {
                state.kind[taken] = rule[r].c;
            } else {
                continue;
            }
            state.fired = static_cast<std::uint8_t>(state.fired | 1u << r);
        }
        return true;
    }
    const auto held = static_cast<std::size_t>(state.held);
    if (here < 0) {
        state.at[held] = state.agent;
        state.held = -1;
        react(state);
        return true;
    }
    const auto under = static_cast<std::size_t>(here);
    for (std::size_t r = 0; r < rules; ++r) {
        if (rule[r].when != When::onto || rule[r].a != state.kind[held] || rule[r].b != state.kind[under]) continue;
        state.at[held] = nowhere;
        state.held = -1;
        state.kind[under] = rule[r].c;
        state.fired = static_cast<std::uint8_t>(state.fired | 1u << r);
        react(state);
        return true;
    }
    return false;
}

RuleWorld::Step RuleWorld::step(State& state, int action, Stream&) const {
    const std::uint8_t before = state.fired;
    bool changed = goal.what == What::stand;  // else nothing that the goal asks for changes by walking
    if (action == use) {
        changed = handle(state) || changed;
    } else {
        const int to = state.agent + offsets[action];
        if (enters(state, to)) state.agent = static_cast<std::uint8_t>(to);
    }
    const bool there = changed && reached(state);
    float reward = there ? 1.0f : 0.0f;
    if (state.fired != before) {
        const std::uint32_t first = static_cast<std::uint32_t>(state.fired & ~before) & ((1u << chain) - 1u);
        reward += rule_reward * static_cast<float>(bits(first));
    }
    return {reward, there};
}

void RuleWorld::observe(const State& state, float* out, std::ptrdiff_t stride_of_out) const {
    const int size = observation_size(), cells = window * window, radius = window / 2;
    if (stride_of_out == 1) {
        __builtin_memset(out, 0, static_cast<std::size_t>(size) * sizeof(float));
    } else {
        for (int k = 0; k < size; ++k) out[k * stride_of_out] = 0.0f;
    }
    const int top = state.agent / stride - radius, left = state.agent % stride - radius;
    const auto set = [&](int channel, int place) { out[(channel * cells + place) * stride_of_out] = 1.0f; };
    for (int r = 0; r < window; ++r) {
        const int row = top + r;
        const std::uint32_t line = row < 0 || row >= stride ? 0xffffu : walls[static_cast<std::size_t>(row)];
        // The bits of the window's columns; what is beyond the outer walls is wall.
        const std::uint32_t wide = 0xff0000ffu | line << 8;
        std::uint32_t seen = wide >> (left + 8) & ((1u << window) - 1u);
        for (; seen != 0; seen &= seen - 1) set(0, r * window + __builtin_ctz(seen));
    }
    constexpr int wall = 0, closed = 1, colour = 2, shape = 2 + RuleKind::colours;
    const auto place_of = [&](std::uint8_t cell) {
        const int row = cell / stride - top, column = cell % stride - left;
        return row >= 0 && row < window && column >= 0 && column < window ? row * window + column : -1;
    };
    for (std::size_t d = 0; d < doors; ++d) {
        const int place = place_of(door[d].cell);
        if (place < 0) continue;
        out[(wall * cells + place) * stride_of_out] = 0.0f;
        set(colour + door[d].colour, place);
        set(shape, place);
        if ((state.open >> d & 1) == 0) set(closed, place);
    }
    for (std::size_t k = 0; k < objects; ++k) {
        if (!lies(state.at[k])) continue;
        const int place = place_of(state.at[k]);
        if (place < 0) continue;
        set(colour + state.kind[k] % RuleKind::colours, place);
        set(shape + state.kind[k] / RuleKind::colours, place);
    }
    if (state.held < 0) return;
    const int held = state.kind[static_cast<std::size_t>(state.held)], hand = cell_channels * cells;
    out[(hand + held % RuleKind::colours) * stride_of_out] = 1.0f;
    out[(hand + RuleKind::colours + held / RuleKind::colours) * stride_of_out] = 1.0f;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "board.hpp"
#include "serial_node.hpp"
#ifdef DUNLIN_SEALED
#include "fresh_number.hpp"
#include "line_key.hpp"
#include "transport/serial/sealed_guard.hpp"
#endif

#include <optional>

#ifdef DUNLIN_FIRMWARE_VERSION
#define DUNLIN_SOFTWARE "dunlin-node " DUNLIN_BOARD " " DUNLIN_FIRMWARE_VERSION
#else
#define DUNLIN_SOFTWARE "dunlin-node " DUNLIN_BOARD
#endif

/// What images that are nodes have in common: the board's line, its clock, and a life without an end. For one file of an
/// image.
namespace dunlin {

struct Port {
    static bool stopped() { return false; }
    static bool read(std::uint8_t& byte) { return board::read(byte); }
    template <class Meanwhile>
    static void write(std::uint8_t byte, Meanwhile&& meanwhile) {
        meanwhile();
        board::write(byte);
    }
    static std::uint32_t deepest_stack() { return board::deepest_stack(); }
};

template <class Learner>
using Node = device::SerialNode<Learner, Port, device::NodeLimits{.neighbours = 3, .audit = DUNLIN_NODE_AUDIT}>;

template <class Learner>
constinit inline std::optional<Node<Learner>> node;
#ifdef DUNLIN_SEALED
constinit inline std::optional<SealedGuard<SmallCiphers>> guard;

/// None: the board has nothing to make a line safe with.
inline LineGuard* make_guard() {
    std::array<std::byte, 16> number;
    return device::fresh_number(number) ? &guard.emplace(line_key, device::fresh_number) : nullptr;
}
#endif

/// `start` makes the learner ready, and says whether it is. Returns only where it is not (1), or where a sealed line cannot be
/// made (2).
template <class Learner, class Start>
int live(Learner& learner, Start&& start) {
#ifdef DUNLIN_SEALED
    LineGuard* const seals = make_guard();
    if (seals == nullptr) return 2;
    node<Learner>.emplace(learner, DUNLIN_SOFTWARE, seals);
#else
    node<Learner>.emplace(learner, DUNLIN_SOFTWARE);
#endif
    if (!start()) return 1;
    for (;;) node<Learner>->turn();
}

}  // namespace dunlin

uint32_t dunlin_clock_ms() {
    // The counter wraps around, milliseconds must not.
    static std::uint32_t last = 0, milliseconds = 0, rest = 0;
    const std::uint32_t now = dunlin::board::ticks(), a_millisecond = dunlin::board::ticks_per_second() / 1000;
    rest += now - last;
    last = now;
    milliseconds += rest / a_millisecond;
    rest %= a_millisecond;
    return milliseconds;
}

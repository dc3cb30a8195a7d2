// SPDX-License-Identifier: Apache-2.0
// A node of a fleet behind a serial line. It learns its own navigation task, the exported one, in whatever job its
// coordinator offers: PersA-FL or PARS-Push, with plain gradients, first-order MAML or the Moreau envelope.
#include "board.hpp"
#include "exported_policy.hpp"
#include "grid_learner.hpp"
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

namespace {

using namespace dunlin;
using Exported = exported::Policy;

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

using Learner = device::GridLearner<Exported, true>;
using Node = device::SerialNode<Learner, Port, device::NodeLimits{.neighbours = 3, .audit = DUNLIN_NODE_AUDIT}>;

constinit Learner learner;
constinit std::optional<Node> node;
#ifdef DUNLIN_SEALED
constinit std::optional<SealedGuard<SmallCiphers>> guard;

/// None: the board has nothing to make a line safe with.
LineGuard* make_guard() {
    std::array<std::byte, 16> number;
    return device::fresh_number(number) ? &guard.emplace(line_key, device::fresh_number) : nullptr;
}
#endif

}  // namespace

uint32_t dunlin_clock_ms() {
    // The counter wraps around, milliseconds must not.
    static std::uint32_t last = 0, milliseconds = 0, rest = 0;
    const std::uint32_t now = board::ticks(), a_millisecond = board::ticks_per_second() / 1000;
    rest += now - last;
    last = now;
    milliseconds += rest / a_millisecond;
    rest %= a_millisecond;
    return milliseconds;
}

int main() {
#ifdef DUNLIN_SEALED
    LineGuard* const seals = make_guard();
    if (seals == nullptr) return 2;
    node.emplace(learner, DUNLIN_SOFTWARE, seals);
#else
    node.emplace(learner, DUNLIN_SOFTWARE);
#endif
    if (!learner.start(Exported::seed)) return 1;
    for (;;) node->turn();
}

// SPDX-License-Identifier: Apache-2.0
// A node of PARS-Push as far as a board goes without a fleet around it: it adapts as `adapt` does, takes the
// gradient of the Moreau envelope at the consensus estimate, and wakes.
#include "board.hpp"
#include "core/aggregate/pars_push.hpp"
#include "exported_policy.hpp"
#include "grid_learner.hpp"
#include "images/console.hpp"

namespace {

using namespace dunlin;
using Exported = exported::Policy;

constinit device::GridLearner<Exported> learner;
constexpr std::size_t dimension = learner.dimension;
constexpr std::uint32_t neighbours[] = {1, 2, 3};
alignas(Arena::alignment) constinit std::byte memory[ParsPush<>::memory(dimension, std::size(neighbours))]{};
constinit std::array<float, dimension> estimate{};

}  // namespace

int main() {
    using console::Hex, console::line;
    line("dunlin push on " DUNLIN_BOARD);
    Arena arena(memory);
    const ParsPushSettings settings{.network = {.nodes = 4,
                                                .dimension = dimension,
                                                .in_neighbours = neighbours,
                                                .out_degree = 3,
                                                .largest_value = 64.0f},
                                    .theta = {}};
    auto node = ParsPush<>::make(settings, ConstVector<float>(Exported::parameters), arena);
    if (!node || !learner.start(Exported::seed)) return 1;
    for (int tick = 0; tick < 3; ++tick) {
        node->estimate(estimate);
        (void)learner.step();
        // dF(z) = lambda (z - theta), in place.
        for (std::size_t k = 0; k < dimension; ++k) {
            estimate[k] = Exported::adaptation.prox_weight * (estimate[k] - learner.personal()[k]);
        }
        const auto woken = node->wake(tick, ConstVector<float>(estimate));
        if (!woken) return 2;
        // What an out-neighbour would send back, were it as this node is.
        if (!node->receive({1, tick, woken->share.values, woken->share.weight})) return 3;
    }
    node->estimate(estimate);
    line("estimate ", Hex{crc32(std::span<const float>(estimate)), 8});
    line("stack ", board::deepest_stack());
    line("done");
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// A board meets a navigation task of its own: it holds an exported meta-policy, adapts it by MEMRL's inner loop on
// trajectories that it draws itself, and prints what the policy was worth before and after each step, exactly. Then
// it keeps the policy, where the firmware has a place for it.
#include "board.hpp"
#include "exported_policy.hpp"
#include "grid_learner.hpp"
#include "images/console.hpp"

namespace {

using Exported = dunlin::exported::Policy;
constinit dunlin::device::GridLearner<Exported> learner;

}  // namespace

int main() {
    using namespace dunlin;
    using console::Fixed, console::Hex, console::exact, console::line;

    line("dunlin adapt on " DUNLIN_BOARD ", ", static_cast<std::uint32_t>(sizeof learner), " bytes");
    if (const Result<void> started = learner.start(dunlin_entropy_seed(Exported::seed)); !started) {
        line("error ", static_cast<int>(started.error().code));
        return 1;
    }
    const double optimum = learner.optimum();
    line("optimum ", exact(optimum), " ", Fixed{optimum, 4});
    const double before = learner.judge().expected_return;
    line("return 0 ", exact(before), " ", Fixed{before, 4});
    double after = before;
    for (int k = 1; k <= Exported::steps; ++k) {
        const float sampled = learner.step();
        after = learner.judge().expected_return;
        line("return ", k, " ", exact(after), " ", Fixed{after, 4}, ", the batch's mean was ",
             Fixed{static_cast<double>(sampled), 4});
    }
    line("share before ", Fixed{before / optimum, 4}, ", after ", Fixed{after / optimum, 4});
    line("personal policy ", Hex{crc32(learner.personal()), 8}, learner.save() ? ", kept" : ", not kept");
    line("stack ", board::deepest_stack());
    line("done");
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The application: a device adapts the policy it was delivered with to where it stands, and keeps what it learned.
// The policy and the learner are a bundle that `dunlin export RUN --format bundle --name rover` wrote; clock and storage
// are in vendor.c.
#include "dunlin/grid_learner.hpp"
#include "rover.hpp"

extern "C" void vendor_print(const char* text);

namespace {

using Policy = dunlin::exported::rover::Policy;
constinit dunlin::device::GridLearner<Policy> learner;

}  // namespace

int main() {
    if (!learner.start(dunlin_entropy_seed(Policy::seed))) return 1;
    const double optimum = learner.optimum(), before = learner.judge().expected_return;

    const std::uint32_t start_ms = dunlin_clock_ms();
    for (int k = 0; k < Policy::steps && dunlin_clock_ms() - start_ms < 10'000; ++k) learner.step();
    const double after = learner.judge().expected_return;
    if (!learner.save()) return 2;

    // As after a reset: what was kept is taken up again.
    learner.forget();
    if (!learner.start(dunlin_entropy_seed(Policy::seed))) return 3;
    const bool kept = learner.judge().expected_return == after;

    const bool learned = before < 0.5 * optimum && after >= 0.9 * optimum;
    vendor_print(learned && kept ? "learned, and kept it\r\n" : "FAILED\r\n");
    return learned && kept ? 0 : 4;
}

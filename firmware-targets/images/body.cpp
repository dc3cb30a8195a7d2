// SPDX-License-Identifier: Apache-2.0
// One real body: 4-32-32-3, one life of 16 steps an update. Prints the memory that it takes, and instructions: of an
// action, of an update in one piece and in slices of 1,000 multiply-adds, and of the longest of those.
#include "board.hpp"
#include "body_learner.hpp"
#include "images/console.hpp"
#include "images/measure.hpp"

#include <algorithm>

namespace {

using namespace dunlin;

struct Example {
    static constexpr MlpShape shape{.inputs = 4, .layers = 3, .widths = {32, 32, 3}, .hidden = Activation::tanh};
    static constexpr std::array<float, shape.parameters()> parameters{};
    static constexpr std::uint32_t checksum = crc32(std::span<const float>(parameters));
    static constexpr bool gaussian = false;
    static constexpr OneBodySettings body{
        .trajectories = 1, .horizon = 16, .inner = {.prox_weight = 0.01f, .inner_rate = 0.1f, .step_clip = 0.5f}};
};
using Learner = device::BodyLearner<Example>;
constinit Learner learner;

/// Lives until an update is due; returns the ticks of all actions.
std::uint32_t live() {
    std::uint32_t ticks = 0;
    for (bool due = false; !due;) {
        const std::array<float, 4> seen{0.1f, -0.3f, 0.7f, 1.0f};
        std::int32_t action = 0;
        ticks += bench::time(1, [&] { action = learner.act(std::span<const float>(seen)); });
        due = learner.reward(action == 1 ? 1.0f : 0.0f, false);
    }
    return ticks;
}

}  // namespace

int main() {
    console::line("dunlin body on " DUNLIN_BOARD);
    if (!learner.start(1)) return 1;
    live();
    learner.update(~std::uint32_t{0});
    const std::uint32_t acting = live();
    const std::uint32_t whole = bench::time(1, [] { learner.update(~std::uint32_t{0}); });
    live();
    std::uint32_t longest = 0, sliced = 0;
    for (bool done = false; !done;) {
        const std::uint32_t ticks = bench::time(1, [&] { done = learner.update(1000); });
        longest = std::max(longest, ticks);
        sliced += ticks;
    }
    console::line("one_body_act ", bench::instructions(acting) / 16);
    console::line("one_body_update ", bench::instructions(whole));
    console::line("one_body_update_sliced ", bench::instructions(sliced));
    console::line("one_body_slice_1000 ", bench::instructions(longest));
    console::line("one_body_ram_bytes ", static_cast<std::uint32_t>(Learner::workspace_bytes));
    console::line("one_body_total_bytes ",
                  static_cast<std::uint32_t>(Learner::workspace_bytes + 3 * sizeof(float) * Learner::dimension));
    console::line("stack ", board::deepest_stack());
    console::line("done");
    return learner.body().updates() == 3 ? 0 : 2;
}

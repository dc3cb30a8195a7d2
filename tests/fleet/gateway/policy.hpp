// SPDX-License-Identifier: Apache-2.0
// Written by `dunlin export --format header`; do not edit. For firmware-targets/device/grid_learner.hpp.
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "core/checksum.hpp"
#include "core/mlp.hpp"
#include "envs/grid_navigation.hpp"
#include "rl/policy_gradient_task.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace dunlin::exported {

struct Policy {
    static constexpr std::string_view experiment = "board-table";
    static constexpr MlpShape shape{
        .inputs = 16, .layers = 1, .widths = {5}, .hidden = Activation::tanh, .one_hot = true, .bias = false};
    static constexpr std::uint32_t checksum = 0xee712d6f;  // CRC-32 of the parameters
    static constexpr std::array<float, 80> parameters = {
        -0x1.ece7cp-3f,  0x1.3e7522p-3f,  -0x1.6200e8p-6f, 0x1.0cfe22p-2f,  -0x1.56ae5cp-3f, -0x1.c3bceep-4f,
        0x1.487c1cp-3f,  -0x1.7645dp-6f,  0x1.3795d6p-3f,  -0x1.93ee78p-3f, -0x1.74ab68p-3f, 0x1.d16c5ap-3f,
        0x1.8570bap-4f,  -0x1.9bdbp-10f,  -0x1.43cefcp-3f, -0x1.18bdbcp-3f, 0x1.a2783p-3f,   0x1.e23778p-3f,
        -0x1.486fdep-3f, -0x1.eb2aecp-4f, -0x1.221c16p-5f, -0x1.94b41p-5f,  -0x1.dc0172p-5f, 0x1.12366ap-2f,
        -0x1.3b07dep-3f, 0x1.442fbep-4f,  0x1.324352p-6f,  -0x1.4a198ep-4f, 0x1.4188b8p-3f,  -0x1.28d57cp-3f,
        0x1.7a0378p-7f,  0x1.a1f10ep-4f,  0x1.b52aap-3f,   -0x1.8e83ap-3f,  -0x1.0a22c4p-3f, 0x1.010b5p-6f,
        0x1.366504p-5f,  0x1.9c2d04p-2f,  -0x1.eba57cp-3f, -0x1.62646ep-3f, 0x1.052c7cp-2f,  -0x1.c5aa1cp-4f,
        -0x1.2e90fcp-3f, 0x1.9a90cp-4f,   -0x1.65a10cp-4f, 0x1.1e548p-2f,   -0x1.ae4f1ep-3f, -0x1.9ffda2p-6f,
        0x1.2077fcp-3f,  -0x1.7c05d4p-3f, 0x1.3befe4p-2f,  -0x1.d452cp-3f,  0x1.795a1p-4f,   0x1.5a3e58p-6f,
        -0x1.ad006p-3f,  0x1.68becp-4f,   -0x1.b12ab2p-3f, 0x1.3ce608p-2f,  -0x1.37f83cp-4f, -0x1.e8126cp-4f,
        0x1.b29cd8p-2f,  -0x1.fd1bap-4f,  -0x1.93f0cp-3f,  0x1.3001b2p-4f,  -0x1.78d78cp-3f, 0x1.25007p-2f,
        -0x1.f7bc4p-4f,  -0x1.023d98p-4f, 0x1.e3a8dp-7f,   -0x1.e0d53cp-4f, 0x1.118ed2p-1f,  -0x1.31186cp-3f,
        -0x1.7ea47p-8f,  -0x1.1a6078p-2f, -0x1.2a2d08p-4f, 0x1.e9a398p-3f,  -0x1.f517dcp-4f, 0x1.0f3d12p-2f,
        -0x1.883512p-3f, -0x1.73b7dp-3f,
    };

    // The inner loop.
    static constexpr MoreauEnvelope adaptation{.prox_weight = 0x1.a36e2ep-14f,
                                               .inner_rate = 0x1.ep+5f,
                                               .accuracy = 0x0p+0f,
                                               .step_limit = 8,
                                               .step_clip = 0x1.4p+2f,
                                               .fresh_batches = true};
    static constexpr RolloutSettings rollout{.trajectories = 16,
                                             .baseline = Baseline::leave_one_out,
                                             .evaluation = static_cast<Evaluation>(0),
                                             .second_order = false,
                                             .as_drawn = true};
    static constexpr int steps = 10;

    // The task, and where its random numbers begin.
    static constexpr int rows = 4, columns = 4;
    static constexpr std::string_view map =
        "...."
        "...."
        "...."
        "....";
    static constexpr GridTaskSettings task{.goal = GridCell{1, 1},
                                           .start = std::nullopt,
                                           .moves = {0, 1, 2, 3, 4},
                                           .wind = 0x0p+0f,
                                           .wind_direction = Move::right,
                                           .slip = 0x0p+0f,
                                           .reward = GridReward::sparse,
                                           .horizon = 12,
                                           .discount = 0x1.e66666p-1f};
    static constexpr std::uint64_t seed = 1u;
    static constexpr std::uint32_t number = 0u, epoch = 0xffff2u;
};
static_assert(crc32(std::span<const float>(Policy::parameters)) == Policy::checksum, "the parameters were changed");

}  // namespace dunlin::exported

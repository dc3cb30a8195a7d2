// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"
#include "fleet/policy_export.hpp"

#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

std::string_view name_of(Activation activation) {
    switch (activation) {
        case Activation::relu:
            return "relu";
        case Activation::tanh:
            return "tanh";
        case Activation::sigmoid:
            return "sigmoid";
        default:
            return "identity";
    }
}

std::string_view name_of(Move move) {
    constexpr std::string_view names[] = {"up", "down", "left", "right", "stay"};
    return names[static_cast<std::size_t>(move)];
}

/// A float as a literal of C++ with the same bits.
std::string literal(float value) {
    return fmt::format("{:a}f", value);
}

std::string rows_of_numbers(const std::vector<float>& numbers) {
    std::string text;
    for (std::size_t k = 0; k < numbers.size(); ++k) {
        text += k % 6 == 0 ? "\n        " : " ";
        text += literal(numbers[k]) + ",";
    }
    return text;
}

Outcome<void> check(const PolicyFile& policy, const BoardTask& task) {
    if (policy.gaussian) return problem("a device navigates on a grid; this policy's actions are numbers");
    if (task.rollout.baseline == Baseline::linear) {
        return problem(
            "rl.baseline = \"linear\": a device does not have it; train with --set rl.baseline=leave-one-out");
    }
    return {};
}

}  // namespace

Outcome<std::string> policy_header(const PolicyFile& policy, const BoardTask& task) {
    if (const Outcome<void> fits = check(policy, task); !fits) return tl::unexpected(fits.error());
    const MlpShape& shape = policy.shape;
    const GridTaskSettings& grid = task.settings;
    std::string rows;
    for (int row = 0; row < task.map.rows; ++row) {
        rows +=
            fmt::format("\n        \"{}\"", task.map.text.substr(static_cast<std::size_t>(row * task.map.columns),
                                                                 static_cast<std::size_t>(task.map.columns)));
    }
    const auto cell = [](const std::optional<GridCell>& at) {
        return at ? fmt::format("GridCell{{{}, {}}}", at->row, at->column) : std::string("std::nullopt");
    };
    std::string text = R"(// SPDX-License-Identifier: Apache-2.0
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
)";
    text += fmt::format("    static constexpr std::string_view experiment = \"{}\";\n", policy.experiment);
    text += fmt::format(
        "    static constexpr MlpShape shape{{\n"
        "        .inputs = {}, .layers = {}, .widths = {{{}}}, .hidden = Activation::{}, .one_hot = {}, .bias = "
        "{}}};\n",
        shape.inputs, shape.layers,
        fmt::join(shape.widths.begin(), shape.widths.begin() + static_cast<std::ptrdiff_t>(shape.layers), ", "),
        name_of(shape.hidden), shape.one_hot, shape.bias);
    text += fmt::format("    static constexpr std::uint32_t checksum = 0x{:08x};  // CRC-32 of the parameters\n",
                        crc32(std::span<const float>(policy.parameters)));
    text += fmt::format("    static constexpr std::array<float, {}> parameters = {{{}\n    }};\n",
                        policy.parameters.size(), rows_of_numbers(policy.parameters));
    text += fmt::format(
        "\n    // The inner loop.\n"
        "    static constexpr MoreauEnvelope adaptation{{\n"
        "        .prox_weight = {}, .inner_rate = {}, .accuracy = {}, .step_limit = {}, .step_clip = {},\n"
        "        .fresh_batches = true}};\n"
        "    static constexpr RolloutSettings rollout{{\n"
        "        .trajectories = {}, .baseline = Baseline::{}, .evaluation = static_cast<Evaluation>({}),\n"
        "        .second_order = false, .as_drawn = true}};\n"
        "    static constexpr int steps = {};\n",
        literal(task.adaptation.prox_weight), literal(task.adaptation.inner_rate),
        literal(task.adaptation.accuracy), task.adaptation.step_limit, literal(task.adaptation.step_clip),
        task.rollout.trajectories, task.rollout.baseline == Baseline::none ? "none" : "leave_one_out",
        static_cast<int>(task.rollout.evaluation), task.steps);
    text += fmt::format(
        "\n    // The task, and where its random numbers begin.\n"
        "    static constexpr int rows = {}, columns = {};\n"
        "    static constexpr std::string_view map ={};\n"
        "    static constexpr GridTaskSettings task{{\n"
        "        .goal = {}, .start = {}, .moves = {{{}}}, .wind = {}, .wind_direction = Move::{}, .slip = {},\n"
        "        .reward = GridReward::{}, .horizon = {}, .discount = {}}};\n"
        "    static constexpr std::uint64_t seed = {}u;\n"
        "    static constexpr std::uint32_t number = {}u, epoch = 0x{:x}u;\n",
        task.map.rows, task.map.columns, rows, cell(grid.goal), cell(grid.start), fmt::join(grid.moves, ", "),
        literal(grid.wind), name_of(grid.wind_direction), literal(grid.slip),
        grid.reward == GridReward::sparse ? "sparse" : "dense", grid.horizon, literal(grid.discount), task.seed,
        task.number, task.epoch);
    // No constant expression goes through all parameters: compilers limit how long one may take.
    text += R"(
    /// Are the parameters those that were exported? Takes a pass over them.
    static bool intact() { return crc32(std::span<const float>(parameters)) == checksum; }
};
static_assert(Policy::parameters.size() == Policy::shape.parameters(), "not as many parameters as the shape has");

}  // namespace dunlin::exported
)";
    return text;
}

}  // namespace dunlin

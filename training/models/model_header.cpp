// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"
#include "training/models/header_text.hpp"
#include "training/models/model_export.hpp"

#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {

using header_text::literal;

namespace {

std::string_view name_of(Move move) {
    constexpr std::string_view names[] = {"up",      "down",     "left",      "right",     "stay",
                                          "up_left", "up_right", "down_left", "down_right"};
    return names[static_cast<std::size_t>(move)];
}

Outcome<void> check(const TrainedModel& policy, const BoardTask& task) {
    if (policy.gaussian()) return refuse("a device navigates on a grid; this policy's actions are numbers");
    if (task.rollout.baseline == Baseline::linear) {
        return refuse(
            "rl.baseline = \"linear\": a device does not have it; train with --set rl.baseline=leave-one-out");
    }
    if (task.settings.diagonal)
        return refuse(
            "environment.diagonal_moves: a device moves in four directions, and this policy has nine actions");
    return {};
}

}  // namespace

Outcome<std::string> model_header(const TrainedModel& policy, const BoardTask& task, const std::string& name) {
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
//
)";
    for (const std::string& line : about(policy)) text += "// " + line + "\n";
    text +=
        R"(// The task of this file is a board's: its goal, wind, slip and `moves`, Move{moves[a]} being what action a does.
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

)";
    const std::string space = header_text::space(name);
    text += fmt::format("namespace {} {{\n\nstruct Policy {{\n", space);
    text += fmt::format("    static constexpr std::string_view experiment = {};\n",
                        header_text::quoted(policy.experiment));
    text += fmt::format(
        "    static constexpr MlpShape shape{{\n"
        "        .inputs = {}, .layers = {}, .widths = {{{}}}, .hidden = Activation::{}, .one_hot = {}, .bias = "
        "{}}};\n",
        shape.inputs, shape.layers,
        fmt::join(shape.widths.begin(), shape.widths.begin() + static_cast<std::ptrdiff_t>(shape.layers), ", "),
        header_text::name_of(shape.hidden), shape.one_hot, shape.bias);
    text += fmt::format(
        "    static constexpr std::uint32_t checksum = 0x{:08x};  // CRC-32 of the parameters; a learner compares "
        "it when it starts\n",
        crc32(std::span<const float>(policy.parameters)));
    text += header_text::numbers("parameters", policy.parameters);
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
        task.map.rows, task.map.columns, rows, cell(grid.goal), cell(grid.start),
        fmt::join(std::span(grid.moves).first(move_count), ", "), literal(grid.wind), name_of(grid.wind_direction),
        literal(grid.slip), grid.reward == GridReward::sparse ? "sparse" : "dense", grid.horizon,
        literal(grid.discount), task.seed, task.number, task.epoch);
    // No constant expression goes through all parameters: compilers limit how long one may take.
    text += fmt::format(R"(
    /// Are the parameters those that were exported? Takes a pass over them.
    static bool intact() {{ return crc32(std::span<const float>(parameters)) == checksum; }}
}};
static_assert(Policy::parameters.size() == Policy::shape.parameters(), "there are not as many parameters as the shape has");
static_assert(Policy::map.size() == static_cast<std::size_t>(Policy::rows * Policy::columns), "the map is of another size");

}}  // namespace {}
)",
                        space);
    return header_text::of_its_own(std::move(text), space);
}

}  // namespace dunlin

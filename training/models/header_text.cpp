// SPDX-License-Identifier: Apache-2.0
#include "training/models/header_text.hpp"

#include "core/checksum.hpp"

#include <fmt/format.h>

namespace dunlin::header_text {

std::string_view name_of(Activation activation) {
    constexpr std::string_view names[] = {"identity", "relu", "tanh", "sigmoid", "leaky_relu"};
    return names[static_cast<std::size_t>(activation)];
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (letter == '"' || letter == '\\')
            out += fmt::format("\\{}", letter);
        else
            out += code < 0x20 || code == 0x7f || letter == '?' ? fmt::format("\\{:03o}", code)
                                                                : std::string(1, letter);
    }
    return out + "\"";
}

std::string literal(float value) {
    return fmt::format("{:a}f", value);
}

std::string numbers(std::string_view what, std::span<const float> values) {
    std::string text = fmt::format("    static constexpr std::array<float, {}> {} = {{", values.size(), what);
    for (std::size_t k = 0; k < values.size(); ++k)
        text += fmt::format("{}{},", k % 6 == 0 ? "\n        " : " ", literal(values[k]));
    return text + "\n    };\n";
}

std::string sample_members(const TrainedModel& model, const std::optional<BoardLearning>& learning) {
    const std::string_view target = model.head == ModelHead::classes ? "classes"
                                    : model.head == ModelHead::score ? "score"
                                                                     : "value";
    std::string text = fmt::format(
        "\n    static constexpr device::Target target = device::Target::{};\n"
        "    // The first so many parameters stay as they are on a board.\n"
        "    static constexpr std::size_t frozen = {};\n",
        target, model.frozen_parameters());
    if (learning) {
        text += fmt::format(
            "    // How a node of a fleet learns it (device/sample_node.hpp).\n"
            "    static constexpr device::SampleLearning learning{{\n"
            "        .batch = {}, .steps = {}, .rate = {}, .pull = {}, .accuracy = {}, .step_clip = {}}};\n",
            learning->batch, learning->steps, literal(learning->rate), literal(learning->pull),
            literal(learning->accuracy), literal(learning->step_clip));
    }
    return text;
}

std::string space(std::string_view name) {
    return name.empty() ? "dunlin::exported" : fmt::format("dunlin::exported::{}", name);
}

std::string of_its_own(std::string text, std::string_view space) {
    const std::uint32_t contents = crc32({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    const std::string opening = fmt::format("namespace {} {{\n", space);
    const std::size_t at = text.find(opening);
    text.replace(at, opening.size(), fmt::format("namespace {}::inline of_{:08x} {{\n", space, contents));
    return text;
}

}  // namespace dunlin::header_text

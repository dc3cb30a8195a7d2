// SPDX-License-Identifier: Apache-2.0
// A perceptron by itself as a header of C++: a policy for one real body, or a model of samples.
#include "core/checksum.hpp"
#include "training/models/header_text.hpp"
#include "training/models/model_export.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {

using header_text::literal;

namespace {

std::string opening(const TrainedModel& model, std::string_view used_by, std::string_view includes,
                    std::string_view space, std::string_view structure) {
    std::string text = fmt::format(
        "// SPDX-License-Identifier: Apache-2.0\n"
        "// Written by `dunlin export --format header`; do not edit. For firmware-targets/device/{}.\n//\n",
        used_by);
    for (const std::string& line : about(model)) text += "// " + line + "\n";
    text += fmt::format(
        "#pragma once\n\n#include \"core/checksum.hpp\"\n#include \"core/mlp.hpp\"\n{}\n"
        "#include <array>\n#include <cstdint>\n#include <span>\n#include <string_view>\n\n"
        "namespace {} {{\n\nstruct {} {{\n",
        includes, space, structure);
    const MlpShape& shape = model.shape;
    text += fmt::format(
        "    static constexpr std::string_view experiment = {};\n"
        "    static constexpr MlpShape shape{{\n"
        "        .inputs = {}, .layers = {}, .widths = {{{}}}, .hidden = Activation::{}, .one_hot = {}, .bias = "
        "{},\n"
        "        .linear_input = {}}};\n"
        "    static constexpr std::uint32_t checksum = 0x{:08x};  // CRC-32 of the parameters\n",
        header_text::quoted(model.experiment), shape.inputs, shape.layers,
        fmt::join(shape.widths.begin(), shape.widths.begin() + static_cast<std::ptrdiff_t>(shape.layers), ", "),
        header_text::name_of(shape.hidden), shape.one_hot, shape.bias, shape.linear_input,
        crc32(std::span<const float>(model.parameters)));
    text += header_text::numbers("parameters", model.parameters);
    if (!model.centre.empty()) {
        text += "    // The network sees (x - centre) * scale of a raw input x.\n";
        text += header_text::numbers("centre", model.centre) + header_text::numbers("scale", model.scale);
    }
    return text;
}

std::string closed(std::string text, const std::string& space, std::string_view structure, bool gaussian,
                   std::string_view more = {}) {
    text += fmt::format(R"(
    /// Are the parameters those that were exported? Takes a pass over them.
    static bool intact() {{ return crc32(std::span<const float>(parameters)) == checksum; }}
}};
static_assert({0}::parameters.size() == {0}::shape.parameters(){1}, "there are not as many parameters as the shape has");
{3}
}}  // namespace {2}
)",
                        structure, gaussian ? fmt::format(" + {}::shape.outputs()", structure) : "", space, more);
    return header_text::of_its_own(std::move(text), space);
}

}  // namespace

std::string body_header(const TrainedModel& policy, const OneBodySettings& body, std::uint64_t seed,
                        const std::string& name) {
    const std::string space = header_text::space(name);
    std::string text = opening(policy, "body_learner.hpp", "#include \"rl/one_body.hpp\"\n", space, "Policy");
    const MoreauEnvelope& inner = body.inner;
    text += fmt::format(
        "\n    // Are actions numbers, around the outputs, with deviations whose logarithms are the last "
        "parameters?\n"
        "    static constexpr bool gaussian = {};\n"
        "    static constexpr OneBodySettings body{{\n"
        "        .trajectories = {}, .horizon = {}, .discount = {}, .leave_one_out = {},\n"
        "        .inner = {{.prox_weight = {}, .inner_rate = {}, .accuracy = {}, .step_limit = 1, .step_clip = "
        "{}}}}};\n"
        "    static constexpr std::uint64_t seed = {}u;\n",
        policy.gaussian(), body.trajectories, body.horizon, literal(body.discount), body.leave_one_out,
        literal(inner.prox_weight), literal(inner.inner_rate), literal(inner.accuracy), literal(inner.step_clip),
        seed);
    return closed(std::move(text), space, "Policy", policy.gaussian());
}

Outcome<std::string> sample_header(const TrainedModel& model, const std::string& name,
                                   const std::optional<BoardLearning>& learning) {
    if (model.networks > 1)
        return refuse(
            "--format header: a mixture of networks does not learn on a board; export it as c, which runs it");
    const std::string space = header_text::space(name);
    std::string text = opening(model, "sample_learner.hpp", "#include \"target.hpp\"\n", space, "Model");
    text += header_text::sample_members(model, learning);
    return closed(std::move(text), space, "Model", false, learning ? "using Supervised = Model;\n" : "");
}

}  // namespace dunlin

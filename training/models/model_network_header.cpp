// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"
#include "training/models/header_text.hpp"
#include "training/models/model_export.hpp"

#include <string_view>

#include <fmt/format.h>

namespace dunlin {

using header_text::numbers;

namespace {

/// The fields that are not as LayerSpec begins.
std::string spec_text(const LayerSpec& spec) {
    constexpr std::string_view kinds[] = {"dense",       "convolution", "maximum_pool", "average_pool",
                                          "global_pool", "gru",         "lstm",         "embedding",
                                          "normalise",   "add",         "dropout"};
    const LayerSpec plain;
    std::string text = fmt::format("LayerSpec{{.kind = LayerKind::{}", kinds[static_cast<std::size_t>(spec.kind)]);
    if (spec.activation != plain.activation)
        text += fmt::format(", .activation = Activation::{}", header_text::name_of(spec.activation));
    const auto add = [&](std::string_view name, auto value, auto as_it_begins) {
        if (value != as_it_begins) text += fmt::format(", .{} = {}", name, value);
    };
    add("outputs", spec.outputs, plain.outputs);
    add("kernel_height", spec.kernel_height, plain.kernel_height);
    add("kernel_width", spec.kernel_width, plain.kernel_width);
    add("stride_height", spec.stride_height, plain.stride_height);
    add("stride_width", spec.stride_width, plain.stride_width);
    add("pad_height", spec.pad_height, plain.pad_height);
    add("pad_width", spec.pad_width, plain.pad_width);
    add("groups", spec.groups, plain.groups);
    add("back", spec.back, plain.back);
    if (spec.rate != plain.rate) text += fmt::format(", .rate = {:a}f", spec.rate);
    add("flat", spec.flat, plain.flat);
    add("every_step", spec.every_step, plain.every_step);
    add("both_ways", spec.both_ways, plain.both_ways);
    return text + "}";
}

}  // namespace

Outcome<std::string> network_header(const TrainedModel& model, const std::string& name,
                                    const std::optional<BoardLearning>& learning) {
    if (!model.network || model.networks > 1)
        return refuse("--format header: of a network of layers, or a policy that a board adapts; export it as c");
    const NetworkShape& shape = *model.network;
    std::string text = R"(// SPDX-License-Identifier: Apache-2.0
// Written by `dunlin export --format header`; do not edit. For firmware with core/network/fixed_network.hpp:
//
//     float rows[Network::units];
//     FixedNetwork<Network::shape>::forward(Network::parameters.data(), {{input, 1}}, {rows, 1}, 1);
//     // the outputs: Network::outputs numbers from rows + Network::output_row on
//
// To be linked: core/kernels/generic.cpp and core/kernels/generic_layers.cpp. Of tokens the second argument is {{}, tokens, 1}.
//
)";
    for (const std::string& line : about(model)) text += "// " + line + "\n";
    text += R"(#pragma once

#include "core/checksum.hpp"
#include "core/network/network_shape.hpp"
)";
    const bool supervised = learning && (model.head == ModelHead::classes || model.head == ModelHead::value);
    if (supervised) text += "#include \"target.hpp\"\n";
    text += R"(
#include <array>
#include <cstdint>
#include <span>

)";
    const std::string space = header_text::space(name);
    text += fmt::format("namespace {} {{\n\nstruct Network {{\n", space);
    text += fmt::format(
        "    static constexpr NetworkShape shape = *NetworkShape::make(\n        {{{}, {}, {}}}, {},\n"
        "        std::array{{",
        shape.input.height, shape.input.width, shape.input.channels, shape.tokens);
    for (int l = 0; l < shape.layers; ++l)
        text += fmt::format("{}\n            {}", l > 0 ? "," : "", spec_text(shape.layer(l).spec));
    text += R"(});
    static constexpr int units = shape.units(), outputs = shape.outputs(), output_row = shape.last().row;
    static constexpr std::size_t scratch = shape.scratch_scalars();  // for FixedNetwork::backward
)";
    text += fmt::format("    static constexpr std::uint32_t checksum = 0x{:08x};  // CRC-32 of the parameters\n",
                        crc32(std::span<const float>(model.parameters)));
    text += numbers("parameters", std::span<const float>(model.parameters).first(model.network_parameters()));
    if (!model.centre.empty()) {
        text += "    // The network sees (x - centre) * scale of a raw input x.\n";
        text += numbers("centre", model.centre) + numbers("scale", model.scale);
    }
    if (model.gaussian())
        text += numbers("log_sigma", std::span<const float>(model.parameters).subspan(model.network_parameters()));
    if (supervised) text += header_text::sample_members(model, learning);
    text += fmt::format(R"(
    /// Are the parameters those that were exported? Takes a pass over them.
    static bool intact() {{ return {} == checksum; }}
}};
static_assert(Network::parameters.size() == Network::shape.parameters(), "there are not as many parameters as the shape has");
{}
}}  // namespace {}
)",
                        model.gaussian()
                            ? "crc32(std::span<const float>(log_sigma), crc32(std::span<const float>(parameters)))"
                            : "crc32(std::span<const float>(parameters))",
                        supervised ? "using Supervised = Network;\n" : "", space);
    return header_text::of_its_own(std::move(text), space);
}

}  // namespace dunlin

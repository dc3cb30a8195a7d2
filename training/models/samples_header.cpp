// SPDX-License-Identifier: Apache-2.0
#include "training/models/header_text.hpp"
#include "training/models/model_export.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// A member `alignas(4) static constexpr std::array<type, N> what`, of whole numbers.
template <class Numbers>
std::string bytes_text(std::string_view type, std::string_view what, const Numbers& numbers) {
    std::string text =
        fmt::format("    alignas(4) static constexpr std::array<{}, {}> {}{{", type, numbers.size(), what);
    for (std::size_t k = 0; k < numbers.size(); ++k)
        text += fmt::format("{}{}", k % 24 == 0 ? "\n        " : "", numbers[k]) + ",";
    return text + "};\n";
}

}  // namespace

std::string samples_header(const BoardSamples& samples, const std::string& name) {
    const std::string space = header_text::space(name);
    std::string text = fmt::format(
        "// SPDX-License-Identifier: Apache-2.0\n"
        "// Written by `dunlin export --format samples`; do not edit. Samples of {}, in place of a sensor's.\n"
        "#pragma once\n\n#include <array>\n#include <cstdint>\n\nnamespace {} {{\n\n"
        "/// Row by row: first those that are learned from, then those that are held out to judge by.\n"
        "struct Samples {{\n"
        "    using Cell = {};{}\n"
        "    static constexpr int inputs = {}, learned = {}, held_out = {};\n",
        samples.of, space, samples.bytes ? "std::uint8_t" : "float",
        samples.bytes ? "  // 0 to 255 stand for 0 to 1" : "", samples.features, samples.learned,
        samples.labels.size() - samples.learned);
    if (samples.bytes) {
        std::vector<int> cells;
        for (const float value : samples.values)
            cells.push_back(static_cast<int>(std::lround(255.0f * std::clamp(value, 0.0f, 1.0f))));
        text += bytes_text("Cell", "values", cells);
    } else {
        text += header_text::numbers("values", samples.values);
    }
    text += bytes_text("std::uint8_t", "labels", samples.labels);
    text += fmt::format("}};\n\n}}  // namespace {}\n", space);
    return header_text::of_its_own(std::move(text), space);
}

}  // namespace dunlin

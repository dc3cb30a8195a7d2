// SPDX-License-Identifier: Apache-2.0
#include "training/problems/network_settings.hpp"

#include "training/host/plain_text.hpp"
#include "training/models/layer_text.hpp"
#include "training/settings/reading.hpp"

#include <charconv>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What the data say of their rows.
Extent extent_of(const DataTable& table) {
    if (table.tokens > 0) return {1, table.features, table.tokens};
    if (table.image_width > 0)
        return {table.image_height, table.image_width, table.features / (table.image_height * table.image_width)};
    return {1, 1, table.features};
}

Outcome<NetworkShape> layered(const NetworkSettings& s, const DataTable& table) {
    Extent input = extent_of(table);
    if (!s.input.empty()) {
        const auto said = read_extent("model.input", s.input);
        if (!said) return tl::unexpected(said.error());
        if (table.tokens > 0)
            return refuse(fmt::format("model.input = \"{}\": here come {} tokens of {} kinds; leave it empty",
                                      s.input, table.features, table.tokens));
        if (said->size() != table.features)
            return refuse(fmt::format("model.input = \"{}\" are {} numbers, and a row has {} ({})", s.input,
                                      said->size(), table.features, extent_text(input)));
        input = *said;
    }
    return read_layers("model.layers", input, table.tokens > 0, s.layers, table.classes * table.places);
}

}  // namespace

void add_network_settings(Settings& list, NetworkSettings& s, std::string_view node) {
    using Range = Settings::Range;
    list.add("model.hidden", s.hidden, "widths of the hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}, {"sigmoid", Activation::sigmoid}});
    list.add("model.layers", s.layers,
             "instead of hidden, all layers in words: \"conv 3x3 8 stride=2 relu\", ..., see docs/networks.md");
    list.add("model.input", s.input,
             "what comes into layers: \"28x28x1\", \"20 steps of 13\"; empty: as the data say");
    list.add("model.personal_layers", s.personal_layers,
             fmt::format("layers that never leave their {}: first, last, numbers from 0; empty: none", node));
}

void note_hidden(const NetworkSettings& s, DataNotes& notes) {
    if (s.takes_layers() && s.hidden != NetworkSettings{}.hidden)
        notes.push_back({"", 0, "model.hidden is not looked at, for model.layers names all layers"});
}

Outcome<Extent> read_extent(std::string_view key, std::string_view text) {
    const auto wrong = [&] {
        return refuse(
            fmt::format("{} = \"{}\": expected HEIGHTxWIDTHxCHANNELS (28x28x1), \"20 steps of 13\", or a "
                        "count of numbers",
                        key, shown(text, false)));
    };
    const char *at = text.data(), *const end = at + text.size();
    const auto number = [&](int& out) {
        const auto read = std::from_chars(at, end, out);
        if (read.ec != std::errc{} || out < 1) return false;
        at = read.ptr;
        return true;
    };
    const auto word = [&](std::string_view expected) {
        const bool there = std::string_view(at, static_cast<std::size_t>(end - at)).starts_with(expected);
        if (there) at += expected.size();
        return there;
    };
    Extent extent;
    int first = 0;
    if (!number(first)) return wrong();
    if (word(" steps of ")) {
        extent.width = first;
        if (!number(extent.channels)) return wrong();
    } else if (word("x")) {
        extent.height = first;
        if (!number(extent.width)) return wrong();
        if (word("x") && !number(extent.channels)) return wrong();
    } else {
        extent.channels = first;
    }
    if (at != end) return wrong();
    constexpr int limit = NetworkShape::width_limit;
    if (extent.height > limit || extent.width > limit || extent.channels > limit) return wrong();
    return extent;
}

Outcome<std::variant<MlpShape, NetworkShape>> network_for(const NetworkSettings& s, const DataTable& table) {
    if (s.takes_layers()) return layered(s, table);
    const auto shape = MlpShape::make(table.features, s.hidden, table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    return *shape;
}

}  // namespace dunlin

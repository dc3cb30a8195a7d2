// SPDX-License-Identifier: Apache-2.0
#include "training/models/layer_text.hpp"

#include "training/host/plain_text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

constexpr std::pair<std::string_view, Activation> activations[] = {{"linear", Activation::identity},
                                                                   {"relu", Activation::relu},
                                                                   {"leaky-relu", Activation::leaky_relu},
                                                                   {"tanh", Activation::tanh},
                                                                   {"sigmoid", Activation::sigmoid}};

/// What stands behind a kind's name, in this order.
enum class Argument : std::uint8_t { none, count, window, window_and_count, back, rate };

struct Word {
    std::string_view name;
    LayerKind kind;
    Argument argument;
    std::string_view wants;  ///< for people
};

constexpr std::string_view depthwise = "depthwise", layer_norm = "layer-norm", flatten = "flatten";
constexpr Word words[] = {{"dense", LayerKind::dense, Argument::count, "dense OUTPUTS"},
                          {"conv", LayerKind::convolution, Argument::window_and_count,
                           "conv HEIGHTxWIDTH CHANNELS (or conv WIDTH CHANNELS over time)"},
                          {depthwise, LayerKind::convolution, Argument::window, "depthwise HEIGHTxWIDTH"},
                          {"max-pool", LayerKind::maximum_pool, Argument::window, "max-pool HEIGHTxWIDTH"},
                          {"average-pool", LayerKind::average_pool, Argument::window, "average-pool HEIGHTxWIDTH"},
                          {"global-average", LayerKind::global_pool, Argument::none, "global-average"},
                          {"gru", LayerKind::gru, Argument::count, "gru UNITS"},
                          {"lstm", LayerKind::lstm, Argument::count, "lstm UNITS"},
                          {"embedding", LayerKind::embedding, Argument::count, "embedding NUMBERS"},
                          {"group-norm", LayerKind::normalise, Argument::count, "group-norm GROUPS"},
                          {layer_norm, LayerKind::normalise, Argument::none, "layer-norm"},
                          {"add", LayerKind::add, Argument::back, "add LAYERS-BEFORE"},
                          {"dropout", LayerKind::dropout, Argument::rate, "dropout SHARE"}};

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        if (text.empty()) return parts;
        const std::size_t end = std::min(text.find(' '), text.size());
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

template <class T>
bool read_number(std::string_view text, T& value) {
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    return wrong == std::errc() && end == text.data() + text.size();
}

/// "3x5", or "5", which is 1 x 5.
bool read_sides(std::string_view text, int& height, int& width) {
    const std::size_t by = text.find('x');
    if (by != std::string_view::npos)
        return read_number(text.substr(0, by), height) && read_number(text.substr(by + 1), width);
    height = 1;
    return read_number(text, width);
}

std::string sides_text(int height, int width) {
    return height == 1 ? fmt::format("{}", width) : fmt::format("{}x{}", height, width);
}

bool slides(LayerKind kind) {
    return kind == LayerKind::convolution || kind == LayerKind::maximum_pool || kind == LayerKind::average_pool;
}

/// Reads one layer that follows numbers of this extent; the error is a sentence's rest.
class LayerReader {
public:
    LayerReader(std::string_view text, Extent in) : parts_(split(text)), in_(in) {}

    tl::expected<LayerSpec, std::string> read() {
        if (parts_.empty()) return tl::unexpected(std::string("is empty"));
        const auto word = std::ranges::find(words, parts_.front(), &Word::name);
        if (word == std::end(words)) return tl::unexpected(known());
        spec_.kind = word->kind;
        next_ = 1;
        if (!arguments(*word)) return tl::unexpected(fmt::format("is no layer; write {}", word->wants));
        for (; next_ < parts_.size(); ++next_) {
            if (!option(parts_[next_], *word))
                return tl::unexpected(
                    fmt::format("\"{}\" says nothing here; {}", shown(parts_[next_], false), options(*word)));
        }
        return spec_;
    }

private:
    static std::string known() {
        std::vector<std::string_view> names{flatten};
        for (const Word& word : words) names.push_back(word.name);
        return fmt::format("is no layer; known are {}", fmt::join(names, ", "));
    }
    static std::string options(const Word& word) {
        std::vector<std::string_view> all;
        if (slides(word.kind)) all.insert(all.end(), {"stride=", "pad="});
        if (word.name == "conv") all.push_back("groups=");
        if (word.kind == LayerKind::gru || word.kind == LayerKind::lstm)
            all.insert(all.end(), {"every-step", "both-ways"});
        for (const auto& [name, which] : activations) all.push_back(name);
        return fmt::format("what may stand behind {} is {}", word.name, fmt::join(all, ", "));
    }

    bool taken(std::string_view& part) {
        if (next_ >= parts_.size()) return false;
        part = parts_[next_++];
        return true;
    }
    bool arguments(const Word& word) {
        std::string_view part;
        const Argument wanted = word.argument;
        if (wanted == Argument::window || wanted == Argument::window_and_count) {
            if (!taken(part) || !read_sides(part, spec_.kernel_height, spec_.kernel_width)) return false;
            if (spec_.kind != LayerKind::convolution) {
                spec_.stride_height = spec_.kernel_height;
                spec_.stride_width = spec_.kernel_width;
            }
        }
        if (word.name == depthwise) spec_.outputs = spec_.groups = in_.channels;
        if (wanted == Argument::back) return taken(part) && read_number(part, spec_.back);
        if (wanted == Argument::rate) return taken(part) && read_number(part, spec_.rate);
        if (wanted != Argument::count && wanted != Argument::window_and_count) return true;
        int& count = spec_.kind == LayerKind::normalise ? spec_.groups : spec_.outputs;
        return taken(part) && read_number(part, count);
    }
    bool option(std::string_view part, const Word& word) {
        for (const auto& [name, which] : activations) {
            if (part != name || next_ + 1 != parts_.size()) continue;
            spec_.activation = which;
            return true;
        }
        const auto value = [&](std::string_view key) {
            return part.starts_with(key) ? std::optional(part.substr(key.size())) : std::nullopt;
        };
        if (slides(spec_.kind)) {
            if (const auto stride = value("stride=")) return both(*stride, spec_.stride_height, spec_.stride_width);
            if (const auto pad = value("pad="); pad == "same") {
                spec_.pad_height = (spec_.kernel_height - 1) / 2;
                spec_.pad_width = (spec_.kernel_width - 1) / 2;
                return spec_.kernel_height % 2 == 1 && spec_.kernel_width % 2 == 1;
            } else if (pad) {
                return both(*pad, spec_.pad_height, spec_.pad_width);
            }
        }
        if (const auto groups = value("groups="); groups && word.name == "conv")
            return read_number(*groups, spec_.groups);
        if (spec_.kind != LayerKind::gru && spec_.kind != LayerKind::lstm) return false;
        if (part == "every-step") return spec_.every_step = true;
        if (part == "both-ways") return spec_.both_ways = true;
        return false;
    }
    /// One number is for both sides, as far as the window has a height.
    bool both(std::string_view text, int& height, int& width) const {
        if (text.find('x') != std::string_view::npos) return read_sides(text, height, width);
        if (!read_number(text, width)) return false;
        if (spec_.kernel_height > 1 || in_.height > 1) height = width;
        return true;
    }

    std::vector<std::string_view> parts_;
    Extent in_;
    LayerSpec spec_;
    std::size_t next_ = 0;
};

std::string fault_text(LayerFault fault, const LayerSpec& spec, Extent in) {
    switch (fault) {
        case LayerFault::outputs:
            return fmt::format("it is to give 1 to {} numbers", NetworkShape::width_limit / 2);
        case LayerFault::kernel:
            return fmt::format("window and stride are 1 to {} on each side, and the padding less than the window",
                               Windows2d::side_limit);
        case LayerFault::too_small:
            return fmt::format("with its padding that is smaller than the window of {} x {}", spec.kernel_height,
                               spec.kernel_width);
        case LayerFault::groups:
            return fmt::format("{} groups do not divide {} channels{}", spec.groups, in.channels,
                               spec.kind == LayerKind::convolution ? fmt::format(" and {}", spec.outputs) : "");
        case LayerFault::tokens:
            return spec.kind == LayerKind::embedding ? "an embedding is the first layer, and takes tokens"
                                                     : "tokens come in, which an embedding makes numbers of";
        case LayerFault::back:
            return fmt::format("what the layer {} before the last one gave is not there, or of another extent",
                               spec.back);
        case LayerFault::rate:
            return "the share is at least 0 and below 1";
        case LayerFault::not_a_line:
            return "it goes over time, so the height is to be 1";
        default:
            return "that makes more numbers than can be counted here";
    }
}

}  // namespace

std::string extent_text(Extent extent) {
    if (extent.places() == 1) return fmt::format("{} number{}", extent.channels, extent.channels == 1 ? "" : "s");
    if (extent.height == 1) return fmt::format("{} steps of {} numbers", extent.width, extent.channels);
    return fmt::format("{} x {} x {}", extent.height, extent.width, extent.channels);
}

std::string layer_text(const LayerSpec& spec, Extent in) {
    const bool apart = spec.kind == LayerKind::convolution && spec.groups > 1 && spec.groups == spec.outputs &&
                       spec.groups == in.channels;
    const bool one_group = spec.kind == LayerKind::normalise && spec.groups == 1;
    const auto word = std::ranges::find_if(words, [&](const Word& one) {
        if (apart || one_group) return one.name == (apart ? depthwise : layer_norm);
        return one.kind == spec.kind;
    });
    std::string text(word->name);
    if (word->argument == Argument::window || word->argument == Argument::window_and_count)
        text += fmt::format(" {}", sides_text(spec.kernel_height, spec.kernel_width));
    if (word->argument == Argument::count || word->argument == Argument::window_and_count)
        text += fmt::format(" {}", spec.kind == LayerKind::normalise ? spec.groups : spec.outputs);
    if (word->argument == Argument::back) text += fmt::format(" {}", spec.back);
    if (word->argument == Argument::rate) text += fmt::format(" {}", spec.rate);
    if (slides(spec.kind)) {
        const bool convolves = spec.kind == LayerKind::convolution;
        if (spec.stride_height != (convolves ? 1 : spec.kernel_height) ||
            spec.stride_width != (convolves ? 1 : spec.kernel_width))
            text += fmt::format(" stride={}x{}", spec.stride_height, spec.stride_width);
        if (spec.pad_height != 0 || spec.pad_width != 0)
            text += fmt::format(" pad={}x{}", spec.pad_height, spec.pad_width);
        if (convolves && spec.groups > 1 && !apart) text += fmt::format(" groups={}", spec.groups);
    }
    if (spec.every_step) text += " every-step";
    if (spec.both_ways) text += " both-ways";
    if (spec.activation != Activation::identity)
        text += fmt::format(
            " {}", std::ranges::find(activations, spec.activation, &std::pair<std::string_view, Activation>::second)
                       ->first);
    return text;
}

std::vector<std::string> layer_texts(const NetworkShape& shape) {
    std::vector<std::string> texts;
    for (int l = 0; l < shape.layers; ++l) {
        if (shape.layer(l).spec.flat) texts.emplace_back(flatten);
        texts.push_back(layer_text(shape.layer(l).spec, shape.layer(l).in));
    }
    return texts;
}

Outcome<NetworkShape> read_layers(std::string_view key, Extent input, bool tokens,
                                  const std::vector<std::string>& layers, int outputs) {
    std::vector<LayerSpec> specs;
    Extent in = input;
    bool flat = false;
    for (std::size_t k = 0; k < layers.size(); ++k) {
        const auto wrong = [&](std::string_view what) {
            return refuse(fmt::format("{}, layer {}: \"{}\" {}", key, k + 1, shown(layers[k], false), what));
        };
        if (layers[k] == flatten) {
            if (flat || k + 1 == layers.size()) return wrong("says nothing here");
            in = {1, 1, in.size()};
            flat = true;
            continue;
        }
        auto spec = LayerReader(layers[k], in).read();
        if (!spec) return wrong(spec.error());
        spec->flat =
            std::exchange(flat, false) && spec->kind != LayerKind::dense;  // which takes all numbers anyway
        specs.push_back(*spec);
        const auto shape = NetworkShape::make(input, tokens, specs);
        if (!shape && shape.error().code == Code::bad_layer)
            return wrong(fmt::format("cannot stand here: {} come{} in; {}", extent_text(in),
                                     in.size() == 1 ? "s" : "",
                                     fault_text(static_cast<LayerFault>(shape.error().second), *spec, in)));
        if (!shape) return refuse(shape.error(), key);
        in = shape->last().out;
    }
    const auto shape = NetworkShape::make(input, tokens, specs);
    if (!shape) return refuse(shape.error(), key);
    if (outputs > 0 && shape->outputs() != outputs)
        return refuse(fmt::format("{}: the last layer gives {}, and {} are wanted; end with \"dense {}\"", key,
                                  extent_text(shape->last().out), outputs, outputs));
    return *shape;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "training/models/model_file.hpp"

#include "training/models/layer_text.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

namespace dunlin {
namespace {

/// A field is one line. Neither TOML nor a name holds a record separator.
constexpr char line_break = '\x1e';

constexpr std::array<std::pair<std::string_view, ModelHead>, 6> heads{{{"actions", ModelHead::actions},
                                                                       {"gaussian", ModelHead::gaussian},
                                                                       {"classes", ModelHead::classes},
                                                                       {"mixture", ModelHead::mixture},
                                                                       {"score", ModelHead::score},
                                                                       {"value", ModelHead::value}}};

std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', line_break);
    return text;
}

/// Names from data may hold anything; in a file each is a line.
std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        for (const char letter : name) text += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
        text += line_break;
    }
    return text;
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(line_break), text.size());
        names.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return names;
}

/// Reads a file's parts one after the other and remembers the first error.
class Reader {
public:
    explicit Reader(const ArrayFile& file) : file_(file) {}

    std::string text(const char* name) const {
        const auto found = file_.fields.find(name);
        return found == file_.fields.end() ? std::string() : found->second;
    }
    bool has(const char* name) const { return file_.fields.contains(name); }
    std::int64_t integer(const char* name, std::int64_t low, std::int64_t high) {
        const Result<std::int64_t> value = file_.integer(name);
        if (value && *value >= low && *value <= high) return *value;
        if (!error_) error_ = value ? Error{Code::file_syntax} : value.error();
        return low;
    }
    std::int64_t integer_or(const char* name, std::int64_t low, std::int64_t high, std::int64_t missing) {
        return has(name) ? integer(name, low, high) : missing;
    }
    /// Finite numbers, `counts` of them; none where they may be missing.
    std::vector<float> numbers(const char* name, std::size_t count, bool needed) {
        if (!needed && !file_.arrays.contains(name)) return {};
        Result<std::vector<float>> values = file_.floats(name);
        if (!values) {
            if (!error_) error_ = values.error();
            return {};
        }
        if (values->size() != count && !error_)
            error_ = Error{Code::shape_mismatch, std::ssize(*values), static_cast<std::int64_t>(count)};
        const auto bad = std::ranges::find_if(*values, [](float value) { return !std::isfinite(value); });
        if (bad != values->end() && !error_) error_ = Error{Code::not_finite, bad - values->begin()};
        return *std::move(values);
    }
    void fail(Error error) {
        if (!error_) error_ = error;
    }
    const std::optional<Error>& error() const { return error_; }

private:
    const ArrayFile& file_;
    std::optional<Error> error_;
};

/// Names are of all of something or of nothing.
bool fit(const std::vector<std::string>& names, std::size_t count) {
    return names.empty() || names.size() == count;
}

/// The parameters of a file are fewer than this, so that no count below wraps where a size has 32 bits.
constexpr std::uint64_t count_limit = ArrayFile::size_limit / sizeof(float);

bool countable(const MlpShape& shape) {
    std::uint64_t count = 0;
    for (int l = 0; l < shape.layers; ++l)
        count += (static_cast<std::uint64_t>(shape.fan_in(l)) + 1) * static_cast<std::uint64_t>(shape.width(l));
    return count <= count_limit;
}

/// A network as layer_text writes it.
Result<NetworkShape> read_network(Reader& reader) {
    const auto side = [&](const char* name) {
        return static_cast<int>(reader.integer(name, 1, NetworkShape::width_limit));
    };
    const Extent input{side("input_height"), side("input_width"), side("input_channels")};
    const bool tokens = reader.integer("tokens", 0, 1) != 0;
    if (reader.error()) return tl::unexpected(*reader.error());
    const std::vector<std::string> layers = split(reader.text("layers"));
    // A layer may have a "flatten" in front.
    if (layers.size() > 2 * NetworkShape::layer_limit)
        return fail(Code::too_many_layers, std::ssize(layers), NetworkShape::layer_limit);
    const auto shape = read_layers("layers", input, tokens, layers, 0);
    if (!shape) return fail(Code::file_syntax);
    return *shape;
}

Result<MlpShape> read_shape(const ArrayFile& file, Reader& reader) {
    const auto inputs = static_cast<int>(reader.integer("inputs", 0, MlpShape::width_limit));
    const auto hidden =
        static_cast<Activation>(reader.integer("activation", 0, static_cast<int>(Activation::sigmoid)));
    const bool one_hot = reader.integer("one_hot", 0, 1) != 0, bias = reader.integer("bias", 0, 1) != 0;
    const Result<std::vector<std::int32_t>> widths = file.integers("widths");
    if (!widths || widths->empty()) return fail(Code::file_syntax);
    if (reader.error()) return tl::unexpected(*reader.error());
    Result<MlpShape> shape =
        MlpShape::make(inputs, std::span(*widths).first(widths->size() - 1), widths->back(), hidden, one_hot, bias);
    if (!shape) return shape;
    shape->linear_input = reader.integer_or("linear_input", 0, 1, 0) != 0;
    if (!countable(*shape)) return fail(Code::file_too_large);
    return shape;
}

}  // namespace

std::string_view name_of(ModelHead head) {
    return std::ranges::find(heads, head, &std::pair<std::string_view, ModelHead>::second)->first;
}

int TrainedModel::weighted_layers() const {
    const auto of = [](const auto& layers) {
        int count = 0;
        for (int l = 0; l < layers.layers; ++l) count += layers.weights_at(l + 1) > layers.weights_at(l) ? 1 : 0;
        return count;
    };
    return network ? of(*network) : of(shape);
}

std::size_t TrainedModel::frozen_parameters() const {
    const auto of = [this](const auto& layers) {
        int left = frozen, l = 0;
        for (; l < layers.layers && left > 0; ++l) left -= layers.weights_at(l + 1) > layers.weights_at(l) ? 1 : 0;
        return layers.weights_at(l);
    };
    return network ? of(*network) : of(shape);
}

void TrainedModel::take(std::vector<float> shared, std::vector<float> own) {
    parameters = std::move(shared);
    personal = std::move(own);
    const std::size_t d = count(), all = flat_count();
    if (all == d) return;
    assert(parameters.size() == all && personal.size() % all == 0);
    parameters.resize(d);
    std::vector<float> models;
    for (std::size_t first = 0; first < personal.size(); first += all) {
        const std::span<float> one = std::span(personal).subspan(first, all), logits = one.subspan(d);
        models.insert(models.end(), one.begin(), one.begin() + static_cast<std::ptrdiff_t>(d));
        const float largest = *std::max_element(logits.begin(), logits.end());
        for (float& value : logits) value = std::exp(value - largest);
        const float total = std::accumulate(logits.begin(), logits.end(), 0.0f);
        for (const float value : logits) node_weights.push_back(value / total);
    }
    personal = std::move(models);
}

std::vector<float> TrainedModel::flat() const {
    std::vector<float> w = parameters;
    for (const float weight : weights) w.push_back(std::log(std::max(weight, 1e-30f)));
    return w;
}

std::optional<TrainedModel> TrainedModel::of_node(std::size_t node) const {
    const std::size_t d = count(), k = static_cast<std::size_t>(networks);
    if ((node + 1) * d > personal.size()) return std::nullopt;
    TrainedModel own = *this;
    const auto at = personal.begin() + static_cast<std::ptrdiff_t>(node * d);
    own.parameters.assign(at, at + static_cast<std::ptrdiff_t>(d));
    if (!node_weights.empty()) {
        const auto of = node_weights.begin() + static_cast<std::ptrdiff_t>(node * k);
        own.weights.assign(of, of + networks);
    }
    own.shared_is = "the own model of " + (node < nodes.size() ? nodes[node] : "node " + std::to_string(node));
    own.nodes.clear();
    own.personal.clear();
    own.node_weights.clear();
    return own;
}

std::string TrainedModel::bytes() const {
    ArrayFile file{navigates() ? "policy" : "model", {}, {}};
    file.fields = {{"format", std::to_string(network || frozen > 0 ? newest_format : described_format)},
                   {"experiment", one_line(experiment)},
                   {"gaussian", std::to_string(gaussian())},
                   {"head", std::string(name_of(head))},
                   {"networks", std::to_string(networks)}};
    file.arrays = {{"parameters", parameters}};
    if (network) {
        file.fields.insert({{"input_height", std::to_string(network->input.height)},
                            {"input_width", std::to_string(network->input.width)},
                            {"input_channels", std::to_string(network->input.channels)},
                            {"tokens", std::to_string(network->tokens)},
                            {"layers", joined(layer_texts(*network))}});
    } else {
        file.fields.insert({{"inputs", std::to_string(shape.inputs)},
                            {"activation", std::to_string(static_cast<int>(shape.hidden))},
                            {"one_hot", std::to_string(shape.one_hot)},
                            {"bias", std::to_string(shape.bias)},
                            {"linear_input", std::to_string(shape.linear_input)}});
        file.arrays["widths"] =
            std::vector<std::int32_t>(shape.widths.begin(), shape.widths.begin() + shape.layers);
    }
    if (frozen > 0) file.fields["frozen"] = std::to_string(frozen);
    const auto add = [&](const char* name, std::string text) {
        if (!text.empty()) file.fields[name] = std::move(text);
    };
    add("config", one_line(config));
    add("task", one_line(task));
    add("input", one_line(input));
    add("output", one_line(output));
    add("input_names", joined(input_names));
    add("output_names", joined(output_names));
    add("notes", joined(notes));
    add("shared_is", one_line(shared_is));
    add("personal_is", one_line(personal_is));
    add("nodes", joined(nodes));
    if (updates >= 0) file.fields["version"] = std::to_string(updates);
    const std::pair<const char*, const std::vector<float>*> more[] = {
        {"centre", &centre},
        {"scale", &scale},
        {navigates() ? "adaptation" : "weights", &weights},
        {"personal", &personal},
        {"node_weights", &node_weights}};
    for (const auto& [name, numbers] : more) {
        if (!numbers->empty()) file.arrays[name] = *numbers;
    }
    return file.bytes();
}

Result<TrainedModel> TrainedModel::read(const std::filesystem::path& path) {
    Result<ArrayFile> file = ArrayFile::read(path, "policy");
    if (!file && file.error().code == Code::file_magic) file = ArrayFile::read(path, "model");
    if (!file) return tl::unexpected(file.error());
    Reader reader(*file);
    TrainedModel model;
    model.format = reader.integer_or("format", 1, INT64_MAX, 1);
    if (model.format > newest_format) return fail(Code::file_version, model.format, newest_format);
    model.experiment = reader.text("experiment");
    model.config = reader.text("config");
    std::ranges::replace(model.config, line_break, '\n');
    model.updates = reader.integer_or("version", 0, INT64_MAX, -1);
    if (file->kind == "model" && model.format == 1) {  // nothing but numbers
        const Result<std::vector<float>> numbers = file->floats("parameters");
        if (!numbers) return tl::unexpected(numbers.error());
        model.parameters = reader.numbers("parameters", numbers->size(), true);
        if (reader.error()) return tl::unexpected(*reader.error());
        return model;
    }
    if (model.format > described_format && reader.has("layers")) {
        const Result<NetworkShape> network = read_network(reader);
        if (!network) return tl::unexpected(network.error());
        model.network = *network;
    } else {
        const Result<MlpShape> shape = read_shape(*file, reader);
        if (!shape) return tl::unexpected(shape.error());
        model.shape = *shape;
    }
    if (model.format > described_format) {
        model.frozen = static_cast<int>(reader.integer_or("frozen", 1, NetworkShape::layer_limit, 0));
        const int layers = model.weighted_layers();
        if (model.frozen > layers || (model.frozen > 0 && reader.integer_or("networks", 1, 4096, 1) > 1))
            return fail(Code::no_such_layer, model.frozen, layers);
    }
    model.head = reader.integer("gaussian", 0, 1) != 0 ? ModelHead::gaussian : ModelHead::actions;
    if (model.format > 1) {
        const auto known = std::ranges::find(heads, reader.text("head"), [](const auto& h) { return h.first; });
        if (known == heads.end()) return fail(Code::file_syntax);
        if (model.gaussian() != (known->second == ModelHead::gaussian)) return fail(Code::file_syntax);
        model.head = known->second;
    }
    model.networks = static_cast<int>(reader.integer_or("networks", 1, 4096, 1));
    model.task = reader.text("task");
    model.input = reader.text("input");
    model.output = reader.text("output");
    model.input_names = split(reader.text("input_names"));
    model.output_names = split(reader.text("output_names"));
    model.notes = split(reader.text("notes"));
    model.shared_is = reader.text("shared_is");
    model.personal_is = reader.text("personal_is");
    model.nodes = split(reader.text("nodes"));
    const auto inputs = static_cast<std::size_t>(model.inputs()),
               outputs = static_cast<std::size_t>(model.outputs());
    const auto networks = static_cast<std::size_t>(model.networks);
    const std::uint64_t together = std::uint64_t{model.network_parameters()} * networks + outputs;
    const std::uint64_t all = file->arrays.contains("personal") ? together * std::uint64_t{model.nodes.size()} : 0;
    if (together > count_limit || all > count_limit) return fail(Code::file_too_large);
    model.parameters = reader.numbers("parameters", model.count(), true);
    const std::size_t scaled = model.network && model.tokens() ? 0 : inputs;  // a token is no quantity
    model.centre = reader.numbers("centre", scaled, false);
    model.scale = reader.numbers("scale", scaled, !model.centre.empty());
    if (!model.navigates()) model.weights = reader.numbers("weights", networks, model.head == ModelHead::mixture);
    model.personal = reader.numbers("personal", model.nodes.size() * model.count(), false);
    if (model.navigates() &&
        file->arrays.contains("adaptation")) {  // in `weights`, which only mixtures have otherwise
        const Result<std::vector<float>> numbers = file->floats("adaptation");
        if (!numbers) return tl::unexpected(numbers.error());
        model.weights = reader.numbers("adaptation", numbers->size(), true);
    }
    model.node_weights = reader.numbers("node_weights", model.nodes.size() * networks, false);
    if (!fit(model.input_names, inputs) || !fit(model.output_names, outputs)) reader.fail({Code::file_syntax});
    if (reader.error()) return tl::unexpected(*reader.error());
    return model;
}

}  // namespace dunlin

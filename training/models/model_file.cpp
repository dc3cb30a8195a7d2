// SPDX-License-Identifier: Apache-2.0
#include "training/models/model_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
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
    if (shape) shape->linear_input = reader.integer_or("linear_input", 0, 1, 0) != 0;
    return shape;
}

}  // namespace

std::string_view name_of(ModelHead head) {
    return std::ranges::find(heads, head, &std::pair<std::string_view, ModelHead>::second)->first;
}

void TrainedModel::take_nodes(std::vector<float> models) {
    const std::size_t d = count(), all = models.size() / d;
    std::vector<double> sum(d);
    for (std::size_t k = 0; k < models.size(); ++k) sum[k % d] += static_cast<double>(models[k]);
    parameters.resize(d);
    for (std::size_t k = 0; k < d; ++k) parameters[k] = static_cast<float>(sum[k] / static_cast<double>(all));
    if (models.size() <= personal_limit) {
        personal = std::move(models);
    } else {
        notes.push_back("the nodes' own models are not in this file: together they have more than 2^25 numbers");
    }
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
    file.fields = {{"format", std::to_string(newest_format)},
                   {"experiment", one_line(experiment)},
                   {"inputs", std::to_string(shape.inputs)},
                   {"activation", std::to_string(static_cast<int>(shape.hidden))},
                   {"one_hot", std::to_string(shape.one_hot)},
                   {"bias", std::to_string(shape.bias)},
                   {"linear_input", std::to_string(shape.linear_input)},
                   {"gaussian", std::to_string(gaussian())},
                   {"head", std::string(name_of(head))},
                   {"networks", std::to_string(networks)}};
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
    file.arrays = {
        {"parameters", parameters},
        {"widths", std::vector<std::int32_t>(shape.widths.begin(), shape.widths.begin() + shape.layers)}};
    const std::pair<const char*, const std::vector<float>*> more[] = {{"centre", &centre},
                                                                      {"scale", &scale},
                                                                      {"weights", &weights},
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
    const Result<MlpShape> shape = read_shape(*file, reader);
    if (!shape) return tl::unexpected(shape.error());
    model.shape = *shape;
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
    const auto inputs = static_cast<std::size_t>(shape->inputs),
               outputs = static_cast<std::size_t>(shape->outputs());
    const auto networks = static_cast<std::size_t>(model.networks);
    model.parameters = reader.numbers("parameters", model.count(), true);
    model.centre = reader.numbers("centre", inputs, false);
    model.scale = reader.numbers("scale", inputs, !model.centre.empty());
    model.weights = reader.numbers("weights", networks, model.head == ModelHead::mixture);
    model.personal = reader.numbers("personal", model.nodes.size() * model.count(), false);
    model.node_weights = reader.numbers("node_weights", model.nodes.size() * networks, false);
    if (!fit(model.input_names, inputs) || !fit(model.output_names, outputs)) reader.fail({Code::file_syntax});
    if (reader.error()) return tl::unexpected(*reader.error());
    return model;
}

}  // namespace dunlin

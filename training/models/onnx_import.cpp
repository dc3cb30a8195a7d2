// SPDX-License-Identifier: Apache-2.0
#include "training/models/onnx_import.hpp"

#include "training/host/plain_text.hpp"
#include "training/models/layer_text.hpp"
#include "training/models/onnx_nodes.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

using onnx::File;
using onnx::Port;

/// The perceptron that a network of dense layers is, if it is one.
std::optional<MlpShape> perceptron_of(const NetworkShape& shape, bool biases) {
    std::vector<int> hidden;
    std::vector<Activation> between;
    for (int l = 0; l < shape.layers; ++l) {
        const LayerSpec& spec = shape.layer(l).spec;
        const bool last = l + 1 == shape.layers;
        if (spec.kind != LayerKind::dense || spec.activation == Activation::leaky_relu) return std::nullopt;
        if (last && spec.activation != Activation::identity) return std::nullopt;
        if (last) break;
        hidden.push_back(spec.outputs);
        between.push_back(spec.activation);
    }
    const auto alike = [&](std::size_t from) {
        return std::all_of(between.begin() + static_cast<std::ptrdiff_t>(from), between.end(),
                           [&](Activation one) { return one == between.back(); });
    };
    const bool linear_input = between.size() > 1 && !alike(0) && between[0] == Activation::identity && alike(1);
    if (!between.empty() && !alike(0) && !linear_input) return std::nullopt;
    auto made = MlpShape::make(shape.tokens ? shape.input.channels : shape.input.size(), hidden, shape.outputs(),
                               between.empty() ? Activation::tanh : between.back(), shape.tokens, biases);
    if (!made) return std::nullopt;
    made->linear_input = linear_input;
    return *made;
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        out.push_back(shown(text.substr(at, end - at), false));
        at = end + 1;
    }
    return out;
}

/// What a row of the model's input is, where the file's input has axes.
std::string input_text(const Port& port, const NetworkShape& shape) {
    if (shape.tokens) return {};
    std::vector<std::string> sizes;
    for (const std::int64_t size : port.sizes) sizes.push_back(size < 0 ? "batch" : fmt::format("{}", size));
    const std::string given =
        fmt::format("input \"{}\" of the ONNX file ({})", shown(port.name, false), fmt::join(sizes, " x "));
    if (shape.input.places() == 1) return fmt::format("{} numbers: {}", shape.input.size(), given);
    return fmt::format("{}, place by place in reading order, the {} of a place next to each other: {}",
                       extent_text(shape.input), shape.input.height == 1 ? "numbers" : "channels", given);
}

void take_properties(const File& file, TrainedModel& model) {
    const auto of = [&](const char* key) {
        const auto found = file.properties.find(key);
        return found == file.properties.end() ? std::vector<std::string>() : lines(found->second);
    };
    const std::vector<std::string> task = of("task");
    if (!task.empty()) model.task = task.front();
    const auto names = [](std::vector<std::string> list, int count) {
        return std::ssize(list) == count ? std::move(list) : std::vector<std::string>();
    };
    model.input_names = names(of("input_names"), model.inputs());
    model.output_names = names(of("output_names"), model.outputs());
}

ModelHead head_of(const std::string& task, bool chooses, int outputs) {
    if (task == "grid-navigation") return ModelHead::actions;
    if (task == "ranking" && outputs == 1) return ModelHead::score;
    return chooses || outputs > 1 ? ModelHead::classes : ModelHead::value;
}

}  // namespace

Outcome<TrainedModel> import_onnx(std::string_view bytes, const std::string& file) {
    const std::string where = shown(file, false);
    const auto parsed = File::parse(bytes);
    if (!parsed) return refuse(where + ": " + parsed.error().text);
    onnx::Nodes nodes(*parsed);
    if (auto walked = nodes.walk(); !walked) return refuse(where + ": " + walked.error());

    TrainedModel model;
    Extent input;
    bool biases = true;
    const auto shape = nodes.stack().finish(input, model.parameters, biases);
    if (!shape) return refuse(where + ": the graph " + shape.error());
    for (const float value : model.parameters) {
        if (!std::isfinite(value)) return refuse(where + ": a weight is no finite number");
    }
    if (const auto perceptron = perceptron_of(*shape, biases)) {
        model.shape = *perceptron;
        if (!biases) {  // what was nowhere given is zeros here
            std::vector<float> bare;
            for (int l = 0; l < shape->layers; ++l) {
                const auto at = model.parameters.begin() + static_cast<std::ptrdiff_t>(shape->weights_at(l));
                bare.insert(bare.end(), at,
                            at + static_cast<std::ptrdiff_t>(shape->parameters(l)) - shape->layer(l).out.size());
            }
            model.parameters = std::move(bare);
        }
    } else {
        model.network = *shape;
    }
    if (!nodes.centre().empty()) {
        for (const std::int32_t place : nodes.stack().input_order()) {
            model.centre.push_back(nodes.centre()[static_cast<std::size_t>(place)]);
            model.scale.push_back(nodes.scale()[static_cast<std::size_t>(place)]);
        }
    }
    model.experiment = !parsed->name.empty() ? shown(parsed->name, false) : "imported";
    model.input = input_text(parsed->inputs[nodes.input()], *shape);
    take_properties(*parsed, model);
    if (!nodes.log_sigma().empty()) {
        model.head = ModelHead::gaussian;
        model.parameters.insert(model.parameters.end(), nodes.log_sigma().begin(), nodes.log_sigma().end());
    } else {
        model.head = head_of(model.task, nodes.chooses(), model.outputs());
    }
    model.shared_is = fmt::format("imported from the ONNX file {}", where);
    return model;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/saved_model.hpp"
#include "apps/output.hpp"
#include "core/checksum.hpp"
#include "training/models/layer_text.hpp"
#include "training/models/model_export.hpp"

#include <cmath>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

struct InspectOptions {
    std::string run;
    bool json = false;
    bool config = false;
};

constexpr const char* activations[] = {"identity", "relu", "tanh", "sigmoid", "leaky-relu"};

std::vector<int> widths_of(const TrainedModel& model) {
    return {model.shape.widths.begin(), model.shape.widths.begin() + model.shape.layers};
}

nlohmann::ordered_json network_json(const TrainedModel& model) {
    if (model.network) {
        const Extent in = model.network->input;
        return {{"inputs", model.inputs()},
                {"tokens", model.tokens()},
                {"extent", {in.height, in.width, in.channels}},
                {"layers", layer_texts(*model.network)},
                {"networks", model.networks}};
    }
    return {
        {"inputs", model.shape.inputs}, {"one_hot", model.shape.one_hot},
        {"widths", widths_of(model)},   {"activation", activations[static_cast<std::size_t>(model.shape.hidden)]},
        {"bias", model.shape.bias},     {"linear_input", model.shape.linear_input},
        {"networks", model.networks}};
}

std::string network_text(const TrainedModel& model) {
    if (model.network) {
        const std::string in = model.tokens() ? fmt::format("{} of {} tokens", model.steps(), model.inputs())
                                              : extent_text(model.network->input);
        return fmt::format("{}, then {}", in, fmt::join(layer_texts(*model.network), ", "));
    }
    return fmt::format("{} {}, then {} ({}{}{})", model.shape.inputs, model.shape.one_hot ? "states" : "inputs",
                       fmt::join(widths_of(model), ", "), activations[static_cast<std::size_t>(model.shape.hidden)],
                       model.shape.bias ? ", biases" : ", no biases",
                       model.shape.linear_input ? ", the first layer linear" : "");
}

std::string json_text(const SavedModel& saved) {
    using Json = nlohmann::ordered_json;
    const TrainedModel& model = saved.model;
    Json json{{"file", saved.file.string()},
              {"format", model.format},
              {"experiment", model.experiment},
              {"kind", saved.kind != nullptr ? Json(saved.kind->name) : Json(nullptr)},
              {"task", model.task},
              {"parameters", model.parameters.size()},
              {"checksum", fmt::format("{:08x}", crc32(std::span<const float>(model.parameters)))},
              {"updates", model.updates >= 0 ? Json(model.updates) : Json(nullptr)}};
    if (model.described()) {
        json["head"] = name_of(model.head);
        json["signature"] = fmt::format("{:08x}", model.signature());
        json["network"] = network_json(model);
        if (model.frozen > 0) json["frozen"] = model.frozen;
        json["input"] = {{"meaning", model.input},
                         {"names", model.input_names},
                         {"centre", model.centre},
                         {"scale", model.scale}};
        json["output"] = {{"meaning", model.output}, {"names", model.output_names}};
    } else {
        json["network"] = nullptr;
    }
    json["notes"] = model.notes;
    json["shared_is"] = model.shared_is;
    json["personal_is"] = model.personal_is;
    json["nodes"] = model.nodes;
    json["personal_models"] = model.personal.empty() ? 0 : model.nodes.size();
    json["config"] = saved.config;
    // Names are of data, in whatever encoding these were.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void print(const SavedModel& saved) {
    const TrainedModel& model = saved.model;
    say("{}, format {}\n", saved.file.string(), model.format);
    if (!model.described()) {
        say("Experiment: {}.\n{} numbers. Written by an older Dunlin: it says nothing of its network, its inputs "
            "and its "
            "outputs.\n",
            model.experiment, model.parameters.size());
        return;
    }
    for (const std::string& line : about(model)) say("{}\n", line);
    say("Network: {}{}.\n", model.networks > 1 ? fmt::format("{} of them, each ", model.networks) : "",
        network_text(model));
    if (model.frozen > 0)
        say("Frozen: the first {} of {} layers with parameters, which adapting leaves as they are.\n", model.frozen,
            model.weighted_layers());
    double square = 0;
    for (const float value : model.parameters) square += static_cast<double>(value) * static_cast<double>(value);
    say("Parameters: {}, norm {:.4g}, CRC-32 {:08x}.\n", model.parameters.size(), std::sqrt(square),
        crc32(std::span<const float>(model.parameters)));
    if (!model.nodes.empty())
        say("Nodes: {}; {}.\n", model.nodes.size(),
            model.personal.empty() ? "their own models are not in the file" : "with their own models");
}

Outcome<int> inspect(const InspectOptions& options) {
    const Outcome<SavedModel> saved = open_model(options.run);
    if (!saved) return tl::unexpected(saved.error());
    if (options.json)
        say("{}", json_text(*saved));
    else if (options.config)
        say("{}", saved->config);
    else
        print(*saved);
    if (options.config && saved->config.empty())
        return refuse(saved->file.string() + ": says nothing of its settings");
    return 0;
}

}  // namespace

void add_inspect(CLI::App& program, Command& run) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command =
        program.add_subcommand("inspect", "Tell what a model is for, what goes in and what comes out");
    command->add_option("run", options->run, "a run directory, or policy.dunlin or model.dunlin")->required();
    CLI::Option* const json = command->add_flag("--json", options->json, "print JSON on stdout");
    command->add_flag("--config", options->config, "print the settings that made it, as TOML")->excludes(json);
    command->footer("Example:\n  dunlin inspect runs/activity\n");
    command->callback([options, &run] { run = [options] { return inspect(*options); }; });
}

}  // namespace dunlin::app

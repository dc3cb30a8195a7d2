// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/text_values.hpp"
#include "training/models/layer_text.hpp"
#include "training/models/onnx_import.hpp"
#include "training/problems/problem_kinds.hpp"

#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

struct ImportOptions {
    std::string file, out;
    int freeze = 0;
    std::string experiment;
    std::vector<std::string> assignments;
    bool quiet = false;
};

/// The settings of the network, as an experiment has them.
std::vector<std::string> network_settings(const TrainedModel& model) {
    if (!model.network) {
        constexpr const char* activations[] = {"tanh", "relu", "tanh", "sigmoid", "tanh"};
        return {
            fmt::format("model.hidden=[{}]", fmt::join(model.shape.widths.begin(),
                                                       model.shape.widths.begin() + model.shape.layers - 1, ",")),
            fmt::format("model.activation={}", activations[static_cast<std::size_t>(model.shape.hidden)])};
    }
    std::vector<std::string> layers;
    for (const std::string& layer : layer_texts(*model.network)) layers.push_back(toml_string(layer));
    std::vector<std::string> settings{fmt::format("model.layers=[{}]", fmt::join(layers, ","))};
    const Extent in = model.network->input;
    if (model.tokens()) return settings;
    settings.push_back("model.input=" +
                       toml_string(in.places() == 1 ? fmt::format("{}", in.channels)
                                   : in.height == 1 ? fmt::format("{} steps of {}", in.width, in.channels)
                                                    : fmt::format("{}x{}x{}", in.height, in.width, in.channels)));
    return settings;
}

/// Makes it a model of this experiment, whose nodes then adapt it to their data.
Outcome<void> place(TrainedModel& model, const ImportOptions& options) {
    const Experiment* const experiment = find_experiment(options.experiment);
    if (experiment == nullptr)
        return refuse(fmt::format("--experiment {}: there is none of this name; `dunlin list` names all",
                                  options.experiment));
    const Outcome<const Kind*> kind = kind_of(experiment->toml, options.experiment);
    if (!kind) return tl::unexpected(kind.error());
    const RegisteredProblem* const problem = find_problem((*kind)->name);
    if (problem == nullptr || !problem->deploys())
        return refuse(
            fmt::format("--experiment {}: of kind {}; a model is imported for nodes that learn from data, as in "
                        "classification",
                        options.experiment, (*kind)->name));
    const MlpShape& shape = model.shape;
    const bool said =
        shape.hidden == Activation::relu || shape.hidden == Activation::tanh || shape.hidden == Activation::sigmoid;
    if (!model.network && shape.layers > 1 && (!said || shape.linear_input))
        return refuse(
            fmt::format("--experiment {}: its networks have relu, tanh or sigmoid behind every hidden layer, "
                        "and this model has a layer without; import it without --experiment",
                        options.experiment));
    ProblemExperiment made(*problem);
    Settings list = made.list();
    if (auto read = list.read(experiment->toml, options.experiment); !read) return read;
    if (auto set = list.set(network_settings(model)); !set) return set;
    if (auto set = list.set(options.assignments); !set) return set;
    if (!made.nodes_bring_data()) {
        const auto nodes = made.make(1);
        if (!nodes) return tl::unexpected(nodes.error());
        const TrainedModel told = (*nodes)->description();
        if (told.inputs() != model.inputs() || told.outputs() != model.outputs() ||
            (*nodes)->dimension() != model.parameters.size())
            return refuse(
                fmt::format("--experiment {}: its data have {} inputs and {} outputs, and the model {} and {} ({} "
                            "parameters, not {})",
                            options.experiment, told.inputs(), told.outputs(), model.inputs(), model.outputs(),
                            model.parameters.size(), (*nodes)->dimension()));
        if (!model.centre.empty() && model.centre != told.centre)
            note("{}: the model scales what comes in; this experiment's data go in as their settings say\n",
                 options.file);
        if (model.centre.empty()) {
            model.centre = told.centre;
            model.scale = told.scale;
        }
        model.head = told.head;
        model.task = told.task;
        model.input = told.input;
        model.output = told.output;
        model.input_names = told.input_names;
        model.output_names = told.output_names;
    }
    model.experiment = options.experiment;
    model.config = list.write();
    return {};
}

Outcome<int> import_model(const ImportOptions& options) {
    const Outcome<std::string> bytes = read_text(options.file);
    if (!bytes) return tl::unexpected(bytes.error());
    Outcome<TrainedModel> model = import_onnx(*bytes, options.file);
    if (!model) return tl::unexpected(model.error());
    const int layers = model->weighted_layers();
    if (options.freeze < 0 || options.freeze >= layers) {
        return refuse(
            fmt::format("--freeze {}: the model has {} layers with parameters, of which at least one is to be left "
                        "to adapt; expected 0 to {}",
                        options.freeze, layers, layers - 1));
    }
    model->frozen = options.freeze;
    if (options.experiment.empty() && !options.assignments.empty())
        return refuse("--set: settings are those of an experiment; name it with --experiment");
    if (!options.experiment.empty()) {
        if (auto placed = place(*model, options); !placed) return tl::unexpected(placed.error());
    }
    if (Result<void> written = report::write_file(options.out, model->bytes()); !written)
        return refuse(written.error(), options.out);
    if (!options.quiet) say("{}\n", options.out);
    return 0;
}

}  // namespace

void add_import(CLI::App& program, Command& run) {
    auto options = std::make_shared<ImportOptions>();
    CLI::App* command =
        program.add_subcommand("import", "Make a model file of an ONNX model, such as PyTorch or Keras writes");
    command->add_option("model", options->file, "an ONNX file with its weights inside")->required();
    command->add_option("-o,--out", options->out, "where to write the model")->required();
    command->add_option(
        "--freeze", options->freeze,
        "of the layers that have parameters, the first so many stay as they are when the model is adapted");
    command->add_option(
        "--experiment", options->experiment,
        "the experiment whose nodes adapt the model to their data, such as classification: `dunlin adapt` and "
        "`dunlin fleet push` then know");
    command->add_option("--set", options->assignments, "KEY=VALUE: a setting of that experiment")
        ->allow_extra_args(false);
    command->add_flag("--quiet", options->quiet, "print nothing but errors");
    command->footer(
        "Reads Gemm, MatMul, Conv, pools, GRU, LSTM, Gather, normalisations, Add, Reshape, Flatten, Transpose and "
        "activations, "
        "in\noperator sets from 9 on (docs/networks.md).\n\nExample:\n  dunlin import model.onnx --freeze 2 -o "
        "model.dunlin\n");
    command->callback([options, &run] { run = [options] { return import_model(*options); }; });
}

}  // namespace dunlin::app

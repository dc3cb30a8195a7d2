// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "training/models/onnx_import.hpp"

#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct ImportOptions {
    std::string file, out;
    int freeze = 0;
    bool quiet = false;
};

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
    command->add_flag("--quiet", options->quiet, "print nothing but errors");
    command->footer(
        "Reads Gemm, MatMul, Conv, pools, GRU, LSTM, Gather, normalisations, Add, Reshape, Flatten, Transpose and "
        "activations, "
        "in\noperator sets from 9 on (docs/networks.md).\n\nExample:\n  dunlin import model.onnx --freeze 2 -o "
        "model.dunlin\n");
    command->callback([options, &run] { run = [options] { return import_model(*options); }; });
}

}  // namespace dunlin::app

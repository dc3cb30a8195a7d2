// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "envs/grid_navigation.hpp"
#include "training/host/network_footprint.hpp"
#include "training/host/plain_text.hpp"
#include "training/models/layer_text.hpp"

#include <charconv>
#include <map>
#include <memory>
#include <optional>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

struct FootprintOptions {
    std::vector<int> hidden{64, 64};
    std::optional<int> inputs, neighbours, cells;
    int outputs = 5;
    bool one_hot = false, one_body = false;
    std::string activation = "relu", method = "adapt";
    DeviceSettings device;
    std::vector<std::string> layers;
    std::string input;
    bool tokens = false, runs_only = false;
    bool json = false;
};

void add_rows(report::Table& table, const char* where, const std::vector<FootprintPart>& parts, std::size_t total) {
    for (const FootprintPart& part : parts)
        table.rows.push_back({&part == &parts.front() ? where : "", part.what, fmt::format("{}", part.bytes)});
    table.rows.push_back({"", "together", fmt::format("{}", total)});
}

int print(const Footprint& result, bool as_json) {
    if (as_json) {
        nlohmann::ordered_json json{{"flash_bytes", result.flash_bytes()}, {"ram_bytes", result.ram_bytes()}};
        for (const auto& [name, parts] : {std::pair("flash", &result.flash), std::pair("ram", &result.ram)}) {
            for (const FootprintPart& part : *parts) json[name][part.what] = part.bytes;
        }
        say("{}\n", json.dump(2));
        return 0;
    }
    report::Table table{{"where", "what", "bytes"}, {}, ""};
    add_rows(table, "flash", result.flash, result.flash_bytes());
    add_rows(table, "RAM", result.ram, result.ram_bytes());
    say("{}", report::text_table(table));
    return 0;
}

/// "20x20x1", "20x3" (steps of numbers) or "13".
Outcome<Extent> read_input(const std::string& text) {
    std::vector<int> sides;
    for (const char *at = text.data(), *const end = at + text.size();;) {
        int side = 0;
        const auto read = std::from_chars(at, end, side);
        if (read.ec != std::errc() || side < 1 || side > NetworkShape::width_limit) break;
        sides.push_back(side);
        if (read.ptr == end && sides.size() <= 3) {
            sides.insert(sides.begin(), 3 - sides.size(), 1);
            return Extent{sides[0], sides[1], sides[2]};
        }
        if (*read.ptr != 'x') break;
        at = read.ptr + 1;
    }
    return refuse(
        fmt::format("--input \"{}\": what comes into --layers; expected HEIGHTxWIDTHxCHANNELS such as 20x20x1, "
                    "STEPSxNUMBERS or NUMBERS",
                    shown(text, false)));
}

Outcome<int> print_network_footprint(const FootprintOptions& options) {
    const auto input = read_input(options.input);
    if (!input) return tl::unexpected(input.error());
    const auto shape = read_layers("--layers", *input, options.tokens, options.layers, 0);
    if (!shape) return tl::unexpected(shape.error());
    return print(footprint(*shape, !options.runs_only), options.json);
}

Outcome<int> print_footprint(const FootprintOptions& options) {
    if (!options.layers.empty()) return print_network_footprint(options);
    DeviceSettings device = options.device;
    device.method = options.one_body                ? DeviceMethod::one_body
                    : options.method == "pars-push" ? DeviceMethod::pars_push
                                                    : DeviceMethod::adapt;
    if (options.one_body && options.cells) return refuse("--cells: with --one-body there is no grid");
    if (options.neighbours && device.method != DeviceMethod::pars_push)
        return refuse("--neighbours: an option of --method pars-push; a board that adapts alone has none");
    if (device.trajectories < 2 && !options.one_body)
        return refuse("--trajectories 1: a batch has at least 2; one life at a time is lived with --one-body");
    if (options.cells && options.one_hot && options.inputs && *options.cells != *options.inputs) {
        return refuse(fmt::format("--cells {}: with --one-hot every cell is an input, and --inputs is {}",
                                  *options.cells, *options.inputs));
    }
    const int inputs = options.inputs.value_or(options.one_hot && options.cells ? *options.cells : 2);
    if (options.neighbours) device.neighbours = *options.neighbours;
    if (options.cells) device.cells = *options.cells;
    const bool table_policy = options.one_hot && options.hidden.empty();
    const Result<MlpShape> shape = MlpShape::make(
        inputs, options.hidden, options.outputs, options.activation == "relu" ? Activation::relu : Activation::tanh,
        options.one_hot, !table_policy);
    if (!shape) return refuse(shape.error(), "--hidden, --inputs, --outputs");
    if (options.outputs != 5 && !options.one_body)
        return refuse("--outputs: a device navigates on a grid, by five actions; others are for --one-body");
    if (options.one_hot) device.cells = inputs;
    device.shape = *shape;
    return print(footprint(device), options.json);
}

}  // namespace

void add_footprint(CLI::App& program, Command& run) {
    auto options = std::make_shared<FootprintOptions>();
    CLI::App* command = program.add_subcommand(
        "footprint", "Tell the flash and RAM that a learner takes on a microcontroller, before anyone buys one");
    CLI::Option* const hidden =
        command->add_option("--hidden", options->hidden, "widths of the hidden layers; default: 64,64")
            ->delimiter(',')
            ->check(CLI::Range(1, 4096));
    CLI::Option* const table = command->add_flag_callback(
        "--table", [options] { options->hidden.clear(); }, "no hidden layers");
    table->excludes(hidden);
    CLI::Option* const layers =
        command
            ->add_option("--layers", options->layers,
                         "instead of a policy, a network of layers, as docs/networks.md has them")
            ->delimiter(',')
            ->excludes(hidden)
            ->excludes(table);
    CLI::Option* const input =
        command
            ->add_option("--input", options->input,
                         "what comes into --layers: 20x20x1, 20x3 for steps of numbers, or 13")
            ->needs(layers);
    layers->needs(input);
    command->add_flag("--tokens", options->tokens, "what comes in are tokens, such as 20x64: 20 of 64 kinds")
        ->needs(layers);
    command->add_flag("--run-only", options->runs_only, "the network runs there and is not trained")->needs(layers);
    command->add_option("--inputs", options->inputs, "of the policy: 2 coordinates, or with --one-hot the cells")
        ->check(CLI::Range(1, 65536));
    command->add_option("--outputs", options->outputs, "actions: 5, or any number with --one-body")
        ->check(CLI::Range(1, 4096));
    command->add_flag("--one-hot", options->one_hot, "the input is the number of a cell");
    command->add_option("--activation", options->activation, "of the hidden layers: relu or tanh")
        ->check(CLI::IsMember({"relu", "tanh"}))
        ->excludes(table);
    CLI::Option* const one_body = command->add_flag(
        "--one-body", options->one_body,
        "a learner with one real body, step by step: --trajectories lives of --horizon steps an update");
    command
        ->add_option("--method", options->method,
                     "adapt (MEMRL's inner loop) or pars-push (a node of a fleet behind a "
                     "serial line); default: adapt")
        ->check(CLI::IsMember({"adapt", "pars-push"}))
        ->excludes(one_body);
    command->add_option("--neighbours", options->neighbours, "that send to a node of PARS-Push; default: 3")
        ->check(CLI::Range(1, 1000));
    command->add_option("--cells", options->cells, "of the grid; default: 49, or --inputs with --one-hot")
        ->check(CLI::Range(2, 65536));
    command->add_option("--trajectories", options->device.trajectories, "in a batch; default: 48")
        ->check(CLI::Range(1, 100000));
    command->add_option("--horizon", options->device.horizon, "steps of a trajectory; default: 30")
        ->check(CLI::Range(1, grid_horizon_limit));
    command->add_flag("--json", options->json, "print JSON on stdout instead of a table");
    command->footer(
        "Measured on a Cortex-M4F; scripts/firmware.sh holds it against real images.\n"
        "Example:\n  dunlin footprint --hidden 64,64 --inputs 2 --outputs 5 --method pars-push "
        "--neighbours 3\n"
        "  dunlin footprint --input 20x20x1 --layers \"conv 3x3 8 stride=2 relu,depthwise 3x3,global-average,dense "
        "10\"\n");
    command->callback([options, &run] { run = [options] { return print_footprint(*options); }; });
}

}  // namespace dunlin::app

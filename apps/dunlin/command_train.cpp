// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/kinds.hpp"

#include <fstream>
#include <iterator>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct TrainOptions {
    TrainRequest request;
    std::string out;
    std::string resume;
};

/// runs/NAME, or the next of runs/NAME-2, runs/NAME-3, ... that is free.
std::filesystem::path free_directory(const std::string& name) {
    std::error_code ignored;
    std::filesystem::path path = std::filesystem::path("runs") / name;
    for (int k = 2; std::filesystem::exists(path, ignored); ++k) {
        path = std::filesystem::path("runs") / fmt::format("{}-{}", name, k);
    }
    return path;
}

Outcome<int> train(const TrainOptions& options) {
    TrainRequest request = options.request;
    if (!options.resume.empty()) {
        request.resume = true;
        request.directory = options.resume;
        const std::filesystem::path path = request.directory / "config.toml";
        std::ifstream in(path, std::ios::binary);
        if (!in)
            return problem(fmt::format(
                "{}: not a run directory (no config.toml); expected what `dunlin train` wrote", options.resume));
        const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        const Outcome<const Kind*> kind = kind_of(text, path.string());
        if (!kind) return tl::unexpected(kind.error());
        return (*kind)->train(request);
    }
    if (request.experiment.empty()) {
        return problem("train: name an experiment (`dunlin list` shows them), or give --resume DIR");
    }
    request.directory =
        options.out.empty() ? free_directory(request.experiment) : std::filesystem::path(options.out);
    const Experiment* experiment = find_experiment(request.experiment);
    const Outcome<const Kind*> kind = kind_of(experiment == nullptr ? "" : experiment->toml, request.experiment);
    if (!kind) return tl::unexpected(kind.error());
    return (*kind)->train(request);
}

}  // namespace

void add_train(CLI::App& program, Command& run) {
    auto options = std::make_shared<TrainOptions>();
    TrainRequest& request = options->request;
    CLI::App* command =
        program.add_subcommand("train", "Train an experiment and write a run directory with its report");
    command->add_option("experiment", request.experiment, "name of a ready-made experiment (`dunlin list`)");
    command->add_option("--config", request.config, "TOML file with settings over those of the experiment");
    command->add_option("--set", request.assignments, "KEY=VALUE over the files; may be given many times")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option("--method", request.method, "the method to train with");
    command->add_option_function<std::uint64_t>(
        "--seed", [&request](std::uint64_t value) { request.seed = value; }, "all randomness comes from it");
    command->add_option("--threads", request.threads, "threads; the numbers do not depend on it")
        ->check(CLI::Range(1, 1024));
    command->add_option("--out", options->out, "run directory; default: the next free runs/EXPERIMENT");
    command->add_option("--resume", options->resume,
                        "go on with the run in this directory; ends with the numbers of an uninterrupted run");
    command->add_flag("--json", request.json, "print summary.json on stdout instead of a table");
    command->add_flag("--quiet", request.quiet, "no progress line");
    command->footer([] {
        std::string text;
        for (const Kind& kind : kinds()) {
            text += fmt::format("Settings of {} experiments (--set KEY=VALUE):\n{}\n", kind.name, kind.help());
        }
        return text + "Example:\n  dunlin train navigation --seed 3 --set rl.prox_weight=0.03 --out runs/third\n";
    });
    command->callback([options, &run] { run = [options] { return train(*options); }; });
}

}  // namespace dunlin::app

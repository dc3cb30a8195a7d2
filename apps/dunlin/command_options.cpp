// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "training/host/plain_text.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {

void add_request_options(CLI::App& command, TrainRequest& request) {
    command.add_option("experiment", request.experiment,
                       "name of a ready-made experiment (`dunlin list`); may be left out with --config");
    command.add_option(
        "--config", request.config,
        "TOML file with settings over those of the experiment; alone it says all, as the config.toml of a run");
    command.add_option("--set", request.assignments, "KEY=VALUE over the files; may be given many times")
        ->allow_extra_args(false)
        ->take_all();
    command.add_option_function<std::uint64_t>(
        "--seed", [&request](std::uint64_t value) { request.seed = value; },
        "all randomness comes from it; of several runs, the first one's");
    command.add_flag("--json", request.json, "print JSON on stdout instead of a table");
    command.add_flag("--quiet", request.quiet, "print the result and errors only: no progress, no hints");
}

Outcome<DirectoryLock> run_directory(const TrainRequest& request, const std::string& directory,
                                     const std::string& prefix) {
    if (!directory.empty()) return DirectoryLock::make(directory);
    std::string name = request.experiment;
    if (name.empty()) {
        const Outcome<std::string> text = read_text(request.config);
        if (text) name = top_level_value(*text, "experiment");
        if (name.empty()) name = std::filesystem::path(request.config).stem().string();
        for (char& c : name) c = c == '/' ? '-' : c;
        if (name.starts_with('.')) name.insert(0, "run");
    }
    return DirectoryLock::make_next("runs", prefix + name);
}

std::string settings_help(const std::string& command, const std::string& experiment, const std::string& file) {
    std::string name = experiment, toml;
    if (const Experiment* known = find_experiment(experiment)) {
        toml = known->toml;
    } else if (experiment.empty() || experiment == file) {
        if (auto text = read_text(file)) toml = *std::move(text);
        name = file;
    }
    if (toml.empty()) {
        std::string text =
            fmt::format("Settings: `dunlin {} EXPERIMENT --help` shows an experiment's. Experiments:\n", command);
        for (const Experiment& one : experiments()) text += fmt::format("  {:<28} {}\n", one.name, one.summary());
        return name.empty() ? text : fmt::format("There is no experiment \"{}\".\n{}", shown(name, false), text);
    }
    const Outcome<const Kind*> kind = kind_of(toml, name);
    if (!kind) return kind.error().text + "\n";
    return fmt::format("Settings of {}, a {} experiment (--set KEY=VALUE):\n{}", shown(name, false), (*kind)->name,
                       (*kind)->help(toml));
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"

#include "apps/dunlin/experiments.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {

void add_request_options(CLI::App& command, TrainRequest& request) {
    command.add_option("experiment", request.experiment, "name of a ready-made experiment (`dunlin list`)");
    command.add_option("--config", request.config, "TOML file with settings over those of the experiment");
    command.add_option("--set", request.assignments, "KEY=VALUE over the files; may be given many times")
        ->allow_extra_args(false)
        ->take_all();
    command.add_option_function<std::uint64_t>(
        "--seed", [&request](std::uint64_t value) { request.seed = value; },
        "all randomness comes from it; of several runs, the first one's");
    command.add_flag("--json", request.json, "print JSON on stdout instead of a table");
    command.add_flag("--quiet", request.quiet, "no progress line");
}

std::filesystem::path free_directory(const std::string& name) {
    std::error_code ignored;
    std::filesystem::path path = std::filesystem::path("runs") / name;
    for (int k = 2; std::filesystem::exists(path, ignored); ++k) {
        path = std::filesystem::path("runs") / fmt::format("{}-{}", name, k);
    }
    return path;
}

std::string settings_help() {
    std::string text;
    for (const Kind& kind : kinds()) {
        text += fmt::format("Settings of {} experiments (--set KEY=VALUE):\n{}\n", kind.name, kind.help());
    }
    return text;
}

Outcome<const Kind*> kind_of_experiment(const std::string& name) {
    const Experiment* experiment = find_experiment(name);
    return kind_of(experiment == nullptr ? "" : experiment->toml, name);
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/ranks.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "training/host/shell_text.hpp"

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

Outcome<int> train(const TrainOptions& options) {
    TrainRequest request = options.request;
    if (const int processes = started_together(); processes > 1)
        return refuse(
            fmt::format("train: started as one of {} processes, but a run is made by one; `dunlin compare` "
                        "and `dunlin sweep` spread many runs over them",
                        processes));
    if (!options.resume.empty()) {
        request.resume = true;
        request.directory = options.resume;
        std::error_code ignored;
        if (std::filesystem::exists(request.directory / "plan.json", ignored)) {
            return refuse(fmt::format("{}: a comparison; go on with it by `dunlin compare --resume {}`",
                                      options.resume, shell_path(request.directory)));
        }
        const std::filesystem::path path = request.directory / "config.toml";
        const Outcome<std::string> text = read_text(path);
        if (!text)
            return refuse(fmt::format(
                "{}: not a run directory (no config.toml); expected what `dunlin train` wrote", options.resume));
        const Outcome<const Kind*> kind = kind_of(*text, path.string());
        if (!kind) return tl::unexpected(kind.error());
        const Outcome<DirectoryLock> lock = run_directory(request, options.resume);
        if (!lock) return tl::unexpected(lock.error());
        return (*kind)->train(request);
    }
    if (request.experiment.empty() && request.config.empty()) {
        return refuse(
            "train: name an experiment (`dunlin list` shows them), or give --config FILE or --resume DIR");
    }
    const Outcome<const Kind*> kind = kind_of(request);
    if (!kind) return tl::unexpected(kind.error());
    const Outcome<DirectoryLock> lock = run_directory(request, options.out);
    if (!lock) return tl::unexpected(lock.error());
    request.directory = lock->path();
    return (*kind)->train(request);
}

}  // namespace

void add_train(CLI::App& program, Command& run) {
    auto options = std::make_shared<TrainOptions>();
    TrainRequest& request = options->request;
    CLI::App* command =
        program.add_subcommand("train", "Train an experiment and write a run directory with its report");
    add_request_options(*command, request);
    command->add_option("--method", request.method, "the method to train with");
    command->add_option("--threads", request.threads, "threads; the numbers do not depend on it")
        ->check(CLI::Range(1, 1024));
    command->add_option("--out", options->out, "run directory; default: the next free runs/EXPERIMENT");
    CLI::Option* resume = command->add_option(
        "--resume", options->resume,
        "go on with the run in this directory; ends with the numbers of an uninterrupted run. With "
        "--set a run that has ended becomes longer");
    for (const char* fixed : {"experiment", "--config", "--seed", "--method", "--out"})
        resume->excludes(command->get_option(fixed));
    command->footer([options] {
        return settings_help("train", options->request.experiment, options->request.config) +
               "Example:\n  dunlin train navigation --seed 3 --set rl.prox_weight=0.03 --out runs/third\n";
    });
    command->callback([options, &run] { run = [options] { return train(*options); }; });
}

}  // namespace dunlin::app

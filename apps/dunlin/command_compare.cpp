// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/comparison_robustness.hpp"
#include "training/host/text_values.hpp"

#include <functional>
#include <memory>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct Options {
    ComparisonPlan plan;
    std::string methods;
    std::vector<std::string> grid;
    std::string out;
    std::string resume;
};

int all_cores() {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

CLI::App* add_comparison(CLI::App& program, const std::shared_ptr<Options>& options, const char* name,
                         const char* what) {
    ComparisonPlan& plan = options->plan;
    plan.command = name;
    plan.threads = 0;
    CLI::App* command = program.add_subcommand(name, what);
    add_request_options(*command, plan.base);
    command->add_option("--seeds", plan.seeds, "runs of each combination, by seed")->check(CLI::Range(1, 100000));
    command
        ->add_option("--threads", plan.threads,
                     "runs at a time; default: all cores, or with mpirun one on each rank")
        ->check(CLI::Range(1, 1024));
    command->add_option("--out", options->out,
                        fmt::format("directory of the results; default: the next free runs/{}-EXPERIMENT", name));
    CLI::Option* resume = command->add_option("--resume", options->resume,
                                              "go on in this directory; runs that ended are not run again");
    for (const char* fixed : {"experiment", "--config", "--set", "--seed", "--seeds", "--out"}) {
        resume->excludes(command->get_option(fixed));
    }
    return command;
}

/// `axes_of` says what is varied, or what is wrong with it: of rank 0, who alone says so.
Outcome<int> start(const Options& options,
                   const std::function<Outcome<std::vector<VariedSetting>>(const Options&)>& axes_of) {
    ComparisonPlan plan = options.plan;
    Outcome<Ranks> ranks = Ranks::join();
    if (!ranks) return tl::unexpected(ranks.error());
    if (plan.threads == 0) plan.threads = ranks->count() > 1 ? 1 : all_cores();
    if (ranks->rank() > 0) return serve_comparison(plan, *ranks);
    Outcome<std::vector<VariedSetting>> axes = axes_of(options);
    if (!axes) return tl::unexpected(axes.error());
    if (!options.resume.empty()) {
        plan.base.resume = true;
        plan.base.directory = options.resume;
        std::error_code ignored;
        if (!std::filesystem::exists(plan.base.directory / "plan.json", ignored))
            return run_comparison(std::move(plan), *ranks);
        const Outcome<DirectoryLock> lock = run_directory(plan.base, options.resume);
        if (!lock) return tl::unexpected(lock.error());
        return run_comparison(std::move(plan), *ranks);
    }
    if (plan.base.experiment.empty() && plan.base.config.empty()) {
        return refuse(
            fmt::format("{}: name an experiment (`dunlin list` shows them), or give --config FILE or --resume DIR",
                        plan.command));
    }
    const Outcome<DirectoryLock> lock = run_directory(plan.base, options.out, plan.command + "-");
    if (!lock) return tl::unexpected(lock.error());
    plan.axes = *std::move(axes);
    plan.base.directory = lock->path();
    return run_comparison(std::move(plan), *ranks);
}

Outcome<std::vector<VariedSetting>> methods_of(const Options& options) {
    return std::vector<VariedSetting>{
        {"", options.methods.empty() ? std::vector<std::string>{} : split_list(options.methods)}};
}

Outcome<std::vector<VariedSetting>> robustness_of(const Options&) {
    return robustness_axes();
}

Outcome<std::vector<VariedSetting>> grid_of(const Options& options) {
    std::vector<VariedSetting> axes;
    for (const std::string& text : options.grid) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return refuse(fmt::format(
                "--grid {}: expected KEY=VALUE,VALUE,..., for example --grid rl.prox_weight=0.01,0.03", text));
        }
        axes.push_back({text.substr(0, equals), split_list(text.substr(equals + 1))});
    }
    if (axes.empty() && options.resume.empty())
        return refuse("sweep: say what to vary, for example --grid rl.prox_weight=0.01,0.03");
    return axes;
}

}  // namespace

void add_compare(CLI::App& program, Command& run) {
    auto options = std::make_shared<Options>();
    options->plan.seeds = 10;
    CLI::App* command = add_comparison(program, options, "compare",
                                       "Compare methods over several seeds: a table, plots and a report");
    CLI::Option* methods = command->add_option(
        "--methods", options->methods, "methods, by comma; default: all of the experiment's kind (`dunlin list`)");
    CLI::Option* by_iterations = command->add_flag(
        "--by-iterations", options->plan.by_iterations,
        "train for as many iterations as settings say; else all methods of navigation train for as "
        "many environment steps as the experiment's own");
    CLI::Option* tune =
        command
            ->add_option("--tune", options->plan.tune,
                         "step sizes to try for each method, by successive halving on seeds of their "
                         "own; what that takes is told apart")
            ->check(CLI::Range(2, 1000));
    for (CLI::Option* fixed : {methods, by_iterations, tune}) command->get_option("--resume")->excludes(fixed);
    command->footer([options] {
        return settings_help("compare", options->plan.base.experiment, options->plan.base.config) +
               "Example:\n  dunlin compare navigation --methods memrl,fomaml,anil,meta-sgd --tune 8\n";
    });
    command->callback([options, &run, command, methods] {
        // What is compared there are defences: a sweep over attacks, defences and data.
        const bool robustness = options->plan.base.experiment == "robustness" && methods->count() == 0;
        if (robustness) {
            if (command->get_option("--seeds")->count() == 0) options->plan.seeds = 3;
            options->plan.command = "sweep";
        }
        run = [options, robustness] { return start(*options, robustness ? robustness_of : methods_of); };
    });
}

void add_sweep(CLI::App& program, Command& run) {
    auto options = std::make_shared<Options>();
    options->plan.seeds = 5;
    CLI::App* command = add_comparison(program, options, "sweep",
                                       "Try all combinations of settings over several seeds: a table, plots and a "
                                       "report");
    CLI::Option* grid = command
                            ->add_option("--grid", options->grid,
                                         "KEY=VALUE,VALUE,...; given several times, every combination is run")
                            ->allow_extra_args(false)
                            ->take_all();
    command->get_option("--resume")->excludes(grid);
    command->footer([options] {
        return settings_help("sweep", options->plan.base.experiment, options->plan.base.config) +
               "Example:\n  dunlin sweep navigation --grid rl.prox_weight=0.01,0.03,0.1 --grid rl.inner_steps=5,10 "
               "--seeds 5\n";
    });
    command->callback([options, &run] { run = [options] { return start(*options, grid_of); }; });
}

}  // namespace dunlin::app

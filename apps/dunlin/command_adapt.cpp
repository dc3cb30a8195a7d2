// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/adapt_supervised.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/directory_lock.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/saved_model.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/svg_plot.hpp"
#include "apps/report/table.hpp"
#include "training/navigation/meta_judgement.hpp"
#include "training/problems/problem_kinds.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

struct AdaptOptions {
    std::string directory;
    std::vector<std::string> tasks, nodes;
    std::string data;
    std::optional<int> steps;  ///< none: as many as the run's report.adaptation_steps
    std::string kernels;       ///< empty: as in training
    std::optional<int> threads;
    bool json = false;
    bool no_plot = false;
    bool quiet = false;
};

/// outcomes[task][inner step] of the tasks with these names.
struct Adaptation {
    std::vector<std::string> names;
    std::vector<bool> trained_on;  ///< whether it is a training task
    std::vector<std::vector<TaskOutcome>> outcomes;
    bool exact = false;
    std::vector<std::vector<TaskOutcome>> untrained{};  ///< the same from the policy that training began with
    std::vector<TaskOutcome> single{};                  ///< of one policy for all training tasks; may be empty
};

/// The tasks asked for; else those that the run held out; else those that it was trained on.
Outcome<Adaptation> measure(NavigationTraining& training, const AdaptOptions& options, int steps) {
    std::size_t first = 0;
    for (std::size_t k = 0; k < options.tasks.size(); ++k) {
        const Outcome<int> number = training.add_held_out(options.tasks[k]);
        if (!number) return refuse("--task: " + number.error().text);
        if (k == 0) first = static_cast<std::size_t>(*number);
    }
    const TaskSet set = training.task_names(TaskSet::held_out).empty() ? TaskSet::training : TaskSet::held_out;
    Adaptation adaptation{training.task_names(set),
                          {},
                          training.evaluate(set, steps, NavigationTraining::fresh_epoch, false),
                          training.settings().world != World::point};
    adaptation.untrained =
        training.evaluate(set, steps, NavigationTraining::fresh_epoch, false, StartPolicy::untrained);
    adaptation.single = training.best_single_policy(set);
    const auto skip = [first](auto& list) {
        list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(std::min(first, list.size())));
    };
    skip(adaptation.outcomes);
    skip(adaptation.untrained);
    skip(adaptation.single);
    if (!options.tasks.empty()) adaptation.names = options.tasks;
    for (std::size_t k = 0; k < adaptation.outcomes.size(); ++k)
        adaptation.trained_on.push_back(set == TaskSet::training ||
                                        training.trained_on(static_cast<int>(first + k)));
    return adaptation;
}

/// What tables compare: the share of the optimum, where that is known.
double value_of(const Adaptation& adaptation, const TaskOutcome& outcome) {
    return adaptation.exact ? outcome.ratio() : outcome.expected_return;
}

/// A row for every inner step of every task.
report::Table long_table(const Adaptation& adaptation) {
    report::Table table{{"task", "inner step", "return"}, {}, ""};
    if (adaptation.exact) table.header.insert(table.header.end(), {"optimum", "share", "success"});
    table.header.push_back("untrained");
    if (!adaptation.single.empty()) table.header.push_back("one policy");
    for (std::size_t task = 0; task < adaptation.names.size(); ++task) {
        for (std::size_t k = 0; k < adaptation.outcomes[task].size(); ++k) {
            const TaskOutcome& outcome = adaptation.outcomes[task][k];
            std::vector<std::string> row{k == 0 ? adaptation.names[task] : "", fmt::format("{}", k),
                                         fmt::format("{:.3f}", outcome.expected_return)};
            if (adaptation.exact) {
                for (double value : {outcome.optimal_return, outcome.ratio(), outcome.success})
                    row.push_back(fmt::format("{:.3f}", value));
            }
            row.push_back(fmt::format("{:.3f}", value_of(adaptation, adaptation.untrained[task][k])));
            if (!adaptation.single.empty())
                row.push_back(k == 0 ? fmt::format("{:.3f}", value_of(adaptation, adaptation.single[task])) : "");
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

/// A row for every inner step: the mean and the worst of many tasks.
report::Table short_table(const Adaptation& adaptation) {
    report::Table table{{"inner step", "mean return", "worst return"}, {}, ""};
    table.header.push_back("untrained");
    if (adaptation.exact)
        table.header = {"inner step",   "mean share",      "worst share",
                        "mean success", "untrained share", "untrained success"};
    for (std::size_t k = 0; k < adaptation.outcomes.front().size(); ++k) {
        double sum = 0, success = 0, worst = INFINITY;
        for (const auto& steps : adaptation.outcomes) {
            const double value = adaptation.exact ? steps[k].ratio() : steps[k].expected_return;
            sum += value;
            success += steps[k].success;
            worst = std::min(worst, value);
        }
        const auto count = static_cast<double>(adaptation.outcomes.size());
        table.rows.push_back(
            {fmt::format("{}", k), fmt::format("{:.3f}", sum / count), fmt::format("{:.3f}", worst)});
        if (adaptation.exact) table.rows.back().push_back(fmt::format("{:.3f}", success / count));
        std::vector<TaskOutcome> untrained;
        for (const auto& task : adaptation.untrained) untrained.push_back(task[k]);
        const TaskMeans base = means(untrained);
        table.rows.back().push_back(fmt::format("{:.3f}", adaptation.exact ? base.ratio : base.expected_return));
        if (adaptation.exact) table.rows.back().push_back(fmt::format("{:.3f}", base.success));
    }
    return table;
}

std::string plot(const Adaptation& adaptation) {
    report::LineChart chart;
    chart.title = "Adaptation by inner steps";
    chart.x.title = "inner steps";
    chart.x.whole = true;
    chart.y.title = adaptation.exact ? "return as a share of the optimum" : "return, sum over the horizon";
    constexpr std::size_t series_limit = 8;  // what eyes can tell apart
    const std::size_t steps = adaptation.outcomes.front().size();
    const auto value = [&](std::size_t task, std::size_t k) {
        const TaskOutcome& outcome = adaptation.outcomes[task][k];
        return adaptation.exact ? outcome.ratio() : outcome.expected_return;
    };
    if (adaptation.names.size() <= series_limit) {
        for (std::size_t task = 0; task < adaptation.names.size(); ++task) {
            report::Series series{.name = adaptation.names[task], .x = {}, .y = {}};
            for (std::size_t k = 0; k < steps; ++k) {
                series.x.push_back(static_cast<double>(k));
                series.y.push_back(value(task, k));
            }
            chart.series.push_back(std::move(series));
        }
        return report::line_chart(chart);
    }
    report::Series series{.name = "mean of the tasks", .x = {}, .y = {}};
    for (std::size_t k = 0; k < steps; ++k) {
        std::vector<double> values;
        double sum = 0;
        for (std::size_t task = 0; task < adaptation.names.size(); ++task) {
            values.push_back(value(task, k));
            sum += values.back();
        }
        series.x.push_back(static_cast<double>(k));
        series.y.push_back(sum / static_cast<double>(values.size()));
        series.low.push_back(*std::ranges::min_element(values));
        series.high.push_back(*std::ranges::max_element(values));
    }
    chart.series.push_back(std::move(series));
    chart.band_name = fmt::format("range over {} tasks", adaptation.names.size());
    return report::line_chart(chart);
}

/// Adds what the baselines reach to the JSON of a task; null where it was not measured.
void add_baselines(nlohmann::ordered_json& entry, const TaskOutcome& trained, const TaskOutcome& untrained,
                   const TaskOutcome& single) {
    entry["untrained_return"] = number_or_null(untrained.expected_return);
    entry["untrained_return_ratio"] = number_or_null(untrained.ratio());
    entry["untrained_success"] = number_or_null(untrained.success);
    entry["normalised_gain"] = number_or_null(normalised_gain(trained, untrained));
    entry["single_policy_return"] = number_or_null(single.expected_return);
    entry["single_policy_return_ratio"] = number_or_null(single.ratio());
    entry["single_policy_success"] = number_or_null(single.success);
}

std::string json_text(const Adaptation& adaptation, const NavigationSettings& settings) {
    using Json = nlohmann::ordered_json;
    Json json{{"experiment", settings.experiment}, {"seed", settings.seed}, {"tasks", Json::array()}};
    for (std::size_t task = 0; task < adaptation.names.size(); ++task) {
        Json steps = Json::array();
        for (std::size_t k = 0; k < adaptation.outcomes[task].size(); ++k) {
            const TaskOutcome& outcome = adaptation.outcomes[task][k];
            Json step{{"inner_step", k},
                      {"return", number_or_null(outcome.expected_return)},
                      {"optimal_return", number_or_null(outcome.optimal_return)},
                      {"return_ratio", number_or_null(outcome.ratio())},
                      {"success", number_or_null(outcome.success)}};
            add_baselines(step, outcome, adaptation.untrained[task][k],
                          adaptation.single.empty() ? TaskOutcome{} : adaptation.single[task]);
            steps.push_back(std::move(step));
        }
        json["tasks"].push_back({{"name", adaptation.names[task]},
                                 {"trained_on", bool(adaptation.trained_on[task])},
                                 {"steps", steps}});
    }
    return json.dump(2) + "\n";
}

/// Where an untrained policy adapts better, in a sentence.
std::string harm_of(const Adaptation& adaptation, const NavigationSettings& settings) {
    MetaJudgement judged;
    judged.held_out = adaptation.outcomes;
    judged.held_out_untrained = adaptation.untrained;
    const std::vector<std::string> sentences = harms(settings, judged);
    return sentences.empty() ? std::string() : sentences.front();
}

Outcome<int> adapt(const AdaptOptions& options) {
    const Outcome<SavedModel> saved = open_model(options.directory);
    if (!saved) return tl::unexpected(saved.error());
    // A policy of a registered problem adapts as its other models do, but on a grid as in one process.
    const bool on_grid =
        saved->kind == nullptr || saved->kind->name == "navigation" || saved->kind->name == "fleet-navigation";
    if (!saved->model.navigates() || (!on_grid && find_problem(saved->kind->name) != nullptr)) {
        const struct {
            const char* option;
            bool given;
        } others[] = {{"--task", !options.tasks.empty()},
                      {"--kernels", !options.kernels.empty()},
                      {"--threads", options.threads.has_value()}};
        for (const auto& other : others) {
            if (other.given)
                return refuse(fmt::format("{}: an option for navigation; this is a model of {}", other.option,
                                          saved->model.task.empty() ? "another task" : saved->model.task));
        }
        return adapt_supervised(*saved, {options.nodes, options.steps, options.json, options.quiet, options.data});
    }
    if (!options.data.empty()) return refuse("--data: navigation has no data; name tasks with --task");
    if (!options.nodes.empty())
        return refuse(
            "--node: navigation adapts to tasks; name them with --task, or leave it out for all of the run");
    const Outcome<std::unique_ptr<NavigationTraining>> training =
        open_navigation(*saved, options.threads.value_or(1), options.kernels);
    if (!training) return tl::unexpected(training.error());
    const NavigationSettings& settings = (*training)->settings();
    const int steps = options.steps.value_or(settings.adaptation_steps);
    const Outcome<Adaptation> adaptation = measure(**training, options, steps);
    if (!adaptation) return tl::unexpected(adaptation.error());

    if (!options.no_plot) {
        const Outcome<DirectoryLock> lock = DirectoryLock::wait_for(saved->folder);
        if (!lock) return refuse(lock.error().text + ", or use --no-plot");
        const std::filesystem::path path = lock->path() / "adapt.svg";
        if (Result<void> written = report::write_file(path, plot(*adaptation)); !written)
            return refuse(describe(written.error(), path.string()).text + ", or use --no-plot");
        tell(options.quiet, fmt::format("plot: {}", path.string()));
    }
    for (std::size_t k = 0; k < options.tasks.size(); ++k) {
        if (adaptation->trained_on[k])
            note("note: {} is a task that the policy was trained on\n", options.tasks[k]);
    }
    if (const std::string harm = harm_of(*adaptation, settings); !harm.empty())
        tell(options.quiet, "warning: " + harm);
    constexpr std::size_t long_limit = 4;
    if (options.json)
        say("{}", json_text(*adaptation, settings));
    else
        say("{}", report::text_table(adaptation->names.size() <= long_limit ? long_table(*adaptation)
                                                                            : short_table(*adaptation)));
    return 0;
}

}  // namespace

void add_adapt(CLI::App& program, Command& run) {
    auto options = std::make_shared<AdaptOptions>();
    CLI::App* command = program.add_subcommand(
        "adapt", "Take a run's model to tasks or to nodes' own rows, and show what that gives");
    command
        ->add_option("run", options->directory,
                     "directory that `dunlin train` wrote, or a file of `dunlin fleet pull`")
        ->required();
    command
        ->add_option("--task", options->tasks,
                     "\"goal=ROW,COLUMN\", or \"goal=X,Y\" in the point world; with ';' also wind=P, slip=P, "
                     "moves=0,1,2,3,4; of rule worlds \"number=N\" and seed=S. May be given many times; default: "
                     "the run's held-out or training tasks")
        ->allow_extra_args(false)
        ->take_all();
    command
        ->add_option(
            "--node", options->nodes,
            "of other runs than navigation: a node, by name or number, that makes the model its own on its "
            "rows. May be given many times; default: all")
        ->allow_extra_args(false)
        ->take_all();
    command
        ->add_option("--data", options->data,
                     "of a model that nodes learned from data of their own: a file or folder of such data, which "
                     "makes the model its own as a node does")
        ->check(CLI::ExistingPath);
    command
        ->add_option("--steps", options->steps,
                     "steps; default: report.adaptation_steps of the run, or what its nodes take")
        ->check(CLI::Range(0, 1000));
    command->add_option(
        "--kernels", options->kernels,
        "fast, reference (the numbers of a board, to the bit) or a set by its name; default: the run's");
    command->add_option("--threads", options->threads, "threads; the numbers do not depend on it")
        ->check(CLI::Range(1, 1024));
    command->add_flag("--json", options->json, "print JSON on stdout instead of a table");
    command->add_flag("--no-plot", options->no_plot,
                      "of navigation: do not write adapt.svg into the run directory");
    command->add_flag("--quiet", options->quiet, "print the result and errors only");
    command->footer(
        "Example:\n  dunlin adapt runs/navigation --task 'goal=3,4' --task 'goal=5,5;wind=0.1'\n  "
        "dunlin adapt runs/activity --node 3\n");
    command->callback([options, &run] { run = [options] { return adapt(*options); }; });
}

}  // namespace dunlin::app

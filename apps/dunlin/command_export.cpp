// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/directory_lock.hpp"
#include "apps/dunlin/navigation_run.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/table.hpp"
#include "envs/navigation_tasks.hpp"
#include "fleet/policy_export.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct ExportOptions {
    std::string directory;
    std::string out;
    bool trajectories = false;
    std::string format;
    std::string task;
    bool quiet = false;
    std::optional<int> count;
    std::optional<int> steps;  ///< none: as many as in training, or for a board as report.adaptation_steps says
};

using Files = std::vector<std::pair<std::string, std::string>>;

/// All of one export: another that writes here waits.
Outcome<int> write_files(const std::filesystem::path& out, const Files& files, bool quiet) {
    if (Result<void> made = report::prepare_directory(out); !made) return problem(made.error(), out.string());
    const Outcome<DirectoryLock> lock = DirectoryLock::wait_for(out);
    if (!lock) return tl::unexpected(lock.error());
    for (const auto& [name, bytes] : files) {
        if (Result<void> written = report::write_file(out / name, bytes); !written)
            return problem(written.error(), (out / name).string());
        if (!quiet) fmt::print("{}\n", (out / name).string());
    }
    return 0;
}

std::string trajectories_csv(const std::vector<TaskRecord>& records, bool grid) {
    std::string out = grid ? "task,trajectory,step,row,column,action,reward\n"
                           : "task,trajectory,step,x,y,action_x,action_y,reward\n";
    for (const TaskRecord& record : records) {
        const std::string task = report::csv_field(record.name);
        for (std::size_t t = 0; t < record.trajectories.size(); ++t) {
            const RecordedTrajectory& trajectory = record.trajectories[t];
            for (std::size_t h = 0; h < trajectory.positions.size(); ++h) {
                const auto [first, second] = trajectory.positions[h];
                out += fmt::format("{},{},{},{},{},", task, t, h, static_cast<float>(first),
                                   static_cast<float>(second));
                const bool last = h == trajectory.actions.size();  // where it ended, nothing was done
                if (grid)
                    out += last ? "," : fmt::format("{},{}", trajectory.actions[h][0], trajectory.rewards[h]);
                else
                    out += last ? ",,"
                                : fmt::format("{},{},{}", trajectory.actions[h][0], trajectory.actions[h][1],
                                              trajectory.rewards[h]);
                out += '\n';
            }
        }
    }
    return out;
}

/// Arrays over [trajectory][step], padded behind each trajectory's length: positions repeat the last one, actions
/// are -1 (grid) or 0, rewards 0.
Result<Files> trajectories_npy(const std::vector<TaskRecord>& records, bool grid) {
    std::size_t count = 0, longest = 0;
    for (const TaskRecord& record : records) {
        count += record.trajectories.size();
        for (const RecordedTrajectory& trajectory : record.trajectories)
            longest = std::max(longest, trajectory.actions.size());
    }
    std::vector<float> positions, vectors, rewards;
    std::vector<std::int32_t> moves, lengths, tasks;
    for (std::size_t task = 0; task < records.size(); ++task) {
        for (const RecordedTrajectory& trajectory : records[task].trajectories) {
            const std::size_t length = trajectory.actions.size();
            tasks.push_back(static_cast<std::int32_t>(task));
            lengths.push_back(static_cast<std::int32_t>(length));
            for (std::size_t h = 0; h <= longest; ++h) {
                for (double coordinate : trajectory.positions[std::min(h, length)])
                    positions.push_back(static_cast<float>(coordinate));
            }
            for (std::size_t h = 0; h < longest; ++h) {
                const bool padding = h >= length;
                moves.push_back(padding ? -1 : static_cast<std::int32_t>(trajectory.actions[h][0]));
                for (std::size_t k = 0; k < 2; ++k) vectors.push_back(padding ? 0.0f : trajectory.actions[h][k]);
                rewards.push_back(padding ? 0.0f : trajectory.rewards[h]);
            }
        }
    }
    using Shape = std::vector<std::size_t>;
    const std::pair<std::string, Result<std::string>> arrays[] = {
        {"positions.npy", report::npy_bytes(positions, Shape{count, longest + 1, 2})},
        {"actions.npy", grid ? report::npy_bytes(moves, Shape{count, longest})
                             : report::npy_bytes(vectors, Shape{count, longest, 2})},
        {"rewards.npy", report::npy_bytes(rewards, Shape{count, longest})},
        {"lengths.npy", report::npy_bytes(lengths, Shape{count})},
        {"tasks.npy", report::npy_bytes(tasks, Shape{count})}};
    Files files;
    for (const auto& [name, bytes] : arrays) {
        if (!bytes) return tl::unexpected(bytes.error());
        files.emplace_back(name, *bytes);
    }
    return files;
}

Outcome<int> export_trajectories(const ExportOptions& options) {
    const Outcome<std::unique_ptr<NavigationTraining>> training = open_run(options.directory, 1);
    if (!training) return tl::unexpected(training.error());
    const int steps = options.steps.value_or((*training)->training_steps());
    const int count = options.count.value_or(10);
    std::vector<TaskRecord> records = (*training)->record(TaskSet::training, steps, count);
    for (TaskRecord& record : (*training)->record(TaskSet::held_out, steps, count)) {
        record.name = "held-out " + record.name;
        records.push_back(std::move(record));
    }
    const bool grid = (*training)->settings().world == World::grid;
    std::filesystem::path out = options.out;
    if (out.empty()) out = folder_of_run(options.directory) / "trajectories";
    Result<Files> files = trajectories_npy(records, grid);
    if (!files) return problem(files.error(), options.directory);
    files->emplace_back("trajectories.csv", trajectories_csv(records, grid));
    return write_files(out, *files, options.quiet);
}

/// The task that a board is to adapt to: the one described, or else the first that the run held out.
Outcome<BoardTask> board_task(NavigationTraining& training, const ExportOptions& options) {
    int number = 0;
    if (!options.task.empty()) {
        const Outcome<int> added = training.add_held_out(options.task);
        if (!added) return problem("--task: " + added.error().text);
        number = *added;
    }
    const TaskSet set = training.task_names(TaskSet::held_out).empty() ? TaskSet::training : TaskSet::held_out;
    const GridTask* task = training.grid_task(set, number);
    if (task == nullptr) return problem("export: a board navigates on a grid, and this run's world is the plane");
    const NavigationSettings& settings = training.settings();
    return BoardTask{.map = task->map(),
                     .settings = task->settings(),
                     .adaptation = settings.meta.adaptation(),
                     .rollout = settings.rollout,
                     .steps = options.steps.value_or(settings.adaptation_steps),
                     .seed = settings.seed,
                     .number = static_cast<std::uint32_t>(number),
                     .epoch = NavigationTraining::fresh_epoch};
}

Outcome<Files> policy_files(const ExportOptions& options) {
    const Outcome<PolicyFile> policy = read_policy(options.directory);
    if (!policy) return tl::unexpected(policy.error());
    if (options.format == "c")
        return Files{{"policy.h", policy_c_header(*policy)}, {"policy.c", policy_c_source(*policy)}};
    if (options.format == "onnx") return Files{{"policy.onnx", policy_onnx(*policy)}};
    const Outcome<std::unique_ptr<NavigationTraining>> training = open_run(options.directory, 1);
    if (!training) return tl::unexpected(training.error());
    const Outcome<BoardTask> task = board_task(**training, options);
    if (!task) return tl::unexpected(task.error());
    Outcome<std::string> header = policy_header(*policy, *task);
    if (!header) return tl::unexpected(header.error());
    return Files{{"policy.hpp", *std::move(header)}};
}

Outcome<int> export_policy(const ExportOptions& options) {
    const Outcome<Files> files = policy_files(options);
    if (!files) return tl::unexpected(files.error());
    const std::filesystem::path out =
        options.out.empty() ? folder_of_run(options.directory) : std::filesystem::path(options.out);
    return write_files(out, *files, options.quiet);
}

/// Nothing, or an option that what is exported has no use for: it would do nothing, without a word.
Outcome<void> check_options(const ExportOptions& options) {
    const bool header = options.format == "header";
    const struct {
        const char* option;
        bool given, used;
        const char* of;
    } uses[] = {{"--task", !options.task.empty(), header, "--format header, whose board has a task"},
                {"--steps", options.steps.has_value(), header || options.trajectories,
                 "--trajectories and --format header, which adapt"},
                {"--count", options.count.has_value(), options.trajectories, "--trajectories"}};
    const std::string what = options.trajectories ? "--trajectories" : "--format " + options.format;
    for (const auto& use : uses) {
        if (use.given && !use.used)
            return problem(
                fmt::format("{}: {} has no use for it; it is an option of {}", use.option, what, use.of));
    }
    return {};
}

Outcome<int> export_run(const ExportOptions& options) {
    if (options.trajectories == !options.format.empty())
        return problem("export: say what to export: --trajectories, or --format header, c or onnx");
    if (auto fit = check_options(options); !fit) return tl::unexpected(fit.error());
    return options.trajectories ? export_trajectories(options) : export_policy(options);
}

}  // namespace

void add_export(CLI::App& program, Command& run) {
    auto options = std::make_shared<ExportOptions>();
    CLI::App* command = program.add_subcommand("export", "Write a run's results as files for other programs");
    command
        ->add_option("run", options->directory,
                     "directory that `dunlin train` wrote, or policy.dunlin of `dunlin fleet pull`")
        ->required();
    command->add_flag("--trajectories", options->trajectories,
                      "trajectories of the adapted policies on every task, as CSV and NumPy files");
    command
        ->add_option(
            "--format", options->format,
            "the policy: header (policy.hpp: C++ for a board that adapts it), c (policy.h and policy.c: C99 "
            "that evaluates it) or onnx (policy.onnx, opset 13)")
        ->check(CLI::IsMember({"header", "c", "onnx"}));
    command->add_option("--task", options->task,
                        "the board's task, as for `dunlin adapt`; default: the first that the run held out");
    command->add_option("--count", options->count, "trajectories of each task; default: 10")
        ->check(CLI::Range(1, 100000));
    command
        ->add_option("--steps", options->steps,
                     "inner steps before them; default: as in training; of a board: report.adaptation_steps")
        ->check(CLI::Range(0, 1000));
    command->add_option("--out", options->out,
                        "directory for the files; default: RUN/trajectories, or RUN for a policy");
    command->add_flag("--quiet", options->quiet, "do not list the files");
    command->footer(
        "Example:\n  dunlin export runs/navigation --trajectories --count 100\n"
        "  dunlin export runs/navigation --format c --out firmware\n");
    command->callback([options, &run] { run = [options] { return export_run(*options); }; });
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/board_export.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/directory_lock.hpp"
#include "apps/dunlin/run_curves.hpp"
#include "apps/dunlin/samples_export.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/table.hpp"
#include "training/models/model_export.hpp"
#include "training/navigation/navigation_model.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
namespace dunlin::app {
namespace {

/// All of one export: another that writes here waits.
Outcome<int> write_files(const std::filesystem::path& out, const Files& files, bool quiet) {
    if (Result<void> made = report::prepare_directory(out); !made) return refuse(made.error(), out.string());
    const Outcome<DirectoryLock> lock = DirectoryLock::wait_for(out);
    if (!lock) return tl::unexpected(lock.error());
    for (const auto& [name, bytes] : files) {
        const std::filesystem::path folder = (out / name).parent_path();
        if (Result<void> made = report::prepare_directory(folder); !made)
            return refuse(made.error(), folder.string());
        if (Result<void> written = report::write_file(out / name, bytes); !written)
            return refuse(written.error(), (out / name).string());
        if (!quiet) say("{}\n", (out / name).string());
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

Outcome<int> export_trajectories(const ExportOptions& options, const SavedModel& saved) {
    const Outcome<std::unique_ptr<NavigationTraining>> training = open_navigation(saved, 1);
    if (!training) return tl::unexpected(training.error());
    const int steps = options.steps.value_or((*training)->training_steps());
    const int count = options.count.value_or(10);
    std::vector<TaskRecord> records = (*training)->record(TaskSet::training, steps, count);
    for (TaskRecord& record : (*training)->record(TaskSet::held_out, steps, count)) {
        record.name = "held-out " + record.name;
        records.push_back(std::move(record));
    }
    if ((*training)->network() != nullptr)
        return refuse("--trajectories: not of a policy with a memory, which does otherwise in every trajectory");
    const bool grid = (*training)->settings().world != World::point;
    std::filesystem::path out = options.out;
    if (out.empty()) out = saved.folder / "trajectories";
    Result<Files> files = trajectories_npy(records, grid);
    if (!files) return refuse(files.error(), options.directory);
    files->emplace_back("trajectories.csv", trajectories_csv(records, grid));
    return write_files(out, *files, options.quiet);
}

/// The model as arrays: weights and biases layer by layer, and how inputs are scaled.
struct ModelArray {
    std::string name;
    std::vector<std::size_t> shape;
    std::span<const float> numbers;
};
std::vector<ModelArray> arrays_of(const TrainedModel& model) {
    const MlpShape& shape = model.shape;
    const std::span<const float> all(model.parameters);
    std::vector<ModelArray> arrays;
    for (int n = 0; n < model.networks; ++n) {
        const std::span<const float> own = all.subspan(static_cast<std::size_t>(n) * model.network_parameters());
        const std::string of = model.networks == 1 ? "" : fmt::format("network_{}_", n);
        for (int l = 0; model.network && l < model.network->layers; ++l) {
            const std::size_t count = model.network->parameters(l);
            if (count > 0)
                arrays.push_back(
                    {fmt::format("{}layer_{}", of, l), {count}, own.subspan(model.network->weights_at(l), count)});
        }
        for (int l = 0; l < shape.layers; ++l) {
            const auto inputs = static_cast<std::size_t>(shape.fan_in(l)),
                       width = static_cast<std::size_t>(shape.width(l));
            arrays.push_back({fmt::format("{}weights_{}", of, l),
                              {inputs, width},
                              own.subspan(shape.weights_at(l), inputs * width)});
            if (shape.bias)
                arrays.push_back({fmt::format("{}bias_{}", of, l), {width}, own.subspan(shape.bias_at(l), width)});
        }
    }
    const auto outputs = static_cast<std::size_t>(model.outputs());
    if (model.gaussian())
        arrays.push_back({"log_sigma", {outputs}, all.subspan(model.network_parameters(), outputs)});
    for (const auto& [name, numbers] : {std::pair("centre", &model.centre), std::pair("scale", &model.scale),
                                        std::pair("mixture_weights", &model.weights)}) {
        if (!numbers->empty()) arrays.push_back({name, {numbers->size()}, *numbers});
    }
    return arrays;
}

Outcome<Files> array_files(const TrainedModel& model, bool npy) {
    Files files;
    std::string csv = "array,row,column,value\n";
    for (const ModelArray& array : arrays_of(model)) {
        if (npy) {
            const Result<std::string> bytes = report::npy_bytes(array.numbers, array.shape);
            if (!bytes) return refuse(bytes.error(), array.name);
            files.emplace_back(array.name + ".npy", *bytes);
            continue;
        }
        const std::size_t columns = array.shape.back();
        for (std::size_t k = 0; k < array.numbers.size(); ++k)
            csv += fmt::format("{},{},{},{}\n", array.name, k / columns, k % columns, array.numbers[k]);
    }
    if (!npy) files.emplace_back("model.csv", csv);
    return files;
}

/// Where an export goes unless --out says it.
std::filesystem::path place_of(const ExportOptions& options, const SavedModel& saved) {
    if (!options.out.empty()) return options.out;
    if (options.format == "npy") return saved.folder / "model";
    return options.format == "bundle" ? saved.folder / options.name : saved.folder;
}

Outcome<Files> model_files(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model) {
    const std::string file = !options.name.empty() ? options.name : model.navigates() ? "policy" : "model";
    const std::string prefix = options.name.empty() ? "dunlin_" + file : options.name;
    if (options.format == "npy" || options.format == "csv") return array_files(model, options.format == "npy");
    if (options.format == "c") {
        return Files{{file + ".h", model_c_header(model, prefix)},
                     {file + ".c", model_c_source(model, prefix, file + ".h")}};
    }
    if (options.format == "onnx") return Files{{file + ".onnx", model_onnx(model, options.name)}};
    if (options.format == "bundle") return bundle_files(options, saved, model, place_of(options, saved));
    Outcome<BoardHeader> header = header_of(options, saved, model);
    if (!header) return tl::unexpected(header.error());
    return Files{{file + ".hpp", std::move(header->text)}};
}

/// The shared model, or the own one of the node that --node names.
Outcome<TrainedModel> chosen(const ExportOptions& options, const SavedModel& saved) {
    if (options.node.empty()) return saved.model;
    const auto number = node_of(saved.model, options.node);
    if (!number) return tl::unexpected(number.error());
    std::optional<TrainedModel> own = saved.model.of_node(*number);
    if (own) return *std::move(own);
    return refuse(
        fmt::format("--node {}: no node's own model is in {}{}", options.node, saved.file.string(),
                    saved.model.personal_is.empty() ? "" : "; one is made so: " + saved.model.personal_is));
}

Outcome<int> export_model(const ExportOptions& options, const SavedModel& saved) {
    if (!saved.model.described()) {
        return refuse(
            fmt::format("{}: written by an older Dunlin, it holds the numbers alone and says nothing of its "
                        "network; pull or train "
                        "it again",
                        saved.file.string()));
    }
    const Outcome<TrainedModel> model = chosen(options, saved);
    if (!model) return tl::unexpected(model.error());
    if (options.format != "npy" && options.format != "csv") {
        if (const Outcome<void> single = check_memoryless(*model); !single)
            return refuse(fmt::format("--format {}: {}", options.format, single.error().text));
    }
    const Outcome<Files> files = model_files(options, saved, *model);
    if (!files) return tl::unexpected(files.error());
    const Outcome<int> written = write_files(place_of(options, saved), *files, options.quiet);
    if (!written) return written;
    if (model->format < TrainedModel::described_format)
        note("{}: written by an older Dunlin; what its inputs and actions mean is not in it\n",
             saved.file.string());
    return 0;
}

Outcome<int> export_samples(const ExportOptions& options, const SavedModel& saved) {
    Outcome<std::string> text = samples_of(options, saved);
    if (!text) return tl::unexpected(text.error());
    const std::string file = options.named ? options.name : "samples";
    return write_files(place_of(options, saved), {{file + ".hpp", *std::move(text)}}, options.quiet);
}

/// The run's numbers over time, not its model: of these formats the first alone is one of both.
bool is_metrics(const ExportOptions& options) {
    return options.format == "jsonl" || options.format == "tensorboard" ||
           (options.format == "csv" && options.metrics);
}

Outcome<int> export_metrics(const ExportOptions& options) {
    const std::filesystem::path run = options.directory;
    const Outcome<Files> files = curve_files(run, options.format);
    if (!files) return tl::unexpected(files.error());
    const std::filesystem::path usual = options.format == "tensorboard" ? run / "tensorboard" : run;
    return write_files(options.out.empty() ? usual : std::filesystem::path(options.out), *files, options.quiet);
}

/// Nothing, or an option that what is exported has no use for: it would do nothing, without a word.
Outcome<void> check_options(const ExportOptions& options) {
    const bool bundle = options.format == "bundle", header = bundle || options.format == "header",
               samples = options.format == "samples",
               coded = header || samples || options.format == "c" || options.format == "onnx";
    const struct {
        const char* option;
        bool given, used;
        const char* of;
    } uses[] = {
        {"--task", !options.task.empty(), header, "--format header and bundle, whose board has a task"},
        {"--steps", options.steps.has_value(), header || options.trajectories,
         "--trajectories and --format header and bundle, which adapt"},
        {"--one-body", options.one_body, header, "--format header and bundle"},
        {"--count", options.count.has_value(), options.trajectories || samples,
         "--trajectories and --format samples"},
        {"--metrics", options.metrics, is_metrics(options), "--format csv, jsonl and tensorboard"},
        {"--name", options.named, coded, "--format header, bundle, c, onnx and samples"},
        {"--node", !options.node.empty(), !options.trajectories && !is_metrics(options), "--format of a model"}};
    const std::string what = options.trajectories ? "--trajectories" : "--format " + options.format;
    for (const auto& use : uses) {
        if (use.given && !use.used)
            return refuse(fmt::format("{}: {} has no use for it; it is an option of {}", use.option, what, use.of));
    }
    if (bundle && !options.named)
        return refuse("--format bundle: say what the library and its model are called: --name kitchen");
    return !options.named ? Outcome<void>() : check_export_name(options.name);
}

Outcome<int> export_run(const ExportOptions& options) {
    if (options.trajectories == !options.format.empty())
        return refuse(
            "export: say what to export: --trajectories, or --format header, bundle, c, onnx, npy or csv of the "
            "model, "
            "samples of a node's own, jsonl, tensorboard or csv --metrics of the run's numbers");
    if (auto fit = check_options(options); !fit) return tl::unexpected(fit.error());
    if (is_metrics(options)) return export_metrics(options);
    const Outcome<SavedModel> saved = open_model(options.directory);
    if (!saved) return tl::unexpected(saved.error());
    if (options.format == "samples") return export_samples(options, *saved);
    return options.trajectories ? export_trajectories(options, *saved) : export_model(options, *saved);
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
                      "of navigation: trajectories of the adapted policies on every task, as CSV and NumPy files");
    command
        ->add_option(
            "--format", options->format,
            "the model: header (policy.hpp: C++ for a board that adapts it), bundle (a folder with it and all that "
            "it "
            "takes, for PlatformIO, Arduino, ESP-IDF, Zephyr, CMake and make), c (policy.h and policy.c: C99 that "
            "evaluates it), onnx (policy.onnx, opset 13), npy or csv (its numbers, layer by layer); of other runs "
            "than navigation the files are called model. Or samples (samples.hpp: labelled rows of --node, for a "
            "board "
            "without a sensor). Or what metrics.csv says: jsonl (metrics.jsonl), "
            "tensorboard "
            "(an event file) or, with --metrics, csv (metrics-long.csv, a row for each number)")
        ->check(CLI::IsMember({"header", "bundle", "c", "onnx", "npy", "csv", "samples", "jsonl", "tensorboard"}));
    command->add_flag("--metrics", options->metrics,
                      "of --format csv: the run's numbers over time, not the model's");
    command->add_option_function<std::string>(
        "--name",
        [options](const std::string& name) {
            options->name = name;
            options->named = true;
        },
        "for header, bundle, c, onnx and samples: what files, functions and the namespace are called, so that a "
        "program can "
        "hold "
        "several models; an identifier of C");
    command->add_option("--node", options->node,
                        "with --format: the own model of this node, by name or number; of samples: whose");
    command->add_option("--task", options->task,
                        "of --format header: the board's task, as for `dunlin adapt`; default: the first that the "
                        "run held out");
    command->add_flag(
        "--one-body", options->one_body,
        "of --format header and bundle: the policy for one real body, which needs no world in the board");
    command
        ->add_option("--count", options->count,
                     "of --trajectories: how many of each task, default: 10; of --format samples: rows of each "
                     "class to learn from, "
                     "default: all")
        ->check(CLI::Range(1, 100000));
    command
        ->add_option(
            "--steps", options->steps,
            "of --trajectories: inner steps before them, default: as in training; of --format header: inner "
            "steps of the board, default: report.adaptation_steps")
        ->check(CLI::Range(0, 1000));
    command->add_option("--out", options->out,
                        "directory for the files; default: RUN/trajectories, RUN/model for npy, RUN/NAME for "
                        "bundle, RUN/tensorboard, "
                        "or RUN; a bundle that is there takes a second model");
    command->add_flag("--quiet", options->quiet, "do not list the files");
    command->footer(
        "Example:\n  dunlin export runs/navigation --trajectories --count 100\n"
        "  dunlin export runs/navigation --format c --name kitchen --out firmware\n"
        "  dunlin export runs/board --format bundle --name kitchen --out kitchen\n"
        "  dunlin export runs/navigation --format tensorboard\n");
    command->callback([options, &run] { run = [options] { return export_run(*options); }; });
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/board_export.hpp"

#include "apps/dunlin/samples_export.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "envs/navigation_tasks.hpp"
#include "training/models/model_export.hpp"
#include "training/navigation/navigation_model.hpp"

#include <algorithm>
#include <iterator>
#include <memory>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

/// The task that a board is to adapt to: the one described, or else the first that the run held out.
Outcome<BoardTask> board_task(NavigationTraining& training, const ExportOptions& options) {
    int number = 0;
    if (!options.task.empty()) {
        const Outcome<int> added = training.add_held_out(options.task);
        if (!added) return refuse("--task: " + added.error().text);
        number = *added;
    }
    const TaskSet set = training.task_names(TaskSet::held_out).empty() ? TaskSet::training : TaskSet::held_out;
    const GridTask* task = training.grid_task(set, number);
    if (task == nullptr) return refuse("export: a board navigates on a grid, and this run's world is another");
    const NavigationSettings& settings = training.settings();
    if (const std::string more = beyond_plain_steps(settings); !more.empty())
        return refuse(
            fmt::format("export: this policy adapts by {}, which a board does not; adapt it here with dunlin "
                        "adapt, or export it "
                        "as C (--format c) to run as it is",
                        more));
    return BoardTask{.map = task->map(),
                     .settings = task->settings(),
                     .adaptation = settings.meta.adaptation(),
                     .rollout = settings.rollout,
                     .steps = options.steps.value_or(settings.adaptation_steps),
                     .seed = settings.seed,
                     .number = static_cast<std::uint32_t>(number),
                     .epoch = NavigationTraining::fresh_epoch};
}

/// How one body learns, as the run did: whole batches of lives, and the inner loop's step.
BoardHeader for_one_body(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model) {
    OneBodySettings body{.trajectories = 8, .horizon = 32};
    std::uint64_t seed = 1;
    if (const Outcome<NavigationSettings> settings = navigation_settings_of(saved)) {
        const MoreauEnvelope inner = settings->meta.adaptation();
        body = {.trajectories = settings->rollout.trajectories,
                .horizon = settings->horizon,
                .discount = settings->discount,
                .leave_one_out = settings->rollout.baseline != Baseline::none,
                .inner = {.prox_weight = inner.prox_weight,
                          .inner_rate = inner.inner_rate,
                          .accuracy = inner.accuracy,
                          .step_limit = 1,
                          .step_clip = inner.step_clip}};
        seed = settings->seed;
        if (const std::string more = beyond_plain_steps(*settings); !more.empty()) {
            note("{}: it was trained to adapt by {}, which a board does not: it learns by plain steps\n",
                 saved.file.string(), more);
        }
        if (settings->rollout.baseline == Baseline::linear) {
            note("{}: rl.baseline = \"linear\", which a board does not have: it learns by leave-one-out\n",
                 saved.file.string());
        }
    } else {
        note("{}: how a board is to learn is not in it: look at `body` in the header\n", saved.file.string());
    }
    return {BundleUse::body, body_header(model, body, seed, options.name)};
}

}  // namespace

Outcome<BoardHeader> header_of(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model) {
    const bool acts = model.navigates() && !model.network, plane = acts && model.gaussian();
    if (options.one_body && !acts)
        return refuse("--one-body: for policies that are perceptrons; this is a model of " + model.task);
    const bool grid = acts && !plane && !options.one_body;
    if (!grid && (!options.task.empty() || options.steps)) {
        return refuse(
            "--task, --steps: for a policy that a board adapts on a grid; this goes out by itself, without them");
    }
    const auto with = [](BundleUse use, Outcome<std::string> text) -> Outcome<BoardHeader> {
        if (!text) return tl::unexpected(text.error());
        return BoardHeader{use, *std::move(text)};
    };
    if (model.network) return with(BundleUse::network, network_header(model, options.name, learning_of(saved)));
    if (!acts) return with(BundleUse::samples, sample_header(model, options.name, learning_of(saved)));
    if (!grid) return for_one_body(options, saved, model);
    const Outcome<std::unique_ptr<NavigationTraining>> training = open_navigation(saved, 1);
    if (!training) return tl::unexpected(training.error());
    const Outcome<BoardTask> task = board_task(**training, options);
    if (!task) return tl::unexpected(task.error());
    return with(BundleUse::grid, model_header(model, *task, options.name));
}

Outcome<Files> bundle_files(const ExportOptions& options, const SavedModel& saved, const TrainedModel& model,
                            const std::filesystem::path& out) {
    const Outcome<BoardHeader> header = header_of(options, saved, model);
    if (!header) return tl::unexpected(header.error());
    Outcome<Bundle> bundle = make_bundle(model, header->use, header->text, options.name, DUNLIN_VERSION);
    if (!bundle) return tl::unexpected(bundle.error());
    std::error_code none;
    const bool another = std::filesystem::exists(out / "library.json", none);
    Files files = std::move(bundle->own);
    for (auto& [name, bytes] : bundle->sources) {
        if (another && std::filesystem::exists(out / name, none)) {
            const Result<std::string> there = report::read_file(out / name);
            if (!there) return refuse(there.error(), (out / name).string());
            if (*there != bytes) {
                return refuse(fmt::format(
                    "--out {}: the bundle there was made by another Dunlin, {} differs; export all of its models "
                    "anew into an empty folder",
                    out.string(), name));
            }
        }
        files.emplace_back(std::move(name), std::move(bytes));
    }
    if (!another) std::ranges::move(bundle->manifests, std::back_inserter(files));
    return files;
}

}  // namespace dunlin::app

// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/navigation_run.hpp"

#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/navigation_baselines.hpp"
#include "apps/dunlin/navigation_metrics.hpp"
#include "apps/dunlin/navigation_report.hpp"
#include "apps/dunlin/patience.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_record.hpp"
#include "apps/report/run_files.hpp"
#include "training/navigation/checkpoint_file.hpp"
#include "training/navigation/navigation_model.hpp"

#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string progress_line(const NavigationResult& result, double elapsed_s) {
    const NavigationSettings& settings = result.settings;
    const bool by_steps = settings.environment_steps > 0;
    const auto done = static_cast<double>(by_steps ? result.environment_steps : result.iteration),
               all = static_cast<double>(by_steps ? settings.environment_steps : settings.iterations);
    std::string line =
        by_steps ? fmt::format("iteration {}, {} of {} steps ", result.iteration, count_text(done), count_text(all))
                 : fmt::format("iteration {}/{} ", result.iteration, settings.iterations);
    const std::vector<TaskOutcome> none;
    const std::vector<TaskOutcome>& tasks = result.history.empty() ? none : result.history.back().tasks;
    const bool exact = !tasks.empty() && !std::isnan(tasks.front().optimal_return);
    const auto shown = [exact](const TaskOutcome& task) { return exact ? task.ratio() : task.expected_return; };
    if (tasks.size() <= 5) {
        for (const TaskOutcome& task : tasks) line += fmt::format(" {:.2f}", shown(task));
    } else {
        double sum = 0, worst = shown(tasks.front());
        for (const TaskOutcome& task : tasks) {
            sum += shown(task);
            worst = std::min(worst, shown(task));
        }
        line += fmt::format(" mean {:.2f} worst {:.2f}", sum / static_cast<double>(tasks.size()), worst);
    }
    line += exact ? " of the optimum" : " return";
    return line + fmt::format("  {} steps/s  {} left", count_text(result.steps_per_second()),
                              duration_text(done > 0 ? elapsed_s / done * std::max(0.0, all - done) : 0));
}

}  // namespace

Outcome<void> train_navigation(NavigationTraining& training, const NavigationHooks& hooks,
                               NavigationResult& result) {
    const NavigationSettings& settings = training.settings();
    result.settings = settings;
    result.kernels = training.kernels();
    result.evaluates_per_state = training.evaluates_per_state();
    result.task_names = training.task_names(TaskSet::training);
    result.distinct_tasks = training.distinct_tasks(TaskSet::training);
    result.distinct_held_out = training.distinct_tasks(TaskSet::held_out);
    result.evaluation_interval = training.evaluation_interval();
    const double earlier_s = result.seconds;
    double spent_s = 0;
    const auto update = [&] {
        result.iteration = training.iteration();
        result.environment_steps = training.environment_steps();
        result.gradients = training.gradients();
        result.seconds = earlier_s + spent_s;
    };
    const auto evaluate = [&]() -> Outcome<void> {
        const std::uint64_t epoch = evaluation_epoch(result.iteration);
        const auto outcomes = training.evaluate(TaskSet::training, training.training_steps(), epoch, true);
        const auto held_out = training.evaluate(TaskSet::held_out, settings.adaptation_steps, epoch, true);
        if (training.stopped()) return {};
        result.history.push_back({result.iteration, result.environment_steps, result.gradients, result.seconds,
                                  last_of_each(outcomes), means(last_of_each(held_out))});
        return hooks.keep(result.history.back());
    };
    const auto due = [&] { return result.iteration % result.evaluation_interval == 0 || training.finished(); };
    update();
    // A run that was stopped while it evaluated begins with that.
    if (result.history.empty() || (due() && result.history.back().iteration < result.iteration)) {
        if (Outcome<void> kept = evaluate(); !kept) return kept;
    }
    while (!training.finished() && !hooks.stop()) {
        const Clock::time_point start = Clock::now();
        const std::int64_t before = training.iteration();
        const Outcome<void> done = training.iterate();
        spent_s += since(start);
        update();
        if (!done) {
            if (Outcome<void> kept = hooks.checkpoint(training, result); !kept) return kept;
            return done;
        }
        if (training.stopped() && training.iteration() == before) break;
        if (due()) {
            if (Outcome<void> kept = evaluate(); !kept) return kept;
        }
        hooks.progress(result);
        if (Outcome<void> kept = hooks.checkpoint(training, result); !kept) return kept;
    }
    result.complete = training.finished();

    constexpr std::uint64_t final_epoch = set_apart_epochs + 1;
    const auto outcomes = training.evaluate(TaskSet::training, training.training_steps(), final_epoch, true);
    if (!training.stopped() && !outcomes.empty()) {
        result.tasks = last_of_each(outcomes);
        result.adaptation_environment_steps =
            static_cast<double>(training.adaptation_environment_steps()) / static_cast<double>(outcomes.size());
    }
    result.held_out_names = training.task_names(TaskSet::held_out);
    result.evaluated_iteration = result.iteration;
    const int unseen_steps = settings.adaptation_steps;
    result.held_out = training.evaluate(TaskSet::held_out, unseen_steps, final_epoch, false);
    result.untrained = last_of_each(
        training.evaluate(TaskSet::training, training.training_steps(), final_epoch, true, StartPolicy::untrained));
    result.held_out_untrained =
        training.evaluate(TaskSet::held_out, unseen_steps, final_epoch, false, StartPolicy::untrained);
    result.single_policy = training.best_single_policy(TaskSet::training);
    result.held_out_single = training.best_single_policy(TaskSet::held_out);
    if (training.stopped()) {
        // There was no time: what there is are the numbers of the last row.
        const MetricsRow none{};
        const MetricsRow& last = result.history.empty() ? none : result.history.back();
        result.evaluated_iteration = last.iteration;
        result.tasks = last.tasks;
        result.held_out.clear();
        result.held_out_untrained.clear();
        result.untrained.clear();
        result.single_policy.clear();
        result.held_out_single.clear();
    }
    return {};
}

Outcome<std::int64_t> environment_steps_of(const NavigationSettings& settings, const std::function<bool()>& stop) {
    Outcome<std::unique_ptr<NavigationTraining>> training = NavigationTraining::make(settings, 1);
    if (!training) return tl::unexpected(training.error());
    (*training)->stop_when(interrupted);
    while (!(*training)->finished()) {
        if (stop()) return 0;
        if (const Outcome<void> done = (*training)->iterate(); !done) return tl::unexpected(done.error());
    }
    return (*training)->environment_steps();
}

Outcome<NavigationResult> run_navigation(const NavigationSettings& settings, const std::function<bool()>& stop) {
    Outcome<std::unique_ptr<NavigationTraining>> training = NavigationTraining::make(settings, 1);
    if (!training) return tl::unexpected(training.error());
    (*training)->stop_when(interrupted);
    NavigationHooks hooks;
    hooks.stop = stop;
    NavigationResult result;
    if (Outcome<void> done = train_navigation(**training, hooks, result); !done)
        return tl::unexpected(done.error());
    return result;
}

Outcome<NavigationRun> NavigationRun::create(const NavigationSettings& settings, const Options& options) {
    NavigationRun run;
    run.options_ = options;
    run.result_.threads = options.threads;
    auto training = NavigationTraining::make(settings, options.threads);
    if (!training) return tl::unexpected(training.error());
    run.training_ = *std::move(training);

    NavigationSettings resolved = run.training_->settings();
    run.config_ = navigation_settings(resolved).write();
    TrainRequest request;
    request.directory = options.directory;
    if (auto ready = prepare_run(request, run.config_); !ready) return tl::unexpected(ready.error());
    return run;
}

Outcome<NavigationRun> NavigationRun::resume(const NavigationSettings& settings, const Options& options) {
    NavigationRun run;
    run.options_ = options;
    run.result_.threads = options.threads;
    auto training = NavigationTraining::make(settings, options.threads);
    if (!training) return tl::unexpected(training.error());
    run.training_ = *std::move(training);
    NavigationSettings resolved = run.training_->settings();
    run.config_ = navigation_settings(resolved).write();
    TrainRequest request;
    request.directory = options.directory;
    request.resume = true;

    const std::filesystem::path checkpoint = checkpoint_path(request);
    std::error_code ignored;
    if (!std::filesystem::exists(checkpoint, ignored)) {  // stopped before the first one: from the start
        return keep_config(request, run.config_).map([&] { return std::move(run); });
    }
    const Result<MetaTrainerState> state = read_checkpoint(checkpoint);
    if (!state) return unreadable_checkpoint(checkpoint, state.error());
    if (Result<void> restored = run.training_->restore(*state); !restored)
        return unreadable_checkpoint(checkpoint, restored.error());
    const bool by_steps = settings.environment_steps > 0;
    if (auto fits = by_steps ? RunPauses::check_length("rl.environment_steps", settings.environment_steps,
                                                       state->environment_steps - state->environment_steps / 8)
                             : RunPauses::check_length("rl.iterations", settings.iterations, state->iteration);
        !fits) {
        return tl::unexpected(fits.error());
    }
    const std::size_t tasks = run.training_->task_names(TaskSet::training).size();
    auto history = read_metrics(options.directory / "metrics.csv", tasks, state->iteration);
    if (!history) return tl::unexpected(history.error());
    run.result_.history = *std::move(history);
    if (!run.result_.history.empty()) run.result_.seconds = run.result_.history.back().seconds;
    if (auto kept = keep_config(request, run.config_); !kept) return tl::unexpected(kept.error());
    return run;
}

Outcome<int> NavigationRun::train() {
    training_->stop_when(out_of_patience);
    const std::filesystem::path metrics_path = options_.directory / "metrics.csv";
    const std::size_t tasks = training_->task_names(TaskSet::training).size();
    // A file of before held-out tasks had columns goes on without them.
    const bool held_out =
        result_.history.empty() ? !training_->task_names(TaskSet::held_out).empty() : has_held_out(metrics_path);
    Result<report::CsvFile> metrics =
        result_.history.empty()
            ? report::CsvFile::create(metrics_path, metrics_header(tasks, held_out))
            : report::CsvFile::resume(metrics_path, metrics_header(tasks, held_out), result_.history.size());
    if (!metrics) return refuse(metrics.error(), metrics_path.string());
    if (training_->iteration() == 0) {
        if (Outcome<void> drawn =
                write_pictures("navigation-start.svg", "Before meta-training", training_->training_steps());
            !drawn) {
            return tl::unexpected(drawn.error());
        }
    }

    Progress progress(options_.quiet);
    const Clock::time_point start = Clock::now();
    const std::int64_t first = training_->iteration();
    Clock::time_point saved = Clock::now();
    const std::filesystem::path checkpoint_path = options_.directory / "checkpoint.dunlin";
    const auto save = [&](NavigationTraining& training) -> Outcome<void> {
        if (Result<void> flushed = metrics->flush(); !flushed)
            return refuse(flushed.error(), metrics_path.string());
        saved = Clock::now();
        return report::write_file(checkpoint_path, checkpoint_bytes(training.save(), config_))
            .map_error([&](const Error& error) { return describe(error, checkpoint_path.string()); });
    };
    NavigationHooks hooks;
    hooks.stop = interrupted;
    hooks.keep = [&](const MetricsRow& row) -> Outcome<void> {
        return metrics->append(metrics_fields(row, held_out)).map_error([&](const Error& error) {
            return describe(error, metrics_path.string());
        });
    };
    hooks.progress = [&](const NavigationResult& result) {
        const auto all = static_cast<double>(result.iteration), now = static_cast<double>(result.iteration - first);
        if (progress.due()) progress.show(progress_line(result, since(start) * (now > 0 ? all / now : 1)));
    };
    hooks.checkpoint = [&](NavigationTraining& training, const NavigationResult&) -> Outcome<void> {
        if (since(saved) < checkpoint_s) return {};
        return save(training);
    };
    const Outcome<void> trained = train_navigation(*training_, hooks, result_);
    if (!options_.quiet && !result_.history.empty()) progress.show(progress_line(result_, since(start)));
    progress.finish();
    if (Outcome<void> kept = save(*training_); !kept) return tl::unexpected(kept.error());
    if (!trained) {
        return refuse(
            fmt::format("{}; the parameters before it are in {}", trained.error().text, checkpoint_path.string()));
    }
    if (Outcome<void> written = write_results(); !written) return tl::unexpected(written.error());
    return result_.complete ? succeeded : stopped;
}

Outcome<void> NavigationRun::write_pictures(const char* name, const char* title, int steps) {
    const NavigationSettings& settings = training_->settings();
    // More panels than a page shows help nobody.
    constexpr std::size_t panels = 8;
    const std::vector<TaskRecord> records =
        training_->record(TaskSet::training, steps, settings.shown_trajectories, panels);
    if (training_->stopped()) return {};
    const std::string svg = trajectories_svg(records, title, settings.world == World::grid);
    return report::write_file(options_.directory / name, svg).map_error([&](const Error& error) {
        return describe(error, (options_.directory / name).string());
    });
}

Outcome<void> NavigationRun::write_results() {
    const std::filesystem::path& directory = options_.directory;
    const NavigationSettings& settings = training_->settings();
    if (Outcome<void> drawn =
            write_pictures("navigation-end.svg", "After meta-training", training_->training_steps());
        !drawn) {
        return drawn;
    }
    const ConstVector<float> parameters = training_->parameters();
    const TrainedModel policy =
        navigation_model(settings, training_->shape(), {parameters.begin(), parameters.end()});
    const Outcome<std::string> start = read_text(directory / "navigation-start.svg"),
                               end = read_text(directory / "navigation-end.svg");
    NavigationSettings resolved = settings;
    std::vector<std::pair<const char*, std::string>> files{
        {"policy.dunlin", policy.bytes()},
        {"returns.svg", returns_svg(result_)},
        {"report.html", report_html(result_, navigation_settings(resolved).write(), options_.command,
                                    start.value_or(""), end.value_or(""))}};
    if (!result_.held_out.empty()) files.emplace_back("held-out.svg", held_out_svg(result_));
    files.emplace_back("summary.json", summary_json());  // last: who finds it finds the rest
    for (const auto& [name, text] : files) {
        if (Result<void> written = report::write_file(directory / name, text); !written) {
            return refuse(written.error(), (directory / name).string());
        }
    }
    return {};
}

std::string NavigationRun::description() const {
    std::string text = fmt::format(
        "{}: {} kernels, policy evaluated once per {}, {} parameters", options_.directory.string(),
        training_->kernels(), training_->evaluates_per_state() ? "state" : "step", training_->parameters().size());
    const NavigationSettings& settings = training_->settings();
    if (const int interval = training_->evaluation_interval(); interval > settings.evaluate_every) {
        text += fmt::format(
            "\nevaluated every {} iterations and at the end, not every {}: on a map as large as this one "
            "evaluations are at most {} of the work (report.evaluation_share)",
            interval, settings.evaluate_every, settings.evaluation_share);
    }
    for (const std::string& note : training_->notes()) text += "\nnote: " + note;
    return text;
}

std::string NavigationRun::summary_json() const {
    return app::summary_json(result_);
}

Outcome<NavigationSettings> read_run_settings(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "config.toml";
    const Outcome<std::string> text = read_text(path);
    if (!text)
        return refuse(fmt::format("{}: not a run directory (no config.toml); expected what `dunlin train` wrote",
                                  directory.string()));
    const Outcome<const Kind*> kind = kind_of(*text, path.string());
    if (!kind) return tl::unexpected(kind.error());
    if ((*kind)->name != "navigation") {
        return refuse(
            fmt::format("{}: a run of kind {}; expected a navigation run", directory.string(), (*kind)->name));
    }
    NavigationSettings settings;
    if (Outcome<void> read = navigation_settings(settings).read(*text, path.string()); !read)
        return tl::unexpected(read.error());
    return settings;
}

}  // namespace dunlin::app

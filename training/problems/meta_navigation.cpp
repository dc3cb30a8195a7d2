// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_navigation.hpp"

#include "training/host/plain_text.hpp"
#include "training/navigation/navigation_model.hpp"
#include "training/problems/federated_result.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::size_t numbers_of_task = 4;

using Changes = Outcome<std::vector<std::string>>;

/// Environment steps that training takes, for methods that are compared.
Changes levelled(const MetaNavigationSettings& s, const RunPauses& pauses) {
    NavigationSettings settings = s.navigation();
    if (settings.environment_steps > 0) return std::vector<std::string>{};
    if (settings.meta.method == MetaMethod::scratch) settings.meta.method = MetaMethod::memrl;
    const auto training = NavigationTraining::make(settings, 1);
    if (!training) return tl::unexpected(training.error());
    (*training)->stop_when(pauses.give_up);
    while (!(*training)->finished()) {
        if (pauses.stop()) return std::vector<std::string>{};
        if (const Outcome<void> done = (*training)->iterate(); !done) return tl::unexpected(done.error());
    }
    const std::int64_t steps = (*training)->environment_steps();
    if (steps == 0) return std::vector<std::string>{};  // no iterations at all
    if (steps > 2'000'000'000)
        return refuse("compare: training takes more than 2,000,000,000 environment steps; give --by-iterations");
    return std::vector<std::string>{fmt::format("rl.environment_steps={}", steps)};
}

Changes varied(const MetaNavigationSettings& settings, int candidate) {
    if (candidate == 0) return std::vector<std::string>{};  // as they are
    Stream random(0, static_cast<std::uint32_t>(candidate), Purpose::user);
    const auto factor = [&random](float most) { return std::pow(most, 2.0f * random.uniform() - 1.0f); };
    const float inner = factor(4.0f), clip = factor(2.0f), outer = factor(3.0f);
    const MetaSettings& meta = settings.own.meta;
    const MoreauEnvelope own = meta.training();
    const char* section = meta.follows_gradients() ? "maml" : "rl";
    if (meta.is_recurrent())
        return std::vector<std::string>{
            fmt::format("rl2.rate={}", settings.own.recurrent.outer.rate * outer),
            fmt::format("rl2.entropy={}", settings.own.recurrent.trial.entropy * inner)};
    std::vector<std::string> set{fmt::format("{}.inner_rate={}", section, own.inner_rate * inner)};
    if (own.step_clip > 0) set.push_back(fmt::format("{}.step_clip={}", section, own.step_clip * clip));
    if (meta.method == MetaMethod::imaml)
        set.push_back(fmt::format("imaml.prox_weight={}", meta.implicit_weight / inner));  // their product stays
    if (meta.follows_gradients() || meta.outer_step != OuterStep::own)
        set.push_back(fmt::format("maml.outer_rate={}", meta.outer.rate * outer));
    else if (meta.method != MetaMethod::scratch)
        set.push_back(fmt::format("rl.interpolation={}", std::min(1.0f, meta.interpolation * outer)));
    return set;
}

}  // namespace

NavigationSettings MetaNavigationSettings::navigation() const {
    NavigationSettings all = own;
    all.kind = kind;
    all.experiment = experiment;
    all.kernels = kernels;
    all.seed = seed;
    return all;
}

ProblemKind<MetaNavigationSettings> meta_navigation_kind() {
    return {.name = "navigation",
            .settings =
                [](MetaNavigationSettings& s) {
                    Settings list = problem_settings(s);
                    add_navigation_settings(list, s.own);
                    return list;
                },
            .make = {},
            .method_key = "rl.method",
            .methods = "memrl,maml,fomaml,reptile,anil,meta-sgd,imaml,scratch",
            .alone = [](const MetaNavigationSettings& s, int threads) -> Outcome<std::unique_ptr<SoloCourse>> {
                return NavigationTraining::make(s.navigation(), threads)
                    .map([threads](auto&& training) -> std::unique_ptr<SoloCourse> {
                        return std::make_unique<MetaCourse>(std::move(training), threads);
                    });
            },
            .level = levelled,
            .vary = varied};
}

double steps_per_second(const FederatedResult& result) {
    return result.seconds > 0 ? static_cast<double>(result.last.environment_steps) / result.seconds : 0;
}

std::vector<TaskOutcome> tasks_of(const FederatedRow& row, std::size_t tasks) {
    std::vector<TaskOutcome> all;
    for (std::size_t task = 0; task < tasks; ++task) {
        const double* const of = row.by_node.data() + task * numbers_of_task;
        all.push_back(
            {.expected_return = of[0], .optimal_return = of[2], .success = of[3], .sampled_return = of[1]});
    }
    return all;
}

TaskMeans held_out_of(const FederatedRow& row, std::size_t tasks) {
    if (row.by_node.size() <= tasks * numbers_of_task) return {};
    const double* const of = row.by_node.data() + tasks * numbers_of_task;
    return {.expected_return = of[0], .ratio = of[1], .success = of[2]};
}

std::vector<std::string> MetaCourse::columns() const {
    std::vector<std::string> columns{"iteration", "env_steps", "gradients", "seconds"};
    for (std::size_t task = 1; task <= task_count(); ++task) {
        for (const char* column : {"return", "sampled_return", "optimal_return", "success"})
            columns.push_back(fmt::format("task{}_{}", task, column));
    }
    if (has_held_out())
        columns.insert(columns.end(), {"held_out_return", "held_out_return_ratio", "held_out_success"});
    return columns;
}

std::vector<double> MetaCourse::judge() {
    const std::uint64_t epoch = evaluation_epoch(iteration());
    const auto tasks = training_->evaluate(TaskSet::training, training_->training_steps(), epoch, true);
    const auto held_out = training_->evaluate(TaskSet::held_out, settings().adaptation_steps, epoch, true);
    if (stopped()) return {};
    std::vector<double> numbers;
    for (const TaskOutcome& task : last_of_each(tasks))
        numbers.insert(numbers.end(),
                       {task.expected_return, task.sampled_return, task.optimal_return, task.success});
    if (!has_held_out()) return numbers;
    const TaskMeans mean = means(last_of_each(held_out));
    numbers.insert(numbers.end(), {mean.expected_return, mean.ratio, mean.success});
    return numbers;
}

void MetaCourse::judge_the_end(const FederatedResult& result) {
    constexpr std::uint64_t epoch = set_apart_epochs + 1;
    const int steps = training_->training_steps(), unseen_steps = settings().adaptation_steps;
    const auto tasks = training_->evaluate(TaskSet::training, steps, epoch, true);
    if (!stopped() && !tasks.empty()) {
        end_.tasks = last_of_each(tasks);
        adaptation_steps_ =
            static_cast<double>(training_->adaptation_environment_steps()) / static_cast<double>(tasks.size());
    }
    constexpr StartPolicy untrained = StartPolicy::untrained;
    end_.held_out = training_->evaluate(TaskSet::held_out, unseen_steps, epoch, false);
    end_.untrained = last_of_each(training_->evaluate(TaskSet::training, steps, epoch, true, untrained));
    end_.held_out_untrained = training_->evaluate(TaskSet::held_out, unseen_steps, epoch, false, untrained);
    end_.single_policy = training_->best_single_policy(TaskSet::training);
    end_.held_out_single = training_->best_single_policy(TaskSet::held_out);
    iteration_ = judged_iteration_ = iteration();
    if (!stopped()) return;
    // There was no time: what there is are the numbers of the last row.
    end_ = {};
    judged_iteration_ = 0;
    if (result.history.empty()) return;
    judged_iteration_ = result.history.back().round;
    end_.tasks = tasks_of(result.history.back(), task_count());
}

Result<void> MetaCourse::restore(Loader& loader) {
    MetaTrainerState state;
    loader(state);
    return loader.ok() ? training_->restore(state) : Result<void>{};
}

Outcome<void> MetaCourse::check_length() const {
    const std::int64_t steps = environment_steps();
    if (settings().environment_steps > 0)
        return RunPauses::check_length("rl.environment_steps", settings().environment_steps, steps - steps / 8);
    return RunPauses::check_length("rl.iterations", settings().iterations, iteration());
}

std::string MetaCourse::config() const {
    NavigationSettings resolved = settings();
    return navigation_settings(resolved).write();
}

std::string MetaCourse::method() const {
    NavigationSettings resolved = settings();
    const std::string quoted = navigation_settings(resolved).value("rl.method");
    return quoted.substr(1, quoted.size() - 2);
}

std::string MetaCourse::about() const {
    std::string text = fmt::format("{} kernels, policy evaluated once per {}, {} parameters", training_->kernels(),
                                   training_->evaluates_per_state() ? "state" : "step", parameters().size());
    const NavigationSettings& s = settings();
    if (const int interval = training_->evaluation_interval(); interval > s.evaluate_every) {
        text += fmt::format(
            "\nevaluated every {} iterations and at the end, not every {}: on a map as large as this one "
            "evaluations are at most {} of the work (report.evaluation_share)",
            interval, s.evaluate_every, s.evaluation_share);
    }
    for (const std::string& note : training_->notes()) text += "\nnote: " + note;
    return text;
}

SoloCourse::Progress MetaCourse::progress(const FederatedResult& result) const {
    const NavigationSettings& s = settings();
    const bool by_steps = s.environment_steps > 0;
    const auto done = static_cast<double>(by_steps ? environment_steps() : iteration()),
               all = static_cast<double>(by_steps ? s.environment_steps : s.iterations);
    std::string line =
        by_steps ? fmt::format("iteration {}, {} of {} steps ", iteration(), count_text(done), count_text(all))
                 : fmt::format("iteration {}/{} ", iteration(), s.iterations);
    const auto tasks =
        result.history.empty() ? std::vector<TaskOutcome>{} : tasks_of(result.history.back(), task_count());
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
    return {done, all,
            fmt::format("{}{}  {} steps/s", line, exact ? " of the optimum" : " return",
                        count_text(steps_per_second(result)))};
}

std::string MetaCourse::left_off() const {
    if (judged_iteration_ >= iteration_) return {};
    return fmt::format("the tasks' numbers are those of iteration {}: there was no time for others",
                       judged_iteration_);
}

TrainedModel MetaCourse::model() const {
    if (const NetworkShape* network = training_->network())
        return navigation_model(settings(), *network, parameters());
    TrainedModel model =
        navigation_model(settings(), training_->shape(), {parameters().begin(), parameters().end()});
    const ConstVector<float> more = training_->adaptation_numbers();
    model.weights.assign(more.begin(), more.end());
    return model;
}

}  // namespace dunlin

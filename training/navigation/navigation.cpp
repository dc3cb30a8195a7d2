// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/navigation.hpp"

#include "training/navigation/grid_world.hpp"
#include "training/navigation/point_world.hpp"
#include "training/navigation/recurrent_training.hpp"
#include "training/navigation/rule_tasks.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, GridWorld::Policy>;
extern template class PolicyGradientTask<PointNavigation, PointWorld::Policy>;
extern template class PolicyGradientTask<RuleWorld, RuleTasks::Policy>;

namespace {

/// What both worlds share. A world says how an environment is made, judged and drawn.
template <class World>
class Training final : public NavigationTraining {
public:
    using E = typename World::Environment;
    using Policy = typename World::Policy;

    Training(const NavigationSettings& settings, World world, const Policy& policy, int threads)
        : NavigationTraining(settings),
          world_(std::move(world)),
          trainer_(policy, trainer_settings(settings, threads), training_pool(world_)) {}

    Outcome<void> iterate() override {
        return trainer_.iterate().map_error([this](const Error& error) {
            return describe(error, fmt::format("training stopped in iteration {}", trainer_.iteration() + 1));
        });
    }
    std::int64_t iteration() const override { return trainer_.iteration(); }
    std::int64_t environment_steps() const override { return trainer_.environment_steps(); }
    std::int64_t gradients() const override { return trainer_.gradients(); }
    std::int64_t adaptation_environment_steps() const override { return trainer_.adaptation_environment_steps(); }
    std::vector<std::string> task_names(TaskSet set) const override { return world_.names(set); }

    std::vector<std::vector<TaskOutcome>> evaluate(TaskSet set, int steps, std::uint64_t epoch, bool last_only,
                                                   StartPolicy start) override {
        const std::vector<E> environments = world_.environments(set);
        std::vector<std::vector<TaskOutcome>> outcomes(environments.size());
        adapt(start, set, environments, steps, epoch, last_only,
              [&](int number, ConstVector<float> theta, auto& task, Stream& random) {
                  outcomes[static_cast<std::size_t>(number)].push_back(
                      world_.judge(set, number, theta, task, random, stop_));
              });
        return outcomes;
    }

    std::vector<TaskRecord> record(TaskSet set, int steps, int trajectories, std::size_t most,
                                   StartPolicy start) override {
        std::vector<E> environments = world_.environments(set);
        if (environments.size() > most) environments.resize(most, environments.front());
        const std::vector<std::string> names = world_.names(set);
        std::vector<TaskRecord> records(environments.size());
        adapt(start, set, environments, steps, record_epoch, true,
              [&](int number, ConstVector<float> theta, auto& task, Stream& random) {
                  TaskRecord& record = records[static_cast<std::size_t>(number)];
                  record.name = names[static_cast<std::size_t>(number)];
                  record.outcome = world_.judge(set, number, theta, task, random, stop_);
                  world_.describe(set, number, record);
                  collect(task, theta, random, trajectories, record);
              });
        return records;
    }

    std::vector<TaskOutcome> best_single_policy(TaskSet set) override { return world_.single_policy(set, stop_); }

    std::vector<std::string> world_notes() const override {
        if constexpr (requires { world_.notes(); }) return world_.notes();
        return {};
    }
    std::int64_t outer_steps_stayed() const override { return trainer_.stayed(); }
    int distinct_tasks(TaskSet set) const override { return world_.distinct_tasks(set); }
    bool trained_on(int held_out) const override { return world_.trained_on(held_out); }

    void stop_when(StopAsked stop) override {
        stop_ = stop;
        trainer_.stop_when(stop);
    }
    bool stopped() const override { return stop_(); }

    int evaluation_interval() const override {
        const double planning = world_.planning_work();
        if (planning <= 0) return settings_.evaluate_every;
        // Multiply-adds; an inner step goes forwards once and back twice.
        const MlpShape& network = shape();
        const auto parameters = static_cast<double>(network.parameters());
        const double chosen = network.one_hot ? static_cast<double>(network.inputs - 1) * network.width(0) : 0.0;
        double states = 0;
        if constexpr (FiniteEnvironment<E>) states = trainer_.tasks().front().state_count();
        const double forward = parameters - chosen;
        const double columns = evaluates_per_state()
                                   ? states
                                   : static_cast<double>(settings_.rollout.trajectories) * settings_.horizon;
        const double step =
            3 * columns * forward + 4 * parameters + 20.0 * settings_.rollout.trajectories * settings_.horizon;
        const auto evaluations = [&](std::size_t tasks, int steps) {
            return static_cast<double>(tasks) * ((steps + 1.0) * step + states * forward + planning);
        };
        const double evaluation =
            evaluations(static_cast<std::size_t>(trainer_.task_count()), training_steps()) +
            evaluations(world_.environments(TaskSet::held_out).size(), settings_.adaptation_steps);
        const double iteration =
            settings_.meta.task_batch * settings_.meta.training().step_limit * step + 4 * parameters;
        const double share = static_cast<double>(settings_.evaluation_share);
        const double interval = std::ceil(evaluation * (1 - share) / (share * iteration));
        return static_cast<int>(std::clamp<double>(interval, settings_.evaluate_every, 1e9));
    }

    Outcome<int> add_held_out(const std::string& description) override { return world_.add_held_out(description); }

    const GridTask* grid_task(TaskSet set, int number) const override { return world_.grid_task(set, number); }

    const MlpShape& shape() const override { return trainer_.policy().network.shape; }
    bool continuous() const override { return Policy::continuous; }
    bool evaluates_per_state() const override { return trainer_.evaluates_per_state(); }
    std::string kernels() const override { return trainer_.policy().network.kernels->name; }
    ConstVector<float> parameters() const override {
        return trainer_.learned().first(trainer_.policy().policy_parameters());
    }
    ConstVector<float> adaptation_numbers() const override {
        return trainer_.learned().subspan(trainer_.policy().policy_parameters());
    }
    MetaTrainerState save() override { return trainer_.save(); }
    Result<void> restore(const MetaTrainerState& state) override { return trainer_.restore(state); }

    static MetaTrainerSettings trainer_settings(const NavigationSettings& settings, int threads) {
        return {.meta = settings.meta,
                .rollout = settings.rollout,
                .seed = settings.seed,
                .threads = threads,
                .output_gain = settings.output_gain,
                .first_log_sigma = settings.first_log_sigma};
    }

private:
    static constexpr std::uint64_t record_epoch = set_apart_epochs;

    template <class Visit>
    void adapt(StartPolicy start, TaskSet set, const std::vector<E>& environments, int steps, std::uint64_t epoch,
               bool last_only, Visit&& visit) {
        const std::vector<float> untrained =
            start == StartPolicy::untrained ? trainer_.first_learned() : std::vector<float>{};
        const ConstVector<float> from = start == StartPolicy::untrained ? untrained : trainer_.learned();
        trainer_.adapt(
            from, environments, steps, epoch, [&](int number, int k, ConstVector<float> theta, auto& task) {
                if ((last_only && k < steps) || stop_()) return;
                // What is measured is drawn apart from what is adapted to.
                const std::uint32_t node = set == TaskSet::training ? 1u << 20 : 1u << 21;
                Stream random(settings_.seed, node + static_cast<std::uint32_t>(number), Purpose::evaluate);
                random.seek_epoch(epoch * epochs_per_adaptation + static_cast<std::uint64_t>(k) * 2);
                visit(number, theta, task, random);
            });
    }

    template <class Task>
    void collect(Task& task, ConstVector<float> theta, Stream& random, int count, TaskRecord& record) const {
        while (std::ssize(record.trajectories) < count) {
            task.draw(0, theta, random);
            const auto& rollout = task.rollout(0);
            const int drawn =
                std::min(rollout.trajectories(), count - static_cast<int>(record.trajectories.size()));
            const std::size_t first = record.trajectories.size();
            for (int t = 0; t < drawn; ++t) {
                record.trajectories.push_back({{world_.position(record, task.start(0, t))}, {}, {}, false});
            }
            for (int h = 0; h < rollout.length(); ++h) {
                for (int k = 0; k < rollout.active(h); ++k) {
                    const int column = rollout.first(h) + k;
                    if (rollout.trajectory(column) >= drawn) continue;
                    RecordedTrajectory& trajectory =
                        record.trajectories[first + static_cast<std::size_t>(rollout.trajectory(column))];
                    const std::array<double, 2> position = world_.position(record, task.reached(0, column));
                    trajectory.positions.push_back(position);
                    trajectory.actions.push_back(World::action(task, column));
                    trajectory.rewards.push_back(rollout.reward(column));
                    trajectory.success =
                        World::reached(record, position, trajectory.success, rollout.reward(column));
                }
            }
        }
    }

    World world_;
    MetaTrainer<E, Policy> trainer_;
    StopAsked stop_ = never_asked;
};

/// Why gradients cannot be estimated as the settings say; empty: they can.
std::string wrong_estimator(const NavigationSettings& s) {
    const MetaSettings& meta = s.meta;
    const bool ratios = s.rollout.surrogate.compares(), valued = s.rollout.baseline == Baseline::value;
    if (s.rollout.evaluation == Evaluation::per_state && (ratios || valued)) {
        return fmt::format(
            "rl.evaluation = \"per-state\": {} of single steps; use \"per-step\" or \"automatic\"",
            ratios ? "rl.surrogate compares probabilities" : "rl.baseline = \"value\" looks at rewards");
    }
    if (ratios && meta.is_second_order())
        return "rl.surrogate: ratios of probabilities are differentiated once here, and rl.method needs second "
               "derivatives; use memrl, reptile or fomaml, maml.first_order = true with anil and meta-sgd, or "
               "imaml.conjugate_steps = 0";
    const bool trpo = meta.outer_step == OuterStep::trpo;
    if (!ratios && (meta.batch_steps > 1 || meta.keeps_trajectories()))
        return fmt::format(
            "{}: later steps on the same trajectories need ratios of probabilities; set rl.surrogate = \"ppo\" or "
            "\"spo\"",
            meta.batch_steps > 1 ? "rl.batch_steps"
            : trpo               ? "rl.outer_step = \"trpo\""
                                 : "rl.outer_epochs");
    if (meta.batch_steps > 1 && (meta.has_step_sizes() || meta.method == MetaMethod::imaml))
        return "rl.batch_steps: steps that share trajectories are not differentiated; use memrl, reptile or fomaml";
    if (meta.outer_epochs > 1 && !meta.unrolls())
        return "rl.outer_epochs: only the MAMLs keep the trajectories of all inner steps (fomaml, or anil and "
               "meta-sgd "
               "with maml.first_order = true; with rl.batch_steps = 1)";
    if (trpo && (!meta.unrolls() || meta.learns_step_sizes() || meta.outer_epochs > 1 || valued))
        return "rl.outer_step = \"trpo\": a trust region is of first-order MAML (fomaml, or anil with "
               "maml.first_order = "
               "true), with rl.batch_steps = 1, rl.outer_epochs = 1 and without a value network";
    return {};
}

/// What does not depend on the world: settings that must fit each other.
Outcome<NavigationSettings> resolve(NavigationSettings s, int tasks) {
    MetaSettings& meta = s.meta;
    if (s.kind != NavigationSettings{}.kind) {
        return refuse(fmt::format("kind = \"{}\": this experiment is of kind {}; leave the key out", s.kind,
                                  NavigationSettings{}.kind));
    }
    if (meta.task_batch > tasks) {
        return refuse(fmt::format("rl.task_batch = {}: there are only {} training tasks", meta.task_batch, tasks));
    }
    if (s.meta_rate > 0.0f) {
        meta.interpolation = s.meta_rate * meta.inner.prox_weight;
        if (!(meta.interpolation > 0.0f && meta.interpolation <= 1.0f)) {
            return refuse(
                fmt::format("rl.meta_rate = {}: alpha lambda = {} must lie in (0, 1]; use rl.interpolation instead",
                            s.meta_rate, meta.interpolation));
        }
    }
    if (meta.inner.inner_rate * meta.inner.prox_weight >= 1.0f && meta.method == MetaMethod::memrl) {
        return refuse(fmt::format(
            "rl.inner_rate = {}: times rl.prox_weight = {} it must stay below 1, or the inner loop overshoots",
            meta.inner.inner_rate, meta.inner.prox_weight));
    }
    if (const float rate = meta.training().inner_rate;
        meta.method == MetaMethod::imaml && rate * meta.implicit_weight >= 1.0f) {
        return refuse(fmt::format(
            "imaml.prox_weight = {}: times the inner rate {} it must stay below 1, or the inner loop overshoots",
            meta.implicit_weight, rate));
    }
    if (meta.method == MetaMethod::anil && s.hidden.empty())
        return refuse(
            "rl.method = \"anil\": inner steps move the last layer alone, and policy.hidden = [] has one layer");
    if (const std::string wrong = wrong_estimator(s); !wrong.empty()) return refuse(wrong);
    if (s.rollout.baseline == Baseline::leave_one_out && s.rollout.trajectories < 2) {
        return refuse(
            "rl.trajectories = 1: the leave-one-out baseline needs at least 2; use rl.baseline = \"none\"");
    }
    return s;
}

/// Fills in what settings leave to the map. The rule is what the experiments on maps of 5 x 5 to 12 x 14 came to: a
/// trajectory has time to cross the map twice, and of sparse rewards a batch sees some from the start.
Outcome<NavigationSettings> by_the_map(NavigationSettings s) {
    if (s.horizon > 0 && s.rollout.trajectories > 0) return s;
    constexpr int most_trajectories = 200;
    int horizon = 100, trajectories = 20;
    if (s.world == World::grid) {
        const Outcome<StoredMap> map = frame_of(s);
        if (!map) return tl::unexpected(map.error());
        horizon = std::min(2 * (map->rows + map->columns) + 2, grid_horizon_limit);
        const int share = (3 * map->rows * map->columns + 4) / 5;
        if (s.reward == Reward::sparse) trajectories = std::clamp(share, trajectories, most_trajectories);
    }
    if (s.horizon == 0) s.horizon = horizon;
    if (s.rollout.trajectories == 0) s.rollout.trajectories = trajectories;
    return s;
}

template <class World>
Outcome<std::unique_ptr<NavigationTraining>> make_recurrent(const NavigationSettings& settings, World world,
                                                            const Kernels<float>* kernels, int threads) {
    using Own = RecurrentTraining<World>;
    if (const Outcome<void> fits = check_recurrent(settings); !fits) return tl::unexpected(fits.error());
    const auto& tasks = training_pool(world);
    const auto policy =
        recurrent_policy(settings, tasks.front().observation_size(), tasks.front().action_count(), kernels);
    if (!policy) return tl::unexpected(policy.error());
    const RecurrentSettings how = recurrent_settings(settings);
    const std::size_t bytes = Own::Trainer::bytes(*policy, how, tasks.front().observation_size());
    if (bytes > machine_memory())
        return refuse(
            fmt::format("the run needs {:.1f} GB of memory, and this machine has {:.1f}; lower rl2.trials = {}, "
                        "rl.inner_steps = {} or rl.horizon = {}",
                        static_cast<double>(bytes) / 1e9, static_cast<double>(machine_memory()) / 1e9,
                        settings.recurrent.trials, settings.meta.inner.step_limit, settings.horizon));
    return std::make_unique<Own>(settings, std::move(world), *policy, how, threads);
}

template <class World>
Outcome<std::unique_ptr<NavigationTraining>> make_training(const NavigationSettings& settings,
                                                           const Kernels<float>* kernels, int threads) {
    Outcome<World> world = World::make(settings);
    if (!world) return tl::unexpected(world.error());
    if (settings.meta.is_recurrent()) {
        if constexpr (World::Policy::continuous)
            return refuse("rl.method: rl2 and joint choose among actions; the point world has none to choose from");
        else
            return make_recurrent<World>(settings, *std::move(world), kernels, threads);
    }
    const auto policy = world->policy(settings, kernels);
    if (!policy) return tl::unexpected(policy.error());
    const Outcome<NavigationSettings> resolved = resolve(settings, static_cast<int>(training_pool(*world).size()));
    if (!resolved) return tl::unexpected(resolved.error());
    const std::size_t bytes =
        MetaTrainer<typename World::Environment, typename World::Policy>::bytes(
            *policy, Training<World>::trainer_settings(*resolved, threads), training_pool(*world)) +
        world->evaluation_bytes(threads);
    if (bytes > machine_memory()) {
        return refuse(fmt::format(
            "the run needs {:.1f} GB of memory, and this machine has {:.1f}; lower rl.trajectories = {}, "
            "rl.horizon = {}, policy.hidden, the map's size or --threads",
            static_cast<double>(bytes) / 1e9, static_cast<double>(machine_memory()) / 1e9,
            settings.rollout.trajectories, settings.horizon));
    }
    return std::make_unique<Training<World>>(*resolved, *std::move(world), *policy, threads);
}

}  // namespace

bool NavigationTraining::finished() const {
    if (settings_.environment_steps == 0) return iteration() >= settings_.iterations;
    if (iteration() == 0) return false;
    const std::int64_t done = environment_steps();
    // Without meta-learning an iteration takes none, however many there are.
    return done == 0 || done + done / (2 * iteration()) >= settings_.environment_steps;
}

Result<void> NavigationTraining::load(ConstVector<float> parameters, ConstVector<float> adaptation_numbers) {
    MetaTrainerState state = save();
    state.parameters.assign(parameters.begin(), parameters.end());
    state.parameters.insert(state.parameters.end(), adaptation_numbers.begin(), adaptation_numbers.end());
    return restore(state);
}

Outcome<std::unique_ptr<NavigationTraining>> NavigationTraining::make(const NavigationSettings& settings,
                                                                      int threads) {
    const Result<const Kernels<float>*> kernels = find_kernels(settings.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + settings.kernels + "\"");
    const Outcome<NavigationSettings> whole = by_the_map(settings);
    if (!whole) return tl::unexpected(whole.error());
    if (whole->world == World::grid) return make_training<GridWorld>(*whole, *kernels, threads);
    if (whole->world == World::rules) return make_training<RuleTasks>(*whole, *kernels, threads);
    return make_training<PointWorld>(*whole, *kernels, threads);
}

template class PolicyGradientTask<GridNavigation, GridWorld::Policy>;
template class PolicyGradientTask<PointNavigation, PointWorld::Policy>;
template class PolicyGradientTask<RuleWorld, RuleTasks::Policy>;

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "fleet/navigation.hpp"

#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "envs/point_navigation.hpp"
#include "fleet/grid_evaluation.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin {

extern template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;
extern template class PolicyGradientTask<PointNavigation, GaussianPolicy<float>>;

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
          trainer_(policy, trainer_settings(settings, threads), world_.environments(TaskSet::training)) {}

    Outcome<void> iterate() override {
        return trainer_.iterate().map_error([this](const Error& error) {
            return describe(error, fmt::format("training stopped in iteration {}", trainer_.iteration() + 1));
        });
    }
    std::int64_t iteration() const override { return trainer_.iteration(); }
    std::int64_t environment_steps() const override { return trainer_.environment_steps(); }
    std::int64_t gradients() const override { return trainer_.gradients(); }
    std::vector<std::string> task_names(TaskSet set) const override { return world_.names(set); }

    std::vector<std::vector<TaskOutcome>> evaluate(TaskSet set, int steps, std::uint32_t epoch,
                                                   bool last_only) override {
        const std::vector<E> environments = world_.environments(set);
        std::vector<std::vector<TaskOutcome>> outcomes(environments.size());
        adapt(set, environments, steps, epoch, last_only,
              [&](int number, ConstVector<float> theta, auto& task, Stream& random) {
                  outcomes[static_cast<std::size_t>(number)].push_back(
                      world_.judge(set, number, theta, task, random));
              });
        return outcomes;
    }

    std::vector<TaskRecord> record(TaskSet set, int steps, int trajectories) override {
        const std::vector<E> environments = world_.environments(set);
        const std::vector<std::string> names = world_.names(set);
        std::vector<TaskRecord> records(environments.size());
        adapt(set, environments, steps, record_epoch, true,
              [&](int number, ConstVector<float> theta, auto& task, Stream& random) {
                  TaskRecord& record = records[static_cast<std::size_t>(number)];
                  record.name = names[static_cast<std::size_t>(number)];
                  record.outcome = world_.judge(set, number, theta, task, random);
                  world_.describe(set, number, record);
                  collect(task, theta, random, trajectories, record);
              });
        return records;
    }

    Outcome<int> add_held_out(const std::string& description) override { return world_.add_held_out(description); }

    const GridTask* grid_task(TaskSet set, int number) const override { return world_.grid_task(set, number); }

    const MlpShape& shape() const override { return trainer_.policy().network.shape; }
    bool continuous() const override { return Policy::continuous; }
    bool evaluates_per_state() const override { return trainer_.evaluates_per_state(); }
    std::string kernels() const override { return trainer_.policy().network.kernels->name; }
    ConstVector<float> parameters() const override { return trainer_.parameters(); }
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
    /// Epochs of evaluation: numbers that no iteration reaches.
    static constexpr std::uint32_t record_epoch = 0xffff0;

    template <class Visit>
    void adapt(TaskSet set, const std::vector<E>& environments, int steps, std::uint32_t epoch, bool last_only,
               Visit&& visit) {
        trainer_.adapt(trainer_.parameters(), environments, steps, epoch,
                       [&](int number, int k, ConstVector<float> theta, auto& task) {
                           if (last_only && k < steps) return;
                           // What is measured is drawn apart from what is adapted to.
                           const std::uint32_t node = set == TaskSet::training ? 1u << 20 : 1u << 21;
                           Stream random(settings_.seed, node + static_cast<std::uint32_t>(number),
                                         Purpose::evaluate);
                           random.seek_epoch(epoch * 4096 + static_cast<std::uint32_t>(k) * 2);
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
                    trajectory.success = World::reached(record, position, trajectory.success);
                }
            }
        }
    }

    World world_;
    MetaTrainer<E, Policy> trainer_;
};

/// `count` finite numbers of type T, separated by commas.
template <class T>
std::optional<std::vector<T>> numbers(std::string_view text, std::size_t count) {
    std::vector<T> values;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at < end) {
        T value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc() || (next < end && *next != ',')) return std::nullopt;
        if (!std::isfinite(static_cast<double>(value))) return std::nullopt;
        values.push_back(value);
        at = next < end ? next + 1 : next;
    }
    if (values.size() != count) return std::nullopt;
    return values;
}

/// Splits "goal=1,2;wind=0.1" and hands each key and value over; returns the first problem.
template <class Take>
Outcome<void> for_each_part(std::string_view description, Take&& take) {
    while (!description.empty()) {
        const std::size_t end = std::min(description.find(';'), description.size());
        const std::string_view part = description.substr(0, end);
        const std::size_t equals = std::min(part.find('='), part.size());
        const std::string_view value = equals < part.size() ? part.substr(equals + 1) : std::string_view();
        if (!take(part.substr(0, equals), value)) {
            return problem(fmt::format(
                "cannot read \"{}\"; expected goal=R,C and, joined by ';', wind=P, slip=P (P from 0 to 1) or "
                "moves=0,1,2,3,4 (point world: goal=X,Y)",
                part));
        }
        description.remove_prefix(std::min(end + 1, description.size()));
    }
    return {};
}

class GridWorld {
public:
    using Environment = GridNavigation;
    using Policy = CategoricalPolicy<float>;

    static Outcome<GridWorld> make(const NavigationSettings& s) {
        GridWorld world;
        world.common_.horizon = s.horizon;
        world.common_.discount = s.discount;
        world.common_.reward = s.reward == Reward::sparse ? GridReward::sparse : GridReward::dense;
        if (!s.start.empty()) {
            if (s.start.size() != 2) return problem("environment.start: expected [row, column]");
            world.common_.start = GridCell{s.start[0], s.start[1]};
        }
        Outcome<StoredMap> map = load(s);
        if (!map) return tl::unexpected(map.error());
        world.map_ = *std::move(map);

        Stream random(s.seed, 1, Purpose::tasks);
        if (!s.goals.empty()) {
            for (const std::string& goal : s.goals) {
                Outcome<GridTask> task = world.parse_task("goal=" + goal);
                if (!task) return problem("environment.goals: " + task.error().text);
                world.training_.push_back(*std::move(task));
            }
        } else if (s.tasks == TaskSource::three) {
            Result<std::vector<GridTask>> tasks = three_tasks(world.map_, world.common_, random);
            if (!tasks) return problem(tasks.error(), world.place(s));
            world.training_ = *std::move(tasks);
        } else {
            const GridTaskDistribution distribution{world.common_, s.permute_actions, s.wind_limit, s.slip_limit};
            Result<GridTaskSplit> split =
                sample_tasks(world.map_, distribution, s.training_tasks, s.held_out_tasks, random);
            if (!split) return problem(split.error(), world.place(s));
            world.training_ = std::move(split->training);
            world.held_out_ = std::move(split->held_out);
        }
        world.remember_optima();
        return world;
    }

    Outcome<Policy> policy(const NavigationSettings& s, const Kernels<float>* kernels) const {
        const bool one_hot = s.input == PolicyInput::one_hot;
        const Result<MlpShape> shape = MlpShape::make(one_hot ? map_.rows * map_.columns : 2, s.hidden, move_count,
                                                      s.activation, one_hot, !one_hot || !s.hidden.empty());
        if (!shape) return problem(shape.error(), "policy.hidden");
        return Policy{Mlp<float>{*shape, kernels}};
    }

    std::vector<GridNavigation> environments(TaskSet set) const {
        std::vector<GridNavigation> all;
        for (const GridTask& task : tasks(set)) all.push_back(task.environment());
        return all;
    }

    std::vector<std::string> names(TaskSet set) const {
        std::vector<std::string> all;
        for (const GridTask& task : tasks(set)) {
            const GridCell goal = *task.settings().goal;
            all.push_back(fmt::format("task {}: goal ({}, {})", all.size() + 1, goal.row, goal.column));
        }
        return all;
    }

    template <class Task>
    TaskOutcome judge(TaskSet set, int number, ConstVector<float> theta, Task& task, Stream& random) const {
        const auto at = static_cast<std::size_t>(number);
        const GridEvaluation exact = evaluate_exactly(task.policy(), task.environment(), theta);
        TaskOutcome outcome;
        outcome.expected_return = exact.expected_return;
        outcome.success = exact.success;
        outcome.optimal_return = optima(set)[at];
        outcome.sampled_return = mean_of_ten(task, theta, random);
        return outcome;
    }

    void describe(TaskSet set, int number, TaskRecord& record) const {
        const GridTask& task = tasks(set)[static_cast<std::size_t>(number)];
        record.rows = task.map().rows;
        record.columns = task.map().columns;
        for (char cell : task.map().text) record.walls.push_back(cell != '.');
        record.goal = {static_cast<double>(task.settings().goal->row),
                       static_cast<double>(task.settings().goal->column)};
    }

    std::array<double, 2> position(const TaskRecord& record, GridNavigation::State cell) const {
        return {static_cast<double>(cell / record.columns), static_cast<double>(cell % record.columns)};
    }
    template <class Task>
    static std::array<float, 2> action(const Task& task, int column) {
        return {static_cast<float>(task.rollout(0).action(column)), 0.0f};
    }
    static bool reached(const TaskRecord& record, std::array<double, 2> position, bool before) {
        return before || position == record.goal;
    }

    const GridTask* grid_task(TaskSet set, int number) const {
        return &tasks(set)[static_cast<std::size_t>(number)];
    }

    Outcome<int> add_held_out(const std::string& description) {
        Outcome<GridTask> task = parse_task(description);
        if (!task) return tl::unexpected(task.error());
        held_out_.push_back(*std::move(task));
        remember_optima();
        return static_cast<int>(held_out_.size()) - 1;
    }

private:
    static Outcome<StoredMap> load(const NavigationSettings& s) {
        if (!s.rows.empty()) {
            const std::vector<std::string_view> rows(s.rows.begin(), s.rows.end());
            return parse_rows(rows).map_error(
                [](const Error& e) { return dunlin::describe(e, "environment.rows"); });
        }
        return find_map(s.map).map_error([&](const Error& e) {
            Problem wrong = dunlin::describe(e, "environment.map: " + s.map);
            if (e.code == Code::file_missing)
                wrong.text +=
                    fmt::format("; or use a built-in map: empty-RxC, {}", fmt::join(built_in_maps(), ", "));
            return wrong;
        });
    }
    static std::string place(const NavigationSettings& s) {
        return s.rows.empty() ? "environment.map: " + s.map : "environment.rows";
    }

    Outcome<GridTask> parse_task(const std::string& description) const {
        GridTaskSettings settings = common_;
        const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
            if (key == "goal") {
                const auto cell = numbers<int>(value, 2);
                if (cell) settings.goal = GridCell{(*cell)[0], (*cell)[1]};
                return cell.has_value();
            }
            if (key == "moves") {
                const auto moves = numbers<std::uint8_t>(value, move_count);
                if (moves) std::ranges::copy(*moves, settings.moves.begin());
                return moves.has_value();
            }
            const auto probability = numbers<float>(value, 1);
            if ((key != "wind" && key != "slip") || !probability) return false;
            const float p = probability->front();
            (key == "wind" ? settings.wind : settings.slip) = p;
            return p >= 0.0f && p <= 1.0f;
        });
        if (!read) return tl::unexpected(read.error());
        if (!settings.goal) return problem(fmt::format("cannot read \"{}\"; it needs a goal=R,C", description));
        return GridTask::make(map_, settings).map_error([&](const Error& e) {
            return dunlin::describe(e, description);
        });
    }

    void remember_optima() {
        for (TaskSet set : {TaskSet::training, TaskSet::held_out}) {
            std::vector<double>& known = set == TaskSet::training ? training_optima_ : held_out_optima_;
            for (std::size_t k = known.size(); k < tasks(set).size(); ++k)
                known.push_back(optimal_return(tasks(set)[k].environment()));
        }
    }

    template <class Task>
    static double mean_of_ten(Task& task, ConstVector<float> theta, Stream& random) {
        task.draw(0, theta, random);
        const auto& rollout = task.rollout(0);
        double sum = 0, factor = 1;
        for (int h = 0; h < rollout.length(); ++h, factor *= static_cast<double>(task.environment().discount())) {
            for (int k = 0; k < rollout.active(h); ++k) {
                const int column = rollout.first(h) + k;
                if (rollout.trajectory(column) < 10) sum += factor * static_cast<double>(rollout.reward(column));
            }
        }
        return sum / std::min(10, rollout.trajectories());
    }

    const std::vector<GridTask>& tasks(TaskSet set) const {
        return set == TaskSet::training ? training_ : held_out_;
    }
    const std::vector<double>& optima(TaskSet set) const {
        return set == TaskSet::training ? training_optima_ : held_out_optima_;
    }

    StoredMap map_;
    GridTaskSettings common_;
    std::vector<GridTask> training_, held_out_;
    std::vector<double> training_optima_, held_out_optima_;
};

class PointWorld {
public:
    using Environment = PointNavigation;
    using Policy = GaussianPolicy<float>;

    static Outcome<PointWorld> make(const NavigationSettings& s) {
        PointWorld world;
        world.common_.horizon_steps = s.horizon;
        world.common_.discount_factor = s.discount;
        Stream random(s.seed, 1, Purpose::tasks);
        for (int k = 0; k < s.training_tasks + s.held_out_tasks; ++k) {
            const PointNavigation drawn = PointNavigation::sample(random);
            (k < s.training_tasks ? world.training_ : world.held_out_)
                .push_back(world.with_goal(drawn.goal_x, drawn.goal_y));
        }
        return world;
    }

    Outcome<Policy> policy(const NavigationSettings& s, const Kernels<float>* kernels) const {
        const Result<MlpShape> shape =
            MlpShape::make(common_.observation_size(), s.hidden, common_.action_size(), s.activation);
        if (!shape) return problem(shape.error(), "policy.hidden");
        return Policy{Mlp<float>{*shape, kernels}};
    }

    const std::vector<PointNavigation>& environments(TaskSet set) const {
        return set == TaskSet::training ? training_ : held_out_;
    }

    std::vector<std::string> names(TaskSet set) const {
        std::vector<std::string> all;
        for (const PointNavigation& task : environments(set)) {
            all.push_back(fmt::format("task {}: goal ({:.2f}, {:.2f})", all.size() + 1,
                                      static_cast<double>(task.goal_x), static_cast<double>(task.goal_y)));
        }
        return all;
    }

    /// The return of this benchmark is the plain sum of rewards.
    template <class Task>
    TaskOutcome judge(TaskSet, int, ConstVector<float> theta, Task& task, Stream& random) const {
        PointNavigation undiscounted = task.environment();
        undiscounted.discount_factor = 1.0f;
        task.set_environment(undiscounted);
        task.draw(0, theta, random);
        TaskOutcome outcome;
        outcome.expected_return = outcome.sampled_return = -static_cast<double>(task.value(0, theta));
        return outcome;
    }

    void describe(TaskSet set, int number, TaskRecord& record) const {
        const PointNavigation& task = environments(set)[static_cast<std::size_t>(number)];
        record.goal = {static_cast<double>(task.goal_x), static_cast<double>(task.goal_y)};
    }
    std::array<double, 2> position(const TaskRecord&, PointNavigation::State state) const {
        return {static_cast<double>(state.x), static_cast<double>(state.y)};
    }
    template <class Task>
    static std::array<float, 2> action(const Task& task, int column) {
        return task.action_at(0, column);
    }
    /// Whether it is near the goal at the end.
    static bool reached(const TaskRecord& record, std::array<double, 2> position, bool) {
        return std::hypot(position[0] - record.goal[0], position[1] - record.goal[1]) < 0.1;
    }

    static const GridTask* grid_task(TaskSet, int) { return nullptr; }

    Outcome<int> add_held_out(const std::string& description) {
        PointNavigation task = common_;
        const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
            const auto goal = numbers<float>(value, 2);
            if (key != "goal" || !goal) return false;
            task = with_goal((*goal)[0], (*goal)[1]);
            return true;
        });
        if (!read) return tl::unexpected(read.error());
        held_out_.push_back(task);
        return static_cast<int>(held_out_.size()) - 1;
    }

private:
    PointNavigation with_goal(float x, float y) const {
        PointNavigation task = common_;
        task.goal_x = x;
        task.goal_y = y;
        return task;
    }
    PointNavigation common_;
    std::vector<PointNavigation> training_, held_out_;
};

/// What does not depend on the world: settings that must fit each other.
Outcome<NavigationSettings> resolve(NavigationSettings s, int tasks) {
    MetaSettings& meta = s.meta;
    if (s.kind != NavigationSettings{}.kind) {
        return problem(fmt::format("kind = \"{}\": this experiment is of kind {}; leave the key out", s.kind,
                                   NavigationSettings{}.kind));
    }
    if (meta.task_batch > tasks) {
        return problem(fmt::format("rl.task_batch = {}: there are only {} training tasks", meta.task_batch, tasks));
    }
    if (s.meta_rate > 0.0f) {
        meta.interpolation = s.meta_rate * meta.inner.prox_weight;
        if (!(meta.interpolation > 0.0f && meta.interpolation <= 1.0f)) {
            return problem(
                fmt::format("rl.meta_rate = {}: alpha lambda = {} must lie in (0, 1]; use rl.interpolation instead",
                            s.meta_rate, meta.interpolation));
        }
    }
    if (meta.inner.inner_rate * meta.inner.prox_weight >= 1.0f && meta.method == MetaMethod::memrl) {
        return problem(fmt::format(
            "rl.inner_rate = {}: times rl.prox_weight = {} it must stay below 1, or the inner loop overshoots",
            meta.inner.inner_rate, meta.inner.prox_weight));
    }
    if (s.rollout.baseline == Baseline::leave_one_out && s.rollout.trajectories < 2) {
        return problem(
            "rl.trajectories = 1: the leave-one-out baseline needs at least 2; use rl.baseline = \"none\"");
    }
    return s;
}

template <class World>
Outcome<std::unique_ptr<NavigationTraining>> make_training(const NavigationSettings& settings,
                                                           const Kernels<float>* kernels, int threads) {
    Outcome<World> world = World::make(settings);
    if (!world) return tl::unexpected(world.error());
    const auto policy = world->policy(settings, kernels);
    if (!policy) return tl::unexpected(policy.error());
    const Outcome<NavigationSettings> resolved =
        resolve(settings, static_cast<int>(world->environments(TaskSet::training).size()));
    if (!resolved) return tl::unexpected(resolved.error());
    const std::size_t bytes = MetaTrainer<typename World::Environment, typename World::Policy>::bytes(
        *policy, Training<World>::trainer_settings(*resolved, threads), world->environments(TaskSet::training));
    if (bytes > machine_memory()) {
        return problem(fmt::format(
            "the run needs {:.1f} GB of memory, and this machine has {:.1f}; lower rl.trajectories = {}, "
            "rl.horizon = {}, policy.hidden, the map's size or --threads",
            static_cast<double>(bytes) / 1e9, static_cast<double>(machine_memory()) / 1e9,
            settings.rollout.trajectories, settings.horizon));
    }
    return std::make_unique<Training<World>>(*resolved, *std::move(world), *policy, threads);
}

}  // namespace

Result<void> NavigationTraining::load(ConstVector<float> parameters) {
    MetaTrainerState state = save();
    state.parameters.assign(parameters.begin(), parameters.end());
    return restore(state);
}

Outcome<std::unique_ptr<NavigationTraining>> NavigationTraining::make(const NavigationSettings& settings,
                                                                      int threads) {
    const Result<const Kernels<float>*> kernels = find_kernels(settings.kernels);
    if (!kernels) return problem(kernels.error(), "kernels = \"" + settings.kernels + "\"");
    if (settings.world == World::grid) return make_training<GridWorld>(settings, *kernels, threads);
    return make_training<PointWorld>(settings, *kernels, threads);
}

template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;
template class PolicyGradientTask<PointNavigation, GaussianPolicy<float>>;

}  // namespace dunlin

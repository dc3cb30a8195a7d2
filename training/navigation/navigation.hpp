// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mlp.hpp"
#include "core/stop.hpp"
#include "envs/point_navigation.hpp"
#include "envs/rule_generator.hpp"
#include "training/host/failure.hpp"
#include "training/navigation/meta_trainer.hpp"
#include "training/navigation/recurrent_trainer.hpp"
#include "training/navigation/task_record.hpp"
#include "training/settings/settings.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

class GridTask;

enum class World : std::uint8_t { grid, point, rules };
enum class TaskSource : std::uint8_t { three, sampled };
enum class PolicyInput : std::uint8_t { one_hot, coordinates };
enum class Reward : std::uint8_t { sparse, dense };

/// All that a navigation experiment can be told. Defaults are those of experiments/navigation.toml.
/// What the plane's tasks are like.
struct PointWorldSettings {
    PointReward reward = PointReward::squared_distance;
    float goal_radius = 0.0f;  ///< a trajectory ends within it
    int obstacles = 0;         ///< discs, the same for all tasks
    float obstacle_radius = 0.1f;
    float drift_limit = 0.0f;  ///< each task's drift is uniform up to it, in x and in y
};

struct NavigationSettings {
    std::string kind = "navigation";
    std::string experiment = "navigation";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

    World world = World::grid;
    std::string map = "empty-7x7";                 ///< a built-in name or a file in MovingAI's format
    std::vector<std::string> rows;                 ///< or the map itself
    std::vector<std::string> maps, held_out_maps;  ///< or several: names, files and folders of files (map_set.hpp)
    int largest_side = 0;                          ///< maps of folders with a longer one are left out; 0: none
    TaskSource tasks = TaskSource::three;
    std::vector<std::string> goals;  ///< "row,column" each; instead of `tasks`
    int training_tasks = 20;         ///< of sampled tasks
    int held_out_tasks = 20;
    Reward reward = Reward::sparse;
    std::vector<int> start;  ///< row, column; empty: random
    bool permute_actions = false;
    float wind_limit = 0.0f;
    float slip_limit = 0.0f;
    bool diagonal = false;               ///< grid: moves to all eight neighbours
    PointWorldSettings point;            ///< of the plane
    RuleWorldSettings rules;             ///< of rule worlds, but for horizon and discount
    std::uint64_t environment_seed = 0;  ///< which rule worlds; 0: those of `seed`
    RuleSplit held_out_part = RuleSplit::test;

    std::vector<int> hidden{64, 64};
    Activation activation = Activation::tanh;
    std::vector<int> value_hidden{64, 64};  ///< of the value network, where rl.baseline asks for one
    PolicyInput input = PolicyInput::one_hot;
    float output_gain = 0.01f;
    float first_log_sigma = -0.5f;

    int iterations = 120;
    int environment_steps = 0;  ///< of training, instead of iterations; 0: not given
    int horizon = 30;
    float discount = 0.95f;
    float meta_rate = 0.0f;  ///< alpha; 0: alpha = interpolation / prox_weight
    MetaSettings meta{.maml = {.steps = 0, .inner_rate = 0.0f, .score_term = true, .step_clip = -1.0f}};
    RolloutSettings rollout{.trajectories = 40};
    RecurrentSettings recurrent;  ///< of a policy with a memory

    int evaluate_every = 1;         ///< iterations between evaluations, at least
    float evaluation_share = 0.5f;  ///< most of the work that evaluations on a large map may be
    int adaptation_steps = 10;      ///< inner steps on held-out tasks
    int shown_trajectories = 10;
};

/// The list of these settings, for files, --set and help.
Settings navigation_settings(NavigationSettings& settings);
/// Adds those that follow the head of the document.
void add_navigation_settings(Settings& list, NavigationSettings& settings);

enum class TaskSet : std::uint8_t { training, held_out };

/// The policy that is adapted: the meta-policy, or the untrained one that training began with.
enum class StartPolicy : std::uint8_t { meta, untrained };

/// The value network that settings ask for, beside a policy of this shape; one without layers where they ask for none.
/// Error: a shape that is none.
Outcome<Mlp<float>> critic_of(const NavigationSettings& settings, const MlpShape& policy,
                              const Kernels<float>* kernels);

/// A navigation experiment as a program drives it, whatever the world is made of.
class NavigationTraining {
public:
    /// Errors name the setting, file and line that is wrong.
    static Outcome<std::unique_ptr<NavigationTraining>> make(const NavigationSettings& settings, int threads);
    virtual ~NavigationTraining() = default;

    /// One meta-iteration. Errors: a NaN, with the iteration; the parameters are those before it.
    virtual Outcome<void> iterate() = 0;
    virtual std::int64_t iteration() const = 0;
    virtual std::int64_t environment_steps() const = 0;
    virtual std::int64_t gradients() const = 0;
    /// Whether training is as long as settings say. A length in environment steps is met as nearly as whole iterations
    /// can: the last one is left out where that is nearer.
    bool finished() const;
    /// Environment steps that adaptation took in the last `evaluate`, over all tasks, without those of judging.
    virtual std::int64_t adaptation_environment_steps() const = 0;

    virtual std::vector<std::string> task_names(TaskSet set) const = 0;
    /// How many of a set differ from all others of it.
    virtual int distinct_tasks(TaskSet set) const = 0;
    /// Whether a held-out task is one of those of training.
    virtual bool trained_on(int held_out) const = 0;
    /// What a user should know of tasks that are fewer, or less different, than asked for: a sentence each.
    std::vector<std::string> notes() const;
    /// What the world adds to them.
    virtual std::vector<std::string> world_notes() const { return {}; }
    /// Outer steps, in this process, that did not move the parameters because none within a trust region was better.
    virtual std::int64_t outer_steps_stayed() const { return 0; }

    /// From now on asked by what takes long: iterate, evaluate and record are then left off.
    virtual void stop_when(StopAsked stop) = 0;
    virtual bool stopped() const = 0;

    /// Iterations between two evaluations. As report.evaluate_every says; but on a grid of more than 1,024 cells so
    /// many that evaluations are at most report.evaluation_share of all work, by a count of multiplications that
    /// depends on settings alone.
    virtual int evaluation_interval() const = 0;

    /// Adapts the meta-policy to every task of a set: outcomes[task][k] after k inner steps, or with `last_only`
    /// one outcome a task. Different epochs draw different trajectories, the same one the same for any start. Of no
    /// use when `stopped` afterwards.
    virtual std::vector<std::vector<TaskOutcome>> evaluate(TaskSet set, int steps, std::uint64_t epoch,
                                                           bool last_only,
                                                           StartPolicy start = StartPolicy::meta) = 0;
    /// What one policy for all training tasks, made with all that is known of them, reaches on every task of a set
    /// without adaptation. Empty where that would take too long (`single_policy`), and when `stopped`.
    virtual std::vector<TaskOutcome> best_single_policy(TaskSet set) = 0;
    /// The epoch of numbers that `dunlin adapt` and boards adapt with: none that an iteration's evaluation has
    /// drawn.
    static constexpr std::uint32_t fresh_epoch = set_apart_epochs + 2;
    /// Trajectories of the first `most` tasks after `steps` inner steps. Of no use when `stopped` afterwards.
    virtual std::vector<TaskRecord> record(TaskSet set, int steps, int trajectories,
                                           std::size_t most = std::numeric_limits<std::size_t>::max(),
                                           StartPolicy start = StartPolicy::meta) = 0;
    /// Adds a held-out task: "goal=R,C" and, by choice, "wind=P", "slip=P", "moves=4 digits..." (grid), or
    /// "goal=X,Y" (point), or "number=N" and "seed=S" (rules), joined by ';'. Returns its number.
    virtual Outcome<int> add_held_out(const std::string& description) = 0;

    /// Task `number` of a set; null in other worlds than the grid.
    virtual const GridTask* grid_task(TaskSet set, int number) const = 0;

    /// Of a perceptron; empty where there is a network of other layers.
    virtual const MlpShape& shape() const = 0;
    /// Of a policy with a memory; null else.
    virtual const NetworkShape* network() const { return nullptr; }
    virtual bool continuous() const = 0;
    virtual bool evaluates_per_state() const = 0;
    virtual std::string kernels() const = 0;
    virtual ConstVector<float> parameters() const = 0;
    /// What an adaptation takes beside the policy: the parameters of a value network, and learned step sizes.
    virtual ConstVector<float> adaptation_numbers() const = 0;
    virtual MetaTrainerState save() = 0;
    virtual Result<void> restore(const MetaTrainerState& state) = 0;
    /// Replaces the meta-policy, and what goes with it. Error: shape_mismatch.
    Result<void> load(ConstVector<float> parameters, ConstVector<float> adaptation_numbers);

    /// Inner steps of an adaptation as long as training's.
    int training_steps() const { return settings_.meta.adaptation().step_limit; }
    const NavigationSettings& settings() const { return settings_; }

protected:
    explicit NavigationTraining(NavigationSettings settings) : settings_(std::move(settings)) {}
    NavigationSettings settings_;
};

}  // namespace dunlin

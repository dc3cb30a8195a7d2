// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/math.hpp"
#include "core/task.hpp"
#include "rl/actor_critic.hpp"
#include "rl/advantage.hpp"
#include "rl/baseline.hpp"
#include "rl/environment.hpp"
#include "rl/policy.hpp"
#include "rl/rollout.hpp"
#include "rl/rollout_settings.hpp"
#include "rl/surrogate.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace dunlin {

/// Reinforcement learning as a Task: the loss is minus the expected discounted return J(w), and
///
///     dJ(w)   ~ 1/D sum over trajectories, steps of  d log pi(a^h | s^h; w) (R^h - baseline),
///     R^h     = sum over l >= h of gamma^l r^l
///     d2J(w)v ~ the derivative of that sum along v, for a batch that stays as it is
///
/// (MEMRL, Part III of the slides; the Hessian of a fixed batch is what debiased MAML needs, Fallah et al. 2021.)
/// `value` is minus the batch's mean return, whatever the parameters; `surrogate` is the function whose derivative
/// `gradient` is. Many trajectories share one evaluation of the policy: they are the columns of its matrices.
///
/// Memory comes from an arena at set-up; afterwards nothing allocates. One object serves many environments in turn.
///
/// Further terms of the loss, which `gradient`, `hessian_vector` and `surrogate` know: minus c_H times the entropy of the
/// policy in every state that was visited, summed as the scores are (1/D); and with Baseline::value, for policies with a
/// critic, half the mean over steps of (V - target)^2 times a weight (rl/advantage.hpp says what the target is). A ratio
/// surrogate has no Hessian here. Values and ratios are evaluated per step. These terms are of an ActorCritic policy, with or
/// without a critic; of others the settings must leave them alone.
///
/// `lean`, for devices and per state: only what each action weighs in each state stays of a batch. States are
/// evaluated column_multiple at a time, for each gradient anew, where the trajectories were before: in a workspace
/// that is lent, and may hold anything between two calls. The numbers are the same. start, reached, rollout and
/// score_sum go without.
template <Environment E, class Policy, bool lean = false>
class PolicyGradientTask {
public:
    using S = typename Policy::Scalar;
    using State = typename E::State;
    static constexpr bool continuous = Policy::continuous;
    static constexpr int action_limit = 64;        ///< numbers of a continuous action
    static constexpr int observation_limit = 256;  ///< numbers of an observation
    /// Ratios, entropy and values are of policies with a place for a critic (ActorCritic), so that boards go without.
    static constexpr bool has_more = !lean && MayCriticise<Policy>;
    static_assert(continuous ? ContinuousEnvironment<E> : DiscreteEnvironment<E>);

    [[gnu::always_inline]]  // where settings are constants, hardly anything is left of it
    PolicyGradientTask(const Policy& policy, const RolloutSettings& settings, const RolloutLimits& limits,
                       Arena& arena) requires(!lean)
        : PolicyGradientTask(policy, settings, limits) {
        lay_out(policy, settings, limits, arena, arena, arena);
    }
    /// A lean one: `workspace` holds workspace_bytes, aligned as an Arena's.
    PolicyGradientTask(const Policy& policy, const RolloutSettings& settings, const RolloutLimits& limits,
                       Arena& arena, std::span<std::byte> workspace) requires lean
        : PolicyGradientTask(policy, settings, limits) {
        if (!per_state_) __builtin_trap();
        Arena record(workspace), network(workspace);
        lay_out(policy, settings, limits, arena, record, network);
    }

    /// Bytes of arena that a task takes; a constant where its arguments are.
    static constexpr std::size_t bytes(const Policy& policy, const RolloutSettings& settings,
                                       const RolloutLimits& limits) {
        ArenaSize size, record, network;
        PolicyGradientTask task(policy, settings, limits);
        lean ? task.lay_out(policy, settings, limits, size, record, network)
             : task.lay_out(policy, settings, limits, size, size, size);
        return size.bytes();
    }
    static constexpr std::size_t workspace_bytes(const Policy& policy, const RolloutSettings& settings,
                                                 const RolloutLimits& limits) {
        ArenaSize size, record, network;
        PolicyGradientTask(policy, settings, limits).lay_out(policy, settings, limits, size, record, network);
        return std::max(record.bytes(), network.bytes());
    }

    /// The environment of the batches to come; its horizon and states are within the limits.
    void set_environment(const E& environment) { environment_ = environment; }
    const E& environment() const { return environment_; }
    const Policy& policy() const { return policy_; }
    bool evaluates_per_state() const { return per_state_; }

    std::size_t dimension() const { return policy_.parameters(); }
    int slots() const { return settings_.slots; }
    /// Environment steps sampled so far.
    std::int64_t steps() const { return steps_; }
    const Rollout<S>& rollout(int slot) const { return batches_[static_cast<std::size_t>(slot)].rollout; }
    /// Where a trajectory started, and where the step in a column led.
    const State& start(int slot, int trajectory) const {
        return batches_[static_cast<std::size_t>(slot)].start[static_cast<std::size_t>(trajectory)];
    }
    const State& reached(int slot, int column) const {
        return batches_[static_cast<std::size_t>(slot)].reached[static_cast<std::size_t>(column)];
    }

    /// A continuous action's first two numbers.
    std::array<S, 2> action_at(int slot, int column) const {
        const Batch& batch = batches_[static_cast<std::size_t>(slot)];
        int h = 0;
        while (h + 1 < batch.rollout.length() && batch.rollout.first(h + 1) <= column) ++h;
        const S* first = batch.actions.data() +
                         static_cast<std::ptrdiff_t>(batch.rollout.first(h)) * policy_.actions() +
                         (column - batch.rollout.first(h));
        return {first[0], policy_.actions() > 1 ? first[batch.rollout.width(h)] : S(0)};
    }

    void draw(int slot, ConstVector<S> w, Stream& random);
    S value(int slot, ConstVector<S>) const { return -batches_[static_cast<std::size_t>(slot)].mean_return; }
    void gradient(int slot, ConstVector<S> w, Vector<S> out) { differentiate(slot, w, out, Weights::advantages); }
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out);
    void score_sum(int slot, ConstVector<S> w, Vector<S> out) { differentiate(slot, w, out, Weights::ones); }
    S surrogate(int slot, ConstVector<S> w);

    // Of tasks that compare probabilities. How far pi(. ; w) is from what the batch was drawn under: the mean over its
    // steps of (log pi(a | s; w) - log pi(a | s; drawn))^2 / 2, which near the latter is the Kullback-Leibler divergence,
    // its second derivative there being the Fisher information; and its derivative.
    S divergence(int slot, ConstVector<S> w);
    void divergence_gradient(int slot, ConstVector<S> w, Vector<S> out) {
        differentiate(slot, w, out, Weights::divergence);
    }
    /// The parameters that a batch was last asked under, or drawn; not of a task that keeps no copy of them.
    ConstVector<S> asked_under(int slot) const { return batches_[static_cast<std::size_t>(slot)].parameters; }

private:
    constexpr PolicyGradientTask(const Policy& policy, const RolloutSettings& settings, const RolloutLimits& limits)
        : policy_(policy), settings_(settings), limits_(limits) {
        const bool more = settings.surrogate.compares() || settings.entropy_weight > 0.0f;
        if (!has_more && (more || settings.baseline == Baseline::value)) __builtin_trap();
        per_state_ = chooses_per_state();
        widest_ = per_state_ ? pad_columns(limits.states) : pad_columns(settings.trajectories);
    }

    /// What lasts from call to call, what a batch does while it is drawn, and what evaluation takes.
    template <class A, class R, class N>
    [[gnu::always_inline]] constexpr void lay_out(const Policy& policy, const RolloutSettings& settings,
                                                  const RolloutLimits& limits, A& arena, R& record, N& network) {
        const auto size = [](auto... factors) { return (static_cast<std::size_t>(factors) * ...); };
        const MlpShape& shape = policy.network.shape;
        const int widest = widest_, block = lean ? column_multiple : widest;
        const std::size_t columns = Rollout<S>::capacity(settings.trajectories, limits.horizon);
        const std::size_t evaluated = per_state_ ? static_cast<std::size_t>(block) : columns;
        const auto trajectories = static_cast<std::size_t>(settings.trajectories);
        batches_ = arena.template take<Batch>(static_cast<std::size_t>(settings.slots));
        for (int slot = 0; slot < settings.slots; ++slot) {
            Batch batch;
            batch.rollout = Rollout<S>(settings.trajectories, limits.horizon, record);
            if (!settings.as_drawn && !lean) batch.parameters = arena.template take<S>(policy.parameters());
            batch.start = record.template take<State>(lean ? 0 : trajectories);
            batch.reached = record.template take<State>(lean ? 0 : columns);
            batch.observations =
                record.template take<S>(observes_steps() ? size(limits.observations) * columns : 0);
            batch.tape = network.template take<S>(size(shape.units()) * evaluated);
            if (continuous) batch.actions = record.template take<S>(size(policy.actions()) * columns);
            if (per_state_) batch.counts = arena.template take<S>(size(policy.actions(), widest));
            if constexpr (has_more) {
                batch.more.old_log = arena.template take<S>(settings.surrogate.compares() ? columns : 0);
                batch.more.visits =
                    arena.template take<S>(per_state_ && settings.entropy_weight > 0 ? size(widest) : 0);
                const bool valued = values();
                batch.more.values = arena.template take<S>(valued ? columns : 0);
                batch.more.targets = arena.template take<S>(valued ? columns : 0);
                batch.more.tape = arena.template take<S>(size(critic_units()) * columns);
            }
            if (!batches_.empty()) batches_[static_cast<std::size_t>(slot)] = batch;
        }
        deltas_ = network.template take<S>(size(shape.units(), block));
        if (settings.second_order) {
            tangents_ = network.template take<S>(size(shape.units(), block));
            tangent_deltas_ = network.template take<S>(size(shape.units(), block));
        }
        if constexpr (has_more) {
            more_.deltas = arena.template take<S>(size(critic_units(), block));
            const int second = settings.second_order ? critic_units() : 0;
            more_.tangents = arena.template take<S>(size(second, block));
            more_.tangent_deltas = arena.template take<S>(size(second, block));
            more_.next = arena.template take<S>(values() ? trajectories : 0);
            more_.sums = arena.template take<S>(values() ? trajectories : 0);
            more_.final_tape = arena.template take<S>(size(critic_units(), widest));
            more_.final_observations =
                arena.template take<S>(values() && !shape.one_hot ? size(limits.observations, widest) : 0);
            more_.final_index = arena.template take<std::int32_t>(values() ? size(widest) : 0);
        }
        counts_ = arena.template take<S>(lean ? 0 : size(policy.actions(), widest));
        features_ = record.template take<S>(
            settings.baseline == Baseline::linear ? size(linear_features(limits.observations)) * columns : 0);
        cumulative_ = arena.template take<float>(per_state_ ? size(policy.actions(), widest) : 0);
        state_index_ = arena.template take<std::int32_t>(per_state_ ? static_cast<std::size_t>(widest) : 0);
        lanes_ = record.template take<std::int32_t>(trajectories);
        states_ = record.template take<State>(trajectories);
        streams_ = record.template take<Stream>(trajectories);
        state_observations_ = network.template take<S>(observes_states() ? size(limits.observations, block) : 0);
        for (std::size_t s = 0; s < state_index_.size(); ++s) {
            state_index_[s] = static_cast<std::int32_t>(std::min(static_cast<int>(s), limits.states - 1));
        }
    }

    enum class Weights { advantages, ones, divergence };

    /// What boards go without takes no room there, but has names.
    struct Nothing {
        static constexpr std::span<S> old_log{}, visits{}, values{}, targets{}, tape{};
        static constexpr std::span<S> deltas{}, tangents{}, tangent_deltas{}, next{}, sums{};
        static constexpr std::span<S> final_tape{}, final_observations{};
        static constexpr std::span<std::int32_t> final_index{};
    };
    struct MoreOfBatch {
        std::span<S> old_log;                ///< log pi(a | s) under which an action was drawn, by column
        std::span<S> visits;                 ///< per state
        std::span<S> values, targets, tape;  ///< the critic's, by column
    };
    struct More {
        std::span<S> deltas, tangents, tangent_deltas;  ///< the critic's
        std::span<S> next, sums;                        ///< by trajectory
        std::span<S> final_tape, final_observations;    ///< of where trajectories were cut
        std::span<std::int32_t> final_index;
    };

    struct Batch {
        Rollout<S> rollout;
        std::span<S> parameters;    ///< that the tape was evaluated under; empty where that goes without saying
        std::span<S> observations;  ///< a matrix a time step, where the policy or the baseline looks at them
        std::span<S> tape;          ///< activations; the output rows of a categorical policy hold probabilities
        std::span<S> actions;       ///< of a continuous policy
        std::span<S> counts;        ///< per state: total weight of each action
        std::span<State> start, reached;
        S mean_return = 0;
        [[no_unique_address]] std::conditional_t<has_more, MoreOfBatch, Nothing> more;
    };

    /// What is evaluated at once: all states, or the columns of one time step.
    struct Block {
        Inputs<S> inputs;
        Columns<S> tape;
        Columns<S> actions;
        int step;  ///< -1 for states
        int columns;
        int first;  ///< the first state
    };

    constexpr bool chooses_per_state() const {
        if constexpr (FiniteEnvironment<E> && !continuous) {
            if constexpr (has_more) {
                if (settings_.surrogate.compares() || values()) return false;
            }
            if (settings_.evaluation != Evaluation::automatic) return settings_.evaluation == Evaluation::per_state;
            return limits_.states > 0 && limits_.states * 2 <= settings_.trajectories * limits_.horizon;
        }
        return false;
    }

    constexpr bool values() const {
        if constexpr (has_more) return settings_.baseline == Baseline::value && policy_.criticises();
        return false;
    }
    constexpr int critic_units() const {
        if constexpr (has_more) return values() ? policy_.critic.shape.units() : 0;
        return 0;
    }

    constexpr bool observes_states() const { return per_state_ && !policy_.network.shape.one_hot; }
    constexpr bool observes_steps() const {
        return (!per_state_ && !policy_.network.shape.one_hot) || settings_.baseline == Baseline::linear;
    }

    int blocks(const Batch& batch) const {
        if (!per_state_) return batch.rollout.length();
        return lean ? widest_ / column_multiple : 1;
    }
    Block block(Batch& batch, int k) const {
        const bool one_hot = policy_.network.shape.one_hot;
        if (per_state_) {
            const int columns = lean ? column_multiple : widest_, first_state = k * columns;
            return {{{state_observations_.data(), columns}, one_hot ? state_index_.data() + first_state : nullptr},
                    {batch.tape.data(), columns},
                    {},
                    -1,
                    columns,
                    first_state};
        }
        const int columns = batch.rollout.width(k);
        const std::ptrdiff_t first = batch.rollout.first(k);
        return {{{batch.observations.data() + first * limits_.observations, columns},
                 one_hot ? batch.rollout.indices(k) : nullptr},
                {batch.tape.data() + first * policy_.network.shape.units(), columns},
                {continuous ? batch.actions.data() + first * policy_.actions() : nullptr, columns},
                k,
                columns,
                0};
    }

    void evaluate(const S* w, const Block& b) const {
        policy_.network.forward(w, b.inputs, b.tape, b.columns);
        if constexpr (!continuous) {
            const Columns<S> out = policy_.network.output(b.tape);
            policy_.network.kernels->softmax(out, out, policy_.actions(), b.columns);
        }
    }

    /// Evaluates the whole batch under w, unless it was.
    void ensure(Batch& batch, ConstVector<S> w) {
        if (settings_.as_drawn || lean) return;
        if (std::memcmp(w.data(), batch.parameters.data(), w.size_bytes()) == 0) return;
        for (int k = 0; k < blocks(batch); ++k) {
            const Block b = block(batch, k);
            evaluate(w.data(), b);
            value(w.data(), batch, b);
        }
        std::copy(w.begin(), w.end(), batch.parameters.begin());
    }

    /// Evaluates the critic where the policy is.
    void value(const S* w, Batch& batch, const Block& b) const {
        if constexpr (has_more) {
            if (values()) policy_.critic.forward(critic_of(w), b.inputs, critic_tape(batch, b), b.columns);
        }
    }
    template <class P>
    P* critic_of(P* parameters) const {
        return parameters + policy_parameters(policy_);
    }
    Columns<S> critic_tape(Batch& batch, const Block& b) const {
        const std::ptrdiff_t first = batch.rollout.first(b.step);
        return {batch.more.tape.data() + first * critic_units(), b.columns};
    }
    void keep_as_drawn(Batch& batch, const Block& b, const S* w);
    void weigh_by_value(Batch& batch, const S* w, int running);
    S log_probability(Batch& batch, const Block& b, const S* w, int column) const;
    S visited(const Batch& batch, const Block& b, int column) const;
    void add_entropy(Batch& batch, const Block& b, Columns<S> deltas, S* log_sigma_gradient) const;
    void add_entropy_tangent(Batch& batch, const Block& b, Columns<const S> moved, Columns<S> out) const;
    S value_scale(const Batch& batch) const;
    void value_delta(Batch& batch, const Block& b, Columns<S> deltas) const;
    void add_value_gradient(Batch& batch, const Block& b, const S* w, S* out);
    void add_value_product(Batch& batch, const Block& b, const S* w, const S* v, S* out);
    static S safe_log(S p) { return portable::log(std::max(p, S(1e-30))); }
    S more_surrogate(Batch& batch, const Block& b, const S* w) const;

    void evaluate_states(const Block& b, const S* w);
    /// A block as it was evaluated: of a lean task by now.
    Block evaluated(Batch& batch, int k, const S* w) {
        const Block b = block(batch, k);
        if (lean) evaluate_states(b, w);
        return b;
    }
    void accumulate_probabilities(const Block& b);
    void observe(Batch& batch, int h);
    void observe(const State& state, S* out, std::ptrdiff_t stride) const;
    auto act(const Block& b, int column, State& state, Stream& random, std::int32_t& action) const;
    /// `running` trajectories were cut by the horizon; what a critic needs.
    void weigh(Batch& batch, const S* w = nullptr, int running = 0);
    void count(const Rollout<S>& rollout, Weights weights, Columns<S> out) const;
    Columns<const S> action_weights(Batch& batch, const Block& b, const S* w, Weights weights);
    Columns<S> delta(Batch& batch, const Block& b, const S* w, Weights weights, S* log_sigma_gradient);
    void differentiate(int slot, ConstVector<S> w, Vector<S> out, Weights weights);

    Policy policy_;
    RolloutSettings settings_;
    RolloutLimits limits_;
    E environment_{};
    bool per_state_ = false;
    int widest_ = 0;  ///< most columns of a block
    std::int64_t steps_ = 0;
    std::span<Batch> batches_;
    std::span<S> deltas_, tangents_, tangent_deltas_, counts_, state_observations_, features_;
    std::span<float> cumulative_;
    std::span<std::int32_t> state_index_, lanes_;
    std::span<State> states_;
    std::span<Stream> streams_;
    std::array<float, continuous ? action_limit : 0> sigma_{};
    [[no_unique_address]] std::conditional_t<has_more, More, Nothing> more_{};
};

}  // namespace dunlin

#include "rl/policy_gradient_task.ipp"
#include "rl/policy_gradient_terms.ipp"

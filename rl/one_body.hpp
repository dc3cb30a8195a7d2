// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "core/arena.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"
#include "rl/policy.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <span>

namespace dunlin {

struct OneBodySettings {
    int trajectories = 1;       ///< D >= 1, lived one after the other between two updates
    int horizon = 16;           ///< H >= 1: a life is cut after so many steps, and goes on as the next one
    float discount = 0.99f;     ///< gamma
    bool leave_one_out = true;  ///< where D > 1, as Baseline::leave_one_out
    MoreauEnvelope inner{.prox_weight = 0.0f, .inner_rate = 0.1f, .accuracy = 0.0f};  ///< one step of it an update
};

/// Reinforcement learning with one real body: a motor, a valve, a robot, whose world cannot be copied. Step by step
///
///     action = act(observation)        // a forward pass and a draw
///     ... the body does it ...
///     reward(r, ended)                 // true: D lives are complete
///     update(multiply_adds)            // a slice of the work; true: the policy has moved
///
/// The gradient is PolicyGradientTask's, of D trajectories that were lived one after the other:
///
///     g = -1/D sum over lives, steps of  d log pi(a^h | s^h; w) (R^h - baseline),  R^h = sum over l >= h of gamma^l r^l
///     w <- w - beta (g + lambda (w - anchor))
///
/// with the bits of the batch estimator under reference kernels (of a Gaussian policy's deviations where D = 1), for
/// sums run over steps first and lives second. What is kept of a step is what was seen, done and earned: an update
/// evaluates the policy again instead of keeping its activations.
///
/// Work is bounded and counted in multiply-adds: a product that is added in a layer is 1, an activation or an
/// exponential `elementary`, a number of the gradient `pull_work` and `move_work`. A slice does at most the number that
/// it is given, or least_slice() where that is more. On a Cortex-M4F one is 2 to 4 instructions, and no slice of 1,000
/// took more than 4,000 (docs/boards.md).
///
/// The body goes on while an update is under way: what `act` is asked for then is not learned from, until that life
/// has ended or is cut. In the last part of an update it acts by parameters of which some have moved.
///
/// Memory is the arena's; parameters, anchor and gradient belong to the caller, who leaves them alone from the first
/// slice of an update to the last. Not for two threads at once. Allocates nothing.
template <class Policy>
class OneBody {
public:
    using S = typename Policy::Scalar;
    static constexpr bool continuous = Policy::continuous;
    // What other work counts as, by what it takes on a Cortex-M4F.
    static constexpr int elementary = 24;
    static constexpr std::uint32_t pull_work = 8, move_work = 4;  // a number of the gradient
    static constexpr int life_work = 12;                          // a step of a life

    /// `observations`: numbers that the policy sees; a one-hot policy sees a state instead.
    OneBody(const Policy& policy, const OneBodySettings& settings, Vector<S> parameters, ConstVector<S> anchor,
            Vector<S> gradient, const Stream& random, Arena& arena)
        : OneBody(policy, settings) {
        assert(parameters.size() == policy.parameters() && anchor.size() == parameters.size() &&
               gradient.size() == parameters.size());
        assert(settings.trajectories >= 1 && settings.horizon >= 1);
        parameters_ = parameters;
        anchor_ = anchor;
        gradient_ = gradient;
        random_ = random;
        lay_out(arena);
    }

    /// Bytes of arena that it takes; a constant where the arguments are.
    static constexpr std::size_t bytes(const Policy& policy, const OneBodySettings& settings) {
        ArenaSize size;
        OneBody(policy, settings).lay_out(size);
        return size.bytes();
    }

    /// The smallest slice that gets an update on: the work on one number that goes into a layer, or on a life.
    static constexpr std::uint32_t least_slice(const Policy& policy, const OneBodySettings& settings) {
        const MlpShape& shape = policy.network.shape;
        std::uint32_t most =
            static_cast<std::uint32_t>(std::max({life_work * settings.horizon, life_work * settings.trajectories,
                                                 static_cast<int>(pull_work) * lanes}));
        for (int l = 0; l < shape.layers; ++l)
            most = std::max({most, forward_work(shape, l, 1, true, true), backward_work(shape, l, 1, true)});
        return std::max(most, head_work(shape));
    }

    /// The action in this state. A discrete policy's is a number; a Gaussian one's numbers go to `action`.
    std::int32_t act(std::span<const S> observation) requires(!continuous) { return chosen(observed(observation)); }
    std::int32_t act(std::int32_t state) requires(!continuous) { return chosen(observed(state)); }
    void act(std::span<const S> observation, std::span<S> action) requires continuous {
        draw_numbers(observed(observation), action);
    }

    /// What the last action earned, and whether that ended the life. True: an update is due.
    bool reward(S earned, bool ended) {
        assert(acted_);
        acted_ = false;
        if (recorded_) weights_[at(life_, step_)] = earned;
        ++step_;
        if (!ended && step_ < settings_.horizon) return due();
        if (recorded_) lengths_[static_cast<std::size_t>(life_)] = step_;
        if (recorded_ || due()) ++life_;
        if (recorded_ && life_ == settings_.trajectories) begin_update();
        step_ = 0;
        return due();
    }

    /// Are D lives complete, or is an update under way?
    bool due() const { return phase_ != Phase::living; }
    /// Goes on with the update. True: it is complete, or none was due.
    bool update(std::uint32_t multiply_adds) {
        left_ = multiply_adds;
        begun_ = false;
        while (phase_ != Phase::living) {
            if (!advance()) return false;
        }
        return true;
    }

    /// The mean discounted return of the lives of the last update.
    S mean_return() const { return mean_return_; }
    std::uint32_t updates() const { return updates_; }

private:
    enum class Phase : std::uint8_t { living, rewards, baselines, clear, forward, head, backward, pull, move };
    static constexpr int lanes = 16;  ///< of a dot product (core/vector.hpp)

    constexpr OneBody(const Policy& policy, const OneBodySettings& settings)
        : policy_(policy), settings_(settings) {}

    const MlpShape& shape() const { return policy_.network.shape; }

    template <class A>
    constexpr void lay_out(A& arena) {
        const MlpShape& s = policy_.network.shape;
        const auto count = [](auto... factors) { return (static_cast<std::size_t>(factors) * ...); };
        const std::size_t steps = count(settings_.trajectories, settings_.horizon);
        if (s.one_hot)
            states_ = arena.template take<std::int32_t>(steps);
        else
            observations_ = arena.template take<S>(steps * count(s.inputs));
        if (continuous)
            numbers_ = arena.template take<S>(steps * count(s.outputs()));
        else
            actions_ = arena.template take<std::int32_t>(steps);
        weights_ = arena.template take<S>(steps);
        lengths_ = arena.template take<std::int32_t>(count(settings_.trajectories));
        acting_ = arena.template take<S>(count(s.units()));
        tape_ = arena.template take<S>(count(s.units()));
        deltas_ = arena.template take<S>(count(s.units()));
    }

    std::size_t at(int life, int step) const {
        return static_cast<std::size_t>(life) * static_cast<std::size_t>(settings_.horizon) +
               static_cast<std::size_t>(step);
    }
    const S* seen(std::size_t step) const {
        return observations_.data() + step * static_cast<std::size_t>(shape().inputs);
    }

    /// Opens a step, and a life where the last one is over.
    void open_step() {
        assert(!acted_);
        acted_ = true;
        if (step_ > 0) return;
        recorded_ = phase_ == Phase::living;
        if (recorded_ && life_ == 0) random_.next_epoch();
        stream_ = random_.lane(static_cast<std::uint32_t>(life_));  // beyond D while an update is under way
    }
    /// The output row of the network for this observation.
    S* observed(std::span<const S> observation) {
        assert(!shape().one_hot && observation.size() == static_cast<std::size_t>(shape().inputs));
        open_step();
        if (recorded_) {
            std::copy(observation.begin(), observation.end(),
                      observations_.begin() + static_cast<std::ptrdiff_t>(at(life_, step_)) *
                                                  static_cast<std::ptrdiff_t>(shape().inputs));
        }
        policy_.network.forward_one(parameters_.data(), observation.data(), acting_.data());
        return acting_.data() + shape().row_at(shape().layers - 1);
    }
    S* observed(std::int32_t state) {
        assert(shape().one_hot && state >= 0 && state < shape().inputs);
        open_step();
        if (recorded_) states_[at(life_, step_)] = state;
        policy_.network.forward(parameters_.data(), {{}, &state}, {acting_.data(), 1}, 1);
        return acting_.data() + shape().row_at(shape().layers - 1);
    }

    std::int32_t chosen(S* output) {
        const int actions = shape().outputs();
        const Columns<S> out{output, 1};
        policy_.network.kernels->softmax(out, out, actions, 1);
        const float u = stream_.uniform();
        float sum = 0.0f;
        std::int32_t action = 0;
        for (int a = 0; a + 1 < actions; ++a) {
            sum += static_cast<float>(output[a]);
            action += u >= sum;
        }
        if (recorded_) actions_[at(life_, step_)] = action;
        return action;
    }
    void draw_numbers(const S* mean, std::span<S> action) {
        const int actions = shape().outputs();
        assert(action.size() == static_cast<std::size_t>(actions));
        const S* log_sigma = policy_.log_sigma(parameters_.data());
        for (int k = 0; k < actions; ++k) {
            const S number = mean[k] + portable::exp(log_sigma[k]) * S(stream_.normal());
            action[static_cast<std::size_t>(k)] = number;
            if (recorded_)
                numbers_[at(life_, step_) * static_cast<std::size_t>(actions) + static_cast<std::size_t>(k)] =
                    number;
        }
    }

    static constexpr std::uint32_t activation_work(const MlpShape& shape, int layer) {
        const Activation activation = shape.activation(layer);
        const bool curved = activation == Activation::tanh || activation == Activation::sigmoid;
        return activation == Activation::identity ? 0u : curved ? static_cast<std::uint32_t>(elementary) : 1u;
    }
    /// Rows of a layer's weights are what leaves one of its inputs; the bias comes with the first and the activation
    /// with the last.
    static constexpr std::uint32_t forward_work(const MlpShape& shape, int l, int rows, bool first, bool last) {
        const auto width = static_cast<std::uint32_t>(shape.width(l));
        return width *
               (static_cast<std::uint32_t>(rows) + (first ? 1u : 0u) + (last ? activation_work(shape, l) : 0u));
    }
    static constexpr std::uint32_t backward_work(const MlpShape& shape, int l, int rows, bool first) {
        const auto width = static_cast<std::uint32_t>(shape.width(l));
        return static_cast<std::uint32_t>(rows) * (l > 0 ? 2 * width + 2 : width) + (first ? width : 0u);
    }
    static constexpr std::uint32_t head_work(const MlpShape& shape) {
        return static_cast<std::uint32_t>(shape.outputs()) * static_cast<std::uint32_t>(elementary + 4);
    }

    /// Room in this slice for work? The first piece of a slice always has.
    bool take(std::uint32_t work) {
        if (begun_ && work > left_) return false;
        begun_ = true;
        left_ -= std::min(work, left_);
        return true;
    }
    /// As many of `rows` as there is room for, at least one.
    int fitting(int rows, std::uint32_t work_of_one) const {
        return std::clamp(static_cast<int>(std::min(left_ / work_of_one, std::uint32_t{1} << 30)), 1, rows);
    }

    void begin_update() {
        phase_ = Phase::rewards;
        cursor_ = 0;
        mean_return_ = 0;
    }
    void enter(Phase phase) {
        phase_ = phase;
        cursor_ = 0;
    }

    bool advance();
    bool weigh_life();
    bool weigh_step();
    bool clear();
    bool forward();
    bool head();
    bool backward();
    bool pull();
    bool move();
    void next_step();

    Policy policy_;
    OneBodySettings settings_;
    Vector<S> parameters_{}, gradient_{};
    ConstVector<S> anchor_{};
    std::span<S> observations_{}, numbers_{}, weights_{}, acting_{}, tape_{}, deltas_{};
    std::span<std::int32_t> states_{}, actions_{}, lengths_{};
    Stream random_{}, stream_{};
    std::array<S, lanes> pulled_{};  ///< partial sums of the squared length of the step
    S mean_return_ = 0, rate_ = 0;
    std::uint32_t left_ = 0, updates_ = 0;
    int life_ = 0, step_ = 0;                                 ///< that are being lived
    int of_life_ = 0, of_step_ = 0, layer_ = 0, cursor_ = 0;  ///< where the update is
    Phase phase_ = Phase::living;
    bool acted_ = false, recorded_ = false, begun_ = false, silent_ = true;
};

}  // namespace dunlin

#include "rl/one_body.ipp"

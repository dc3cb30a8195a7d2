// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/maml.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/optimiser.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace dunlin {

enum class MetaMethod : std::uint8_t {
    memrl,    ///< Moreau envelope: Algorithm 1 of MEMRL
    maml,     ///< exact MAML-RL with the score-function terms (Fallah et al. 2021)
    fomaml,   ///< first-order MAML-RL
    reptile,  ///< the inner loop without the proximal term (Nichol et al. 2018); MEMRL in the limit lambda -> 0
    scratch,  ///< no meta-learning: the first parameters stay
    rl2,  ///< RL2 (Duan et al. 2016): the state of a recurrent policy is what adapts, from trajectory to trajectory of a trial
    joint  ///< one recurrent policy for all tasks, which adapts to none: its state begins anew in every trajectory
};

/// How w follows the mean over tasks of the outer gradient: w - theta_b of memrl and reptile, the loss's of the MAMLs.
enum class OuterStep : std::uint8_t {
    own,       ///< the method's own: interpolation of memrl and reptile, Adam of the MAMLs
    sgd,       ///< w <- w - rate g
    momentum,  ///< m <- decay m + g, w <- w - rate m (Polyak's heavy ball)
    adam
};

/// The settings of meta-reinforcement learning; the paper's symbols beside.
struct MetaSettings {
    MetaMethod method = MetaMethod::memrl;
    int task_batch = 3;          ///< B: tasks drawn in an iteration
    float interpolation = 0.5f;  ///< alpha lambda in (0, 1]: how far w goes towards the mean of theta_i
    /// c >= 0: outer step t is 1 / (1 + c t) as long as the first. It does not depend on how long a run is, so that a
    /// run may go on.
    float outer_decay = 0.0f;
    OuterStep outer_step = OuterStep::own;
    int adaptation_steps = 0;  ///< inner steps that a trained policy is given; 0: as many as in training
    MoreauEnvelope inner{.prox_weight = 0.03f,  // lambda
                         .inner_rate = 0.7f,    // beta
                         .accuracy = 0.0f,      // nu
                         .step_limit = 8,
                         .step_clip = 0.5f,
                         .fresh_batches = true};
    /// Of the MAMLs. steps = 0 means as many as a trained policy is given, inner_rate = 0 and step_clip < 0 those of
    /// `inner`: the methods then adapt alike.
    Maml maml{.steps = 1, .inner_rate = 0.7f, .score_term = true, .step_clip = 0.5f};
    Adam outer{.rate = 3e-3f};  ///< the outer step of the MAMLs, or of all that `outer_step` names one for

    bool is_maml() const { return method == MetaMethod::maml || method == MetaMethod::fomaml; }
    bool is_recurrent() const { return method == MetaMethod::rl2 || method == MetaMethod::joint; }

    /// The inner loop that takes meta-parameters to a task, also one that was never seen.
    MoreauEnvelope adaptation() const {
        MoreauEnvelope steps = training();
        if (is_maml() && maml.steps == 0) steps.step_limit = inner.step_limit;
        if (adaptation_steps > 0) steps.step_limit = adaptation_steps;
        return steps;
    }
    /// The same in training, which may be of another length.
    MoreauEnvelope training() const {
        MoreauEnvelope steps = inner;
        if (method != MetaMethod::memrl) steps.prox_weight = 0.0f;
        if (is_maml()) {
            const Maml own = exact_or_first_order();
            steps.inner_rate = own.inner_rate;
            steps.step_clip = own.step_clip;
            steps.step_limit = own.steps;
            steps.accuracy = 0.0f;
        }
        return steps;
    }
    Maml exact_or_first_order() const {
        Maml own = maml;
        if (own.steps == 0)
            own.steps = std::min(adaptation_steps > 0 ? adaptation_steps : inner.step_limit, Maml::step_limit);
        if (own.inner_rate <= 0.0f) own.inner_rate = inner.inner_rate;
        if (own.step_clip < 0.0f) own.step_clip = inner.step_clip;
        own.first_order = method == MetaMethod::fomaml;
        return own;
    }
    /// Batches that a task must keep at once.
    int slots() const { return is_maml() ? exact_or_first_order().slots() : 1; }
};

/// The outer loop: meta-parameters w and what the tasks of an iteration say about them. For every iteration call
/// `learn` once for each b < task_batch, in any order and from any threads, and then `update`:
///
///     memrl, reptile:  theta_b by the inner loop from w;   w <- (1 - alpha lambda) w + alpha lambda mean of theta_b
///     maml, fomaml:    the gradient of the loss after the inner steps, then a step of Adam
///
/// or, where settings name another outer step, that step against the mean of w - theta_b or of the gradients.
///
/// Source: MEMRL, Algorithm 1, lines 3-8. Memory comes from an arena; nothing allocates after set-up.
template <class S>
class MetaLearner {
public:
    template <class A>
    MetaLearner(const MetaSettings& settings, std::size_t dimension, int tasks, A& arena)
        : settings_(settings),
          w_(arena.template take<S>(dimension)),
          mean_(arena.template take<S>(dimension)),
          contributions_(arena.template take<S>(stride(dimension) * static_cast<std::size_t>(settings.task_batch))),
          value_mean_(arena.template take<float>(static_cast<std::size_t>(tasks))),
          value_count_(arena.template take<std::int32_t>(static_cast<std::size_t>(tasks))),
          moments_{arena.template take<S>(dimension), arena.template take<S>(dimension), 0},
          dimension_(dimension) {}

    static std::size_t bytes(const MetaSettings& settings, std::size_t dimension, int tasks) {
        ArenaSize size;
        MetaLearner(settings, dimension, tasks, size);
        return size.bytes();
    }
    /// Scalars that `learn` needs for one thread.
    static std::size_t scratch(const MetaSettings& settings, std::size_t dimension) {
        const std::size_t inner = MoreauEnvelope::scratch(dimension);
        return settings.is_maml() ? std::max(inner, settings.exact_or_first_order().scratch(dimension)) : inner;
    }

    const MetaSettings& settings() const { return settings_; }
    Vector<S> parameters() { return w_; }
    ConstVector<S> parameters() const { return w_; }
    /// What task b of the iteration contributed: its personal parameters, or for MAML its gradient.
    Vector<S> contribution(int b) {
        return contributions_.subspan(static_cast<std::size_t>(b) * stride(dimension_), dimension_);
    }
    /// The state that a resumed run needs beside w; the memory is the learner's.
    Adam::State<S>& moments() { return moments_; }
    std::span<float> value_means() { return value_mean_; }
    std::span<std::int32_t> value_counts() { return value_count_; }

    /// Task b of this iteration, which is number `number` of all tasks. Returns the task gradients taken.
    template <class T>
    int learn(int b, int number, T& task, Stream& random, Vector<S> scratch) {
        const Vector<S> out = contribution(b);
        const ConstVector<S> w = w_;
        switch (settings_.method) {
            case MetaMethod::memrl:
            case MetaMethod::reptile:
                return settings_.training().solve(task, w, random, out, scratch);
            case MetaMethod::maml:
            case MetaMethod::fomaml: {
                // The loss that the score term is centred by is the mean of earlier iterations: fixed beforehand.
                Maml maml = settings_.exact_or_first_order();
                float& mean = value_mean_[static_cast<std::size_t>(number)];
                std::int32_t& count = value_count_[static_cast<std::size_t>(number)];
                maml.score_baseline = mean;
                const int taken = maml.gradient(task, w, random, out, scratch);
                count = std::min(count + 1, value_memory);
                mean += (static_cast<float>(task.value(maml.steps, w)) - mean) / static_cast<float>(count);
                return taken;
            }
            default:
                std::copy(w.begin(), w.end(), out.begin());
                return 0;
        }
    }

    /// The outer step of iteration number `iteration`, from 0. Error: not_finite, with the first parameter that is NaN or whose square overflows (Adam
    /// keeps squares, and one that is infinite holds its parameter for ever); then w stays as it was.
    Result<void> update(std::int64_t iteration = 0) {
        const S scale = S(1) / S(settings_.task_batch);
        std::fill(mean_.begin(), mean_.end(), S(0));
        for (int b = 0; b < settings_.task_batch; ++b) {
            const Vector<S> from = contribution(b);
            for (std::size_t k = 0; k < dimension_; ++k) mean_[k] += scale * from[k];
        }
        for (std::size_t k = 0; k < dimension_; ++k) {
            if (!std::isfinite(mean_[k] * mean_[k])) return fail(Code::not_finite, static_cast<std::int64_t>(k));
        }
        if (settings_.method == MetaMethod::scratch) return {};
        const float shorter = 1.0f / (1.0f + settings_.outer_decay * static_cast<float>(iteration));
        if (!settings_.is_maml()) {
            if (settings_.outer_step == OuterStep::own) {
                for (std::size_t k = 0; k < dimension_; ++k)
                    w_[k] += S(settings_.interpolation * shorter) * (mean_[k] - w_[k]);
                return {};
            }
            for (std::size_t k = 0; k < dimension_; ++k) mean_[k] = w_[k] - mean_[k];
        }
        follow(shorter);
        return {};
    }

private:
    /// A step against the gradient in `mean_`, `shorter` as long as the settings say.
    void follow(float shorter) {
        Adam outer = settings_.outer;
        outer.rate *= shorter;
        switch (settings_.outer_step) {
            case OuterStep::sgd:
                Sgd{outer.rate}.step<S>(w_, mean_);
                break;
            case OuterStep::momentum:
                for (std::size_t k = 0; k < dimension_; ++k) {
                    S& m = moments_.mean[k];
                    m = S(outer.mean_decay) * m + mean_[k];
                    w_[k] -= S(outer.rate) * m;
                }
                break;
            default:
                outer.step<S>(w_, mean_, moments_);
        }
    }

    /// Each contribution starts on a cache line.
    static constexpr std::size_t stride(std::size_t dimension) { return Arena::bytes<S>(dimension) / sizeof(S); }
    static constexpr std::int32_t value_memory = 10;  ///< iterations over which a task's loss is averaged

    MetaSettings settings_;
    Vector<S> w_, mean_, contributions_;
    std::span<float> value_mean_;
    std::span<std::int32_t> value_count_;
    Adam::State<S> moments_;
    std::size_t dimension_;
};

}  // namespace dunlin

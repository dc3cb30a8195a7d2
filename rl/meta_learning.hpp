// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/implicit_maml.hpp"
#include "core/adapt/maml.hpp"
#include "core/adapt/meta_sgd.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/arena.hpp"
#include "core/distance_over_gradients.hpp"
#include "core/error.hpp"
#include "core/optimiser.hpp"
#include "rl/adaptation.hpp"
#include "rl/trust_region.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace dunlin {

enum class MetaMethod : std::uint8_t {
    memrl,     ///< Moreau envelope: Algorithm 1 of MEMRL
    maml,      ///< exact MAML-RL with the score-function terms (Fallah et al. 2021)
    fomaml,    ///< first-order MAML-RL
    reptile,   ///< the inner loop without the proximal term (Nichol et al. 2018); MEMRL in the limit lambda -> 0
    anil,      ///< MAML whose inner steps move the last layer alone, without score terms (Raghu et al. 2020)
    meta_sgd,  ///< MAML with learned step sizes, one a parameter, without score terms (Li et al. 2017)
    imaml,  ///< implicit MAML: a proximal inner problem, differentiated where it is solved (Rajeswaran et al. 2019)
    scratch,  ///< no meta-learning: the first parameters stay
    rl2,  ///< RL2 (Duan et al. 2016): the state of a recurrent policy is what adapts, from trajectory to trajectory of a trial
    joint  ///< one recurrent policy for all tasks, which adapts to none: its state begins anew in every trajectory
};

/// How w follows the mean over tasks of the outer gradient: w - theta_b of memrl and reptile, the loss's of the others.
enum class OuterStep : std::uint8_t {
    own,       ///< the method's own: interpolation of memrl and reptile, Adam of the others
    sgd,       ///< w <- w - rate g
    momentum,  ///< m <- decay m + g, w <- w - rate m (Polyak's heavy ball)
    adam,
    dog,  ///< distance over gradients, which needs no rate
    trpo  ///< a natural gradient within a trust region, on the same trajectories by ratios; of first-order MAMLs
};

/// How an outer step grows shorter with the iterations. None depends on how long a run is, so that a run may go on.
enum class OuterSchedule : std::uint8_t {
    inverse,      ///< 1 / (1 + c t)
    inverse_root  ///< 1 / sqrt(1 + c t)
};

/// The settings of meta-reinforcement learning; the paper's symbols beside.
struct MetaSettings {
    MetaMethod method = MetaMethod::memrl;
    int task_batch = 3;          ///< B: tasks drawn in an iteration
    float interpolation = 0.5f;  ///< alpha lambda in (0, 1]: how far w goes towards the mean of theta_i
    float outer_decay = 0.0f;    ///< c >= 0 of the schedule; 0: all outer steps are as long
    OuterSchedule outer_schedule = OuterSchedule::inverse;
    OuterStep outer_step = OuterStep::own;
    /// Outer steps on the same trajectories, of the MAMLs without Hessians: the later ones by ratios of probabilities
    /// (RolloutSettings::surrogate), as PPO does.
    int outer_epochs = 1;
    int batch_steps = 1;       ///< inner steps on one batch, which count as one; more need ratios as well
    int adaptation_steps = 0;  ///< inner steps that a trained policy is given; 0: as many as in training
    MoreauEnvelope inner{.prox_weight = 0.03f,  // lambda
                         .inner_rate = 0.7f,    // beta
                         .accuracy = 0.0f,      // nu
                         .step_limit = 8,
                         .step_clip = 0.5f,
                         .fresh_batches = true};
    /// Of the MAMLs. steps = 0 means as many as a trained policy is given, inner_rate = 0 and step_clip < 0 those of
    /// `inner`: the methods then adapt alike. Implicit MAML, which solves its inner problem, takes as many as `inner`.
    Maml maml{.steps = 1, .inner_rate = 0.7f, .score_term = true, .step_clip = 0.5f};
    /// Of ANIL and Meta-SGD: leave second derivatives out, as first-order MAML does.
    bool first_order = false;
    float implicit_weight = 0.1f;  ///< lambda of implicit MAML, in training and adaptation
    int conjugate_steps = 5;       ///< of implicit MAML
    TrustRegion trust{};           ///< of OuterStep::trpo
    Adam outer{.rate = 3e-3f};     ///< the outer step of the MAMLs, or of all that `outer_step` names one for

    /// Is the loss after inner steps differentiated through them?
    bool is_maml() const { return method == MetaMethod::maml || method == MetaMethod::fomaml || has_step_sizes(); }
    /// Do inner steps have a size of their own for each parameter?
    bool has_step_sizes() const { return method == MetaMethod::anil || learns_step_sizes(); }
    bool learns_step_sizes() const { return method == MetaMethod::meta_sgd; }
    /// Do tasks contribute a gradient (else parameters)?
    bool follows_gradients() const { return is_maml() || method == MetaMethod::imaml; }
    /// Does it ask for Hessian-vector products?
    bool is_second_order() const {
        return follows_gradients() && method != MetaMethod::fomaml && !(has_step_sizes() && first_order) &&
               !(method == MetaMethod::imaml && conjugate_steps == 0);
    }
    /// Numbers that are learned, of so many parameters.
    std::size_t learned(std::size_t dimension) const { return learns_step_sizes() ? 2 * dimension : dimension; }
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
        if (method == MetaMethod::imaml) {
            const Maml own = exact_or_first_order();
            steps.prox_weight = implicit_weight;
            steps.inner_rate = own.inner_rate;
            steps.step_clip = own.step_clip;
        }
        if (method != MetaMethod::memrl && method != MetaMethod::imaml) steps.prox_weight = 0.0f;
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
        own.first_order = !is_second_order();
        if (has_step_sizes()) own.score_term = false;  // as their papers have them
        return own;
    }
    ImplicitMaml implicit() const { return {training(), conjugate_steps}; }
    /// Are trajectories used again after the parameters have moved, so that each task keeps its own?
    bool keeps_trajectories() const { return outer_epochs > 1 || outer_step == OuterStep::trpo; }
    /// Are inner steps taken one by one, each differentiated?
    bool unrolls() const { return is_maml() && batch_steps == 1; }
    /// Batches that a task must keep at once.
    int slots() const {
        if (method == MetaMethod::imaml) return ImplicitMaml::slots();
        return unrolls() ? exact_or_first_order().slots() : 1;
    }
};

/// The outer loop: meta-parameters w and what the tasks of an iteration say about them. For every iteration call
/// `learn` once for each b < task_batch, in any order and from any threads, and then `update`:
///
///     memrl, reptile:  theta_b by the inner loop from w;   w <- (1 - alpha lambda) w + alpha lambda mean of theta_b
///     the others:      the gradient of the loss after the inner steps, then a step of Adam
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
          learned_(arena.template take<S>(settings.learned(dimension))),
          mean_(arena.template take<S>(settings.learned(dimension))),
          contributions_(arena.template take<S>(stride(settings.learned(dimension)) *
                                                static_cast<std::size_t>(settings.task_batch))),
          value_mean_(arena.template take<float>(static_cast<std::size_t>(tasks))),
          value_count_(arena.template take<std::int32_t>(static_cast<std::size_t>(tasks))),
          moments_{arena.template take<S>(settings.learned(dimension)),
                   arena.template take<S>(settings.learned(dimension)), 0},
          fixed_sizes_(arena.template take<S>(settings.method == MetaMethod::anil ? dimension : 0)),
          dimension_(dimension) {
        if (learned_.empty()) return;  // an ArenaSize gives no memory
        for (S& size : step_sizes()) size = S(1);
    }

    static std::size_t bytes(const MetaSettings& settings, std::size_t dimension, int tasks) {
        ArenaSize size;
        MetaLearner(settings, dimension, tasks, size);
        return size.bytes();
    }
    /// Scalars that `learn` needs for one thread.
    static std::size_t scratch(const MetaSettings& settings, std::size_t dimension) {
        const std::size_t inner = MoreauEnvelope::scratch(dimension);
        if (settings.method == MetaMethod::imaml) return ImplicitMaml::scratch(dimension);
        if (!settings.unrolls()) return inner;
        const Maml maml = settings.exact_or_first_order();
        return std::max(inner,
                        settings.has_step_sizes() ? MetaSgd{maml}.scratch(dimension) : maml.scratch(dimension));
    }

    const MetaSettings& settings() const { return settings_; }
    Vector<S> parameters() { return learned_.first(dimension_); }
    ConstVector<S> parameters() const { return learned_.first(dimension_); }
    /// All that outer steps move: the parameters, and behind them Meta-SGD's step sizes.
    Vector<S> learned() { return learned_; }
    ConstVector<S> learned() const { return learned_; }
    /// Of inner steps, one a parameter, in shares of the inner rate, 1 at the start; empty where all are 1 for ever. The
    /// caller sets to 0 those that ANIL leaves alone.
    Vector<S> step_sizes() { return settings_.learns_step_sizes() ? learned_.subspan(dimension_) : fixed_sizes_; }
    ConstVector<S> step_sizes() const {
        return settings_.learns_step_sizes() ? learned_.subspan(dimension_) : fixed_sizes_;
    }
    /// What task b of the iteration contributed: its personal parameters, or its gradient.
    Vector<S> contribution(int b) {
        return contributions_.subspan(static_cast<std::size_t>(b) * stride(learned_.size()), learned_.size());
    }
    /// The state that a resumed run needs beside w; the memory is the learner's.
    Adam::State<S>& moments() { return moments_; }
    std::span<float> value_means() { return value_mean_; }
    std::span<std::int32_t> value_counts() { return value_count_; }

    /// Task b of this iteration, which is number `number` of all tasks. Returns the task gradients taken.
    template <class T>
    int learn(int b, int number, T& task, Stream& random, Vector<S> scratch) {
        const Vector<S> all = contribution(b), out = all.first(dimension_);
        const ConstVector<S> w = parameters();
        switch (settings_.method) {
            case MetaMethod::memrl:
            case MetaMethod::reptile:
                return solve(task, w, random, out, scratch);
            case MetaMethod::maml:
            case MetaMethod::fomaml:
            case MetaMethod::anil:
            case MetaMethod::meta_sgd: {
                if (!settings_.unrolls()) return first_order(task, w, random, out, scratch);
                // The loss that the score term is centred by is the mean of earlier iterations: fixed beforehand.
                Maml maml = settings_.exact_or_first_order();
                float& mean = value_mean_[static_cast<std::size_t>(number)];
                std::int32_t& count = value_count_[static_cast<std::size_t>(number)];
                maml.score_baseline = mean;
                const ConstVector<S> sizes = step_sizes();
                const int taken = sizes.empty() ? maml.gradient(task, w, random, out, scratch)
                                                : MetaSgd{maml}.gradient(task, w, sizes, random, out,
                                                                         all.subspan(dimension_), scratch);
                count = std::min(count + 1, value_memory);
                mean += (static_cast<float>(task.value(maml.steps, w)) - mean) / static_cast<float>(count);
                return taken;
            }
            case MetaMethod::imaml:
                return settings_.implicit().gradient(task, w, random, out, scratch);
            default:
                std::copy(w.begin(), w.end(), out.begin());
                return 0;
        }
    }

    /// The outer step of iteration number `iteration`, from 0. Error: not_finite, with the first parameter that is NaN or whose square overflows (Adam
    /// keeps squares, and one that is infinite holds its parameter for ever); then w stays as it was.
    Result<void> update(std::int64_t iteration = 0) {
        if (const Result<void> finite = gather(); !finite) return finite;
        if (settings_.method == MetaMethod::scratch) return {};
        const float slower = 1.0f + settings_.outer_decay * static_cast<float>(iteration);
        const float shorter =
            1.0f / (settings_.outer_schedule == OuterSchedule::inverse ? slower : portable::sqrt(slower));
        if (!settings_.follows_gradients()) {
            if (settings_.outer_step == OuterStep::own) {
                for (std::size_t k = 0; k < dimension_; ++k)
                    learned_[k] += S(settings_.interpolation * shorter) * (mean_[k] - learned_[k]);
                return {};
            }
            for (std::size_t k = 0; k < dimension_; ++k) mean_[k] = learned_[k] - mean_[k];
        }
        follow(shorter);
        return {};
    }

    /// Writes the mean of what the tasks contributed to mean(). Error: not_finite, as of update.
    Result<void> gather() {
        average(S(1) / S(settings_.task_batch), mean_);
        for (std::size_t k = 0; k < mean_.size(); ++k) {
            if (!std::isfinite(mean_[k] * mean_[k])) return fail(Code::not_finite, static_cast<std::int64_t>(k));
        }
        return {};
    }
    ConstVector<S> mean() const { return mean_; }
    /// Writes `scale` times the sum of what the tasks contributed.
    void average(S scale, Vector<S> out) {
        std::fill(out.begin(), out.end(), S(0));
        for (int b = 0; b < settings_.task_batch; ++b) {
            const Vector<S> from = contribution(b);
            for (std::size_t k = 0; k < out.size(); ++k) out[k] += scale * from[k];
        }
    }

private:
    /// theta by the inner loop, whose steps may share batches.
    template <class T>
    int solve(T& task, ConstVector<S> w, Stream& random, Vector<S> theta, Vector<S> scratch) const {
        const MoreauEnvelope inner = settings_.training();
        if (settings_.batch_steps == 1) return inner.solve(task, w, random, theta, scratch);
        const InnerSteps<S> steps{inner, step_sizes(), settings_.batch_steps};
        std::copy(w.begin(), w.end(), theta.begin());
        for (int k = 0; k < inner.step_limit; ++k) {
            task.draw(0, ConstVector<S>(theta), random);
            steps.step(task, w, theta, scratch);
        }
        return inner.step_limit * settings_.batch_steps;
    }

    /// First-order MAML where steps share batches: the gradient at theta.
    template <class T>
    int first_order(T& task, ConstVector<S> w, Stream& random, Vector<S> out, Vector<S> scratch) const {
        const Vector<S> theta = scratch.first(dimension_);
        const int taken = solve(task, w, random, theta, scratch.subspan(dimension_));
        task.draw(0, ConstVector<S>(theta), random);
        task.gradient(0, ConstVector<S>(theta), out);
        return taken + 1;
    }

    /// A step against the gradient in `mean_`, `shorter` as long as the settings say.
    void follow(float shorter) {
        Adam outer = settings_.outer;
        outer.rate *= shorter;
        switch (settings_.outer_step) {
            case OuterStep::sgd:
                Sgd{outer.rate}.step<S>(learned_, mean_);
                break;
            case OuterStep::momentum:
                for (std::size_t k = 0; k < mean_.size(); ++k) {
                    S& m = moments_.mean[k];
                    m = S(outer.mean_decay) * m + mean_[k];
                    learned_[k] -= S(outer.rate) * m;
                }
                break;
            case OuterStep::dog:
                // Its first point takes the place of Adam's means, its two sums the first of the squares.
                DistanceOverGradients{.scale = shorter}.step<S>(learned_, mean_, moments_.mean, moments_.square,
                                                                moments_.steps++ == 0);
                break;
            default:
                outer.step<S>(learned_, mean_, moments_);
        }
    }

    /// Each contribution starts on a cache line.
    static constexpr std::size_t stride(std::size_t dimension) { return Arena::bytes<S>(dimension) / sizeof(S); }
    static constexpr std::int32_t value_memory = 10;  ///< iterations over which a task's loss is averaged

    MetaSettings settings_;
    Vector<S> learned_, mean_, contributions_;
    std::span<float> value_mean_;
    std::span<std::int32_t> value_count_;
    Adam::State<S> moments_;
    Vector<S> fixed_sizes_;  ///< ANIL's
    std::size_t dimension_;
};

}  // namespace dunlin

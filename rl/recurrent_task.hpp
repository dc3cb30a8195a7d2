// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "rl/environment.hpp"
#include "rl/recurrent_policy.hpp"

#include <cmath>
#include <span>

namespace dunlin {

/// Trials of a recurrent policy. In a trial many trajectories of one task follow each other; with `across` the policy's
/// state lives from one to the next, so that it may learn what the task is, and without it each begins with none.
struct TrialSettings {
    int trials = 32;  ///< columns, a multiple of column_multiple
    int steps = 120;  ///< of a trial; all trials are as long
    bool across = true;
    float discount = 0.95f;  ///< of what is maximised, and of judged returns from each trajectory's first step on
    float trace = 0.95f;     ///< lambda of the generalised advantage estimate
    float clip = 0.2f;       ///< PPO: how far from 1 a ratio of probabilities counts
    float entropy = 0.01f;   ///< weight of the policy's entropy
    float value_weight = 0.5f;
};

/// What a policy is told at a step: the observation, what it did last (one number an action), what that paid, and whether a
/// trajectory begins. At a trial's beginning the latter are 0, 0 and 1.
constexpr int trial_inputs(int observations, int actions) {
    return observations + actions + 2;
}

/// Many trials side by side: how they are sampled, and the gradient of
///
///     L = - mean of min(rho A, clip(rho, 1 - c, 1 + c) A) - b mean of H(pi) + u/2 mean of (V - R)^2,
///     rho = pi(a | past; w) / pi(a | past; w_old)
///
/// through all of time (Schulman et al. 2017); A by generalised advantage estimation (Schulman et al. 2016), R = A + V_old.
/// With `across` a trial is what earns, as in RL2 (Duan et al. 2016): trajectories' ends do not cut A. Without, each trajectory
/// does, and its end cuts A whether a goal or the horizon ended it: the return is a sum over the horizon.
///
/// Memory comes from an arena at set-up; nothing allocates afterwards. The environments are the caller's and stay while trials
/// are sampled.
template <DiscreteEnvironment E, class S = float>
class RecurrentTask {
public:
    using State = typename E::State;

    template <class A>
    RecurrentTask(const RecurrentPolicy<S>& policy, const TrialSettings& settings, int observations, int episodes,
                  A& arena)
        : policy_(policy), settings_(settings), observations_(observations), episodes_(episodes) {
        const auto steps = static_cast<std::size_t>(settings.steps), n = static_cast<std::size_t>(settings.trials);
        const auto rows = static_cast<std::size_t>(policy.rows());
        inputs_ = arena.template take<S>(steps * n * static_cast<std::size_t>(policy.inputs()));
        tape_ = arena.template take<S>(steps * n * rows);
        deltas_ = arena.template take<S>(2 * n * rows);
        scratch_ = arena.template take<S>(policy.scratch());
        seen_ = arena.template take<float>(static_cast<std::size_t>(observations));
        for (auto* each : {&reward_, &chance_, &value_, &advantage_, &target_})
            *each = arena.template take<float>(steps * n);
        action_ = arena.template take<std::int32_t>(steps * n);
        ends_ = arena.template take<std::uint8_t>(steps * n);
        states_ = arena.template take<State>(n);
        streams_ = arena.template take<Stream>(n);
        for (auto* each : {&age_, &episode_}) *each = arena.template take<std::int32_t>(n);
        const auto judged = n * static_cast<std::size_t>(episodes);
        for (auto* each : {&returns_, &success_}) *each = arena.template take<float>(judged);
    }
    static std::size_t bytes(const RecurrentPolicy<S>& policy, const TrialSettings& settings, int observations,
                             int episodes) {
        ArenaSize size;
        RecurrentTask(policy, settings, observations, episodes, size);
        return size.bytes();
    }

    int trials() const { return settings_.trials; }
    std::int64_t steps() const { return std::int64_t{settings_.trials} * settings_.steps; }

    /// Samples all trials under w, trial c in environments[c] with lane first_lane + c of `random`.
    void sample(const S* w, std::span<const E* const> environments, const Stream& random,
                std::uint32_t first_lane) {
        std::ranges::fill(episode_, 0);
        std::ranges::fill(returns_, 0.0f);
        std::ranges::fill(success_, 0.0f);
        for (int c = 0; c < trials(); ++c) {
            streams_[at(c)] = random.lane(first_lane + static_cast<std::uint32_t>(c));
            begin_trajectory(*environments[at(c)], c);
        }
        for (int t = 0; t < settings_.steps; ++t) {
            look(environments, t);
            policy_.forward(w, inputs(t), tape_before(t), tape(t), trials());
            choose_probabilities(t);
            for (int c = 0; c < trials(); ++c) act(*environments[at(c)], t, c);
        }
        estimate();
    }

    /// Mean and mean square of the advantages, as sums.
    struct Sums {
        double sum = 0, square = 0;
    };
    Sums advantage_sums() const {
        Sums sums;
        for (const float a : advantage_) {
            sums.sum += static_cast<double>(a);
            sums.square += static_cast<double>(a) * static_cast<double>(a);
        }
        return sums;
    }
    /// A := (A - mean) scale
    void normalise(float mean, float scale) {
        for (float& a : advantage_) a = (a - mean) * scale;
    }

    /// Adds dL to `gradient`, each of the steps counting `weight` (1 / of all, for a mean). `sampled`: w is what the
    /// trials were sampled under, and they were not looked at since: nothing is evaluated again. Returns L's part.
    S gradient(const S* w, S weight, bool sampled, S* gradient) {
        if (!sampled) replay(w);
        policy_.turn(w, scratch_.data());
        S loss = 0;
        policy_.begin_backward(deltas(settings_.steps - 1), trials());
        for (int t = settings_.steps - 1; t >= 0; --t) {
            loss += differentiate(t, weight);
            const Columns<S> before = t > 0 ? deltas(t - 1) : Columns<S>{};
            if (t > 0) policy_.begin_backward(before, trials());
            policy_.backward(w, scratch_.data(), inputs(t), tape_before(t), tape(t), deltas(t), before, trials(),
                             gradient);
            for (int c = 0; t > 0 && !settings_.across && c < trials(); ++c) {
                if (ends_[step_at(t - 1, c)] != 0) policy_.forget_deltas(before, c);
            }
        }
        return loss;
    }
    /// L's part alone.
    S loss(const S* w, S weight) {
        replay(w);
        S sum = 0;
        for (int t = 0; t < settings_.steps; ++t) sum += differentiate(t, weight);
        return sum;
    }

    /// Discounted return of a trial's k-th trajectory, from its first step on, and whether it ended at the goal. Of the first
    /// `episodes` ones; those that a trial did not come to have 0.
    float episode_return(int trial, int k) const { return returns_[at(trial) * at(episodes_) + at(k)]; }
    bool episode_success(int trial, int k) const { return success_[at(trial) * at(episodes_) + at(k)] != 0.0f; }

    // Of time t in a trial: does a trajectory begin, what was the policy told, and what did it expect to earn?
    bool begins(int t, int trial) const { return t == 0 || ends_[step_at(t - 1, trial)] != 0; }
    S told(int t, int trial, int number) const { return inputs(t).row(number)[trial]; }
    float value(int t, int trial) const { return value_[step_at(t, trial)]; }

private:
    static std::size_t at(int k) { return static_cast<std::size_t>(k); }
    std::size_t step_at(int t, int c) const { return at(t) * at(trials()) + at(c); }
    Columns<S> inputs(int t) const {
        return {inputs_.data() + std::ptrdiff_t{t} * trials() * policy_.inputs(), trials()};
    }
    Columns<S> tape(int t) const {
        return {tape_.data() + std::ptrdiff_t{t} * trials() * policy_.rows(), trials()};
    }
    Columns<S> tape_before(int t) const { return t > 0 ? tape(t - 1) : Columns<S>{}; }
    Columns<S> deltas(int t) const {
        return {deltas_.data() + std::ptrdiff_t{t % 2} * trials() * policy_.rows(), trials()};
    }

    void begin_trajectory(const E& environment, int c) {
        states_[at(c)] = environment.reset(streams_[at(c)]);
        age_[at(c)] = 0;
    }

    /// What the policy is told at time t.
    void look(std::span<const E* const> environments, int t) {
        const Columns<S> x = inputs(t);
        const int last = observations_, paid = last + policy_.actions(), begins = paid + 1;
        for (int row = last; row <= begins; ++row) std::fill_n(x.row(row), trials(), S(0));
        for (int c = 0; c < trials(); ++c) {
            if constexpr (std::is_same_v<S, float>) {
                environments[at(c)]->observe(states_[at(c)], x.data + c, x.stride);
            } else {
                environments[at(c)]->observe(states_[at(c)], seen_.data(), 1);
                for (int row = 0; row < observations_; ++row) x.row(row)[c] = S(seen_[at(row)]);
            }
            if (age_[at(c)] == 0) x.row(begins)[c] = S(1);
            if (t == 0 || (age_[at(c)] == 0 && !settings_.across)) continue;
            x.row(last + action_[step_at(t - 1, c)])[c] = S(1);
            x.row(paid)[c] = S(reward_[step_at(t - 1, c)]);
        }
    }

    void choose_probabilities(int t) {
        const Columns<S> z = policy_.logits(tape(t));
        policy_.kernels->softmax(z, z, policy_.actions(), trials());
    }

    void act(const E& environment, int t, int c) {
        const std::size_t k = step_at(t, c);
        Stream& random = streams_[at(c)];
        const Columns<S> p = policy_.logits(tape(t));
        const float u = random.uniform();
        float sum = 0.0f;
        int chosen = 0;
        for (int a = 0; a + 1 < policy_.actions(); ++a) {
            sum += static_cast<float>(p.row(a)[c]);
            chosen += u >= sum;
        }
        action_[k] = chosen;
        chance_[k] = static_cast<float>(p.row(chosen)[c]);
        value_[k] = static_cast<float>(policy_.value(tape(t)).row(0)[c]);
        const auto step = environment.step(states_[at(c)], chosen, random);
        reward_[k] = step.reward;
        const bool over = step.ended || age_[at(c)] + 1 >= environment.horizon();
        if (episode_[at(c)] < episodes_) {
            const std::size_t judged = at(c) * at(episodes_) + at(episode_[at(c)]);
            returns_[judged] += step.reward * power(settings_.discount, age_[at(c)]);
            if (step.ended || reached(environment, states_[at(c)])) success_[judged] = 1.0f;
        }
        ends_[k] = over ? 1 : 0;
        ++age_[at(c)];
        if (!over) return;
        ++episode_[at(c)];
        begin_trajectory(environment, c);
        if (!settings_.across) policy_.forget(tape(t), c);
    }

    /// A world without a goal to stand on has one that ends its trajectories.
    static bool reached(const E& environment, State state) {
        if constexpr (requires { environment.reached(state); })
            return environment.reached(state);
        else
            return false;
    }

    static float power(float base, int exponent) {
        float value = 1.0f;
        for (; exponent > 0; exponent >>= 1, base *= base) {
            if ((exponent & 1) != 0) value *= base;
        }
        return value;
    }

    /// Advantages and what V is to become. A trial's end is the end of what it earns.
    void estimate() {
        for (int c = 0; c < trials(); ++c) {
            float advantage = 0.0f, next = 0.0f;
            for (int t = settings_.steps - 1; t >= 0; --t) {
                const std::size_t k = step_at(t, c);
                if (ends_[k] != 0 && !settings_.across) advantage = next = 0.0f;
                const float delta = reward_[k] + settings_.discount * next - value_[k];
                advantage = delta + settings_.discount * settings_.trace * advantage;
                advantage_[k] = advantage;
                target_[k] = advantage + value_[k];
                next = value_[k];
            }
        }
    }

    /// Evaluates the sampled trials under other parameters.
    void replay(const S* w) {
        for (int t = 0; t < settings_.steps; ++t) {
            policy_.forward(w, inputs(t), tape_before(t), tape(t), trials());
            choose_probabilities(t);
            for (int c = 0; !settings_.across && c < trials(); ++c) {
                if (ends_[step_at(t, c)] != 0) policy_.forget(tape(t), c);
            }
        }
    }

    /// The part of L of time t, and its derivatives by logits and V into the deltas.
    S differentiate(int t, S weight) {
        const int actions = policy_.actions();
        const Columns<S> p = policy_.logits(tape(t)), d = policy_.logits(deltas(t)),
                         d_value = policy_.value(deltas(t));
        const S* const v = policy_.value(tape(t)).row(0);
        S loss = 0;
        for (int c = 0; c < trials(); ++c) {
            const std::size_t k = step_at(t, c);
            const S a = S(advantage_[k]), ratio = p.row(action_[k])[c] / S(chance_[k]), c0 = S(settings_.clip);
            const S clipped = std::min(std::max(ratio, S(1) - c0), S(1) + c0);
            const bool counts = ratio * a <= clipped * a;  // else the bound holds, which has no slope
            loss -= weight * (counts ? ratio : clipped) * a;
            S entropy = 0;
            for (int j = 0; j < actions; ++j) entropy -= p.row(j)[c] * log_of(p.row(j)[c]);
            loss -= weight * S(settings_.entropy) * entropy;
            const S pull = counts ? -weight * ratio * a : S(0), spread = weight * S(settings_.entropy);
            for (int j = 0; j < actions; ++j) {
                const S q = p.row(j)[c];
                d.row(j)[c] = pull * ((j == action_[k] ? S(1) : S(0)) - q) + spread * q * (log_of(q) + entropy);
            }
            const S miss = v[c] - S(target_[k]);
            loss += weight * S(settings_.value_weight) * S(0.5) * miss * miss;
            d_value.row(0)[c] = weight * S(settings_.value_weight) * miss;
        }
        return loss;
    }
    static S log_of(S p) { return portable::log(std::max(p, S(1e-30))); }

    RecurrentPolicy<S> policy_;
    TrialSettings settings_;
    int observations_, episodes_;
    std::span<S> inputs_, tape_, deltas_, scratch_;
    std::span<float> seen_, reward_, chance_, value_, advantage_, target_, returns_, success_;
    std::span<std::int32_t> action_, age_, episode_;
    std::span<std::uint8_t> ends_;
    std::span<State> states_;
    std::span<Stream> streams_;
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// The bodies of PolicyGradientTask. Environments outside Dunlin instantiate them, so they are a header; its users
// inside Dunlin declare their instantiations extern.
#pragma once

#include "rl/policy_gradient_task.hpp"

namespace dunlin {

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::observe(const State& state, S* out, std::ptrdiff_t stride) const {
    if constexpr (std::is_same_v<S, float>) {
        environment_.observe(state, out, stride);
    } else {
        float single[observation_limit] = {};
        environment_.observe(state, single, 1);
        for (int k = 0; k < limits_.observations; ++k) out[k * stride] = S(single[k]);
    }
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::evaluate_states(const Block& b, const S* w) {
    if constexpr (FiniteEnvironment<E> && !continuous) {
        if (observes_states()) {
            for (int s = 0; s < b.columns; ++s) {
                observe(environment_.state(state_index_[static_cast<std::size_t>(b.first + s)]),
                        state_observations_.data() + s, b.columns);
            }
        }
        evaluate(w, b);
    }
}

/// What actions are drawn by in each state of a block.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::accumulate_probabilities(const Block& b) {
    const Columns<const S> probability = policy_.network.output(b.tape);
    float* cumulative = cumulative_.data() + static_cast<std::ptrdiff_t>(b.first) * policy_.actions();
    for (int s = 0; s < std::min(b.columns, limits_.states - b.first); ++s) {
        float sum = 0.0f;
        for (int a = 0; a < policy_.actions(); ++a) {
            *cumulative++ = sum += static_cast<float>(probability.row(a)[s]);
        }
    }
}

/// Fills the columns of time step h with what the policy (and the baseline) will look at.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::observe(Batch& batch, int h) {
    Rollout<S>& rollout = batch.rollout;
    const int first = rollout.first(h), active = rollout.active(h), width = rollout.width(h);
    if constexpr (FiniteEnvironment<E>) {
        for (int k = 0; k < active; ++k) {
            rollout.index(first + k) = environment_.index(states_[static_cast<std::size_t>(lanes_[k])]);
        }
    }
    if (!observes_steps()) return;
    S* matrix = batch.observations.data() + static_cast<std::ptrdiff_t>(first) * limits_.observations;
    for (int k = 0; k < active; ++k) observe(states_[static_cast<std::size_t>(lanes_[k])], matrix + k, width);
    for (int k = active; k < width; ++k) {
        for (int o = 0; o < limits_.observations; ++o) matrix[o * width + k] = S(0);
    }
}

/// Draws an action from the policy's output in a column (or, per state, for the state) and takes the step.
template <Environment E, class Policy, bool lean>
auto PolicyGradientTask<E, Policy, lean>::act(const Block& b, int column, State& state, Stream& random,
                                              std::int32_t& action) const {
    const int actions = policy_.actions();
    if constexpr (continuous) {
        static_assert(std::is_same_v<S, float>, "continuous environments are sampled in single precision");
        const Columns<S> mean = policy_.network.output(b.tape);
        for (int k = 0; k < actions; ++k) {
            b.actions.row(k)[column] = mean.row(k)[column] + sigma_[static_cast<std::size_t>(k)] * random.normal();
        }
        action = 0;
        return environment_.step(state, b.actions.data + column, b.actions.stride, random);
    } else {
        const float u = random.uniform();
        std::int32_t chosen = 0;
        if (per_state_) {
            if constexpr (FiniteEnvironment<E>) {
                const float* cumulative =
                    cumulative_.data() + static_cast<std::ptrdiff_t>(environment_.index(state)) * actions;
                for (int a = 0; a + 1 < actions; ++a) chosen += u >= cumulative[a];
            }
        } else {
            const Columns<const S> probability = policy_.network.output(b.tape);
            float sum = 0.0f;
            for (int a = 0; a + 1 < actions; ++a) {
                sum += static_cast<float>(probability.row(a)[column]);
                chosen += u >= sum;
            }
        }
        action = chosen;
        return environment_.step(state, chosen, random);
    }
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::draw(int slot, ConstVector<S> w, Stream& random) {
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    Rollout<S>& rollout = batch.rollout;
    random.next_epoch();
    rollout.clear();
    if (!batch.parameters.empty()) std::copy(w.begin(), w.end(), batch.parameters.begin());
    if constexpr (FiniteEnvironment<E> && !continuous) {
        for (int k = 0; per_state_ && k < blocks(batch); ++k) {
            const Block b = block(batch, k);
            evaluate_states(b, w.data());
            accumulate_probabilities(b);
        }
    }
    if constexpr (continuous) {
        for (int k = 0; k < policy_.actions(); ++k) {
            sigma_[static_cast<std::size_t>(k)] = portable::exp(policy_.log_sigma(w.data())[k]);
        }
    }

    int running = settings_.trajectories;  // at the end those that the horizon cut
    for (int k = 0; k < running; ++k) {
        const auto lane = static_cast<std::size_t>(k);
        lanes_[lane] = k;
        streams_[lane] = random.lane(static_cast<std::uint32_t>(k));
        states_[lane] = environment_.reset(streams_[lane]);
        if (!lean) batch.start[lane] = states_[lane];
    }
    for (int h = 0; h < environment_.horizon() && running > 0; ++h) {
        const int first = rollout.open(running);
        observe(batch, h);
        Block b{};
        if (!per_state_) {
            b = block(batch, h);
            evaluate(w.data(), b);
            value(w.data(), batch, b);
        }
        int kept = 0;
        for (int k = 0; k < running; ++k) {
            const std::int32_t lane = lanes_[static_cast<std::size_t>(k)];
            State& state = states_[static_cast<std::size_t>(lane)];
            const int c = first + k;
            rollout.trajectory(c) = lane;
            const auto step = act(b, k, state, streams_[static_cast<std::size_t>(lane)], rollout.action(c));
            rollout.reward(c) = step.reward;
            if (!lean) batch.reached[static_cast<std::size_t>(c)] = state;
            lanes_[static_cast<std::size_t>(kept)] = lane;
            kept += step.ended ? 0 : 1;
        }
        if constexpr (has_more) keep_as_drawn(batch, b, w.data());
        running = kept;
    }
    steps_ += rollout.steps();
    weigh(batch, w.data(), running);
}

/// Turns rewards into the weights of the scores: minus (reward to go - baseline) / D.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::weigh(Batch& batch, [[maybe_unused]] const S* w,
                                                [[maybe_unused]] int running) {
    Rollout<S>& rollout = batch.rollout;
    batch.mean_return = rollout.weigh_by_reward_to_go(environment_.discount());
    if (settings_.baseline == Baseline::leave_one_out) subtract_leave_one_out(rollout);
    if (settings_.baseline == Baseline::linear) {
        subtract_linear_fit(rollout, batch.observations.data(), limits_.observations, features_.data());
    }
    if constexpr (has_more) {
        if (values()) weigh_by_value(batch, w, running);
    }
    const S scale = S(-1) / S(settings_.trajectories);
    for (int h = 0; h < rollout.length(); ++h) {
        for (int k = 0; k < rollout.active(h); ++k) rollout.weight(rollout.first(h) + k) *= scale;
    }
    if (per_state_) count(rollout, Weights::advantages, {batch.counts.data(), widest_});
    if constexpr (has_more && !continuous) {
        if (batch.more.visits.empty()) return;
        set_zero(batch.more.visits);
        for (int h = 0; h < rollout.length(); ++h) {
            for (int c = rollout.first(h); c < rollout.first(h) + rollout.active(h); ++c)
                batch.more.visits[static_cast<std::size_t>(rollout.index(c))] += S(1);
        }
    }
}

/// Per state and action, the sum of the weights of all steps that took it.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::count(const Rollout<S>& rollout, Weights weights, Columns<S> out) const {
    for (int a = 0; a < policy_.actions(); ++a) std::fill_n(out.row(a), widest_, S(0));
    for (int h = 0; h < rollout.length(); ++h) {
        for (int k = 0; k < rollout.active(h); ++k) {
            const int c = rollout.first(h) + k;
            out.row(rollout.action(c))[rollout.index(c)] += weights == Weights::ones ? S(1) : rollout.weight(c);
        }
    }
}

/// The weight of each action's score in each column of a block; for a continuous policy one row, of each column.
template <Environment E, class Policy, bool lean>
Columns<const typename Policy::Scalar> PolicyGradientTask<E, Policy, lean>::action_weights(
    Batch& batch, const Block& b, [[maybe_unused]] const S* w, Weights weights) {
    const Columns<S> out{counts_.data(), b.columns};
    if (per_state_) {
        if (weights == Weights::advantages) return {batch.counts.data() + b.first, widest_};
        if (lean) __builtin_trap();
        count(batch.rollout, weights, out);
        return out;
    }
    const Rollout<S>& rollout = batch.rollout;
    const int first = rollout.first(b.step), rows = continuous ? 1 : policy_.actions();
    for (int a = 0; a < rows; ++a) std::fill_n(out.row(a), b.columns, S(0));
    for (int k = 0; k < rollout.active(b.step); ++k) {
        S weight = weights == Weights::ones ? S(1) : rollout.weight(first + k);
        if constexpr (has_more) {
            if (weights != Weights::ones && settings_.surrogate.compares()) {
                const S drawn = batch.more.old_log[static_cast<std::size_t>(first + k)];
                const S log_ratio = log_probability(batch, b, w, k) - drawn;
                weight = weights == Weights::divergence
                             ? log_ratio / S(rollout.steps())
                             : weight * settings_.surrogate.score_factor(weight, log_ratio);
            }
        }
        out.row(continuous ? 0 : rollout.action(first + k))[k] = weight;
    }
    return out;
}

/// Writes the derivative of the weighted log-likelihood by the network's outputs into the output rows of deltas_.
template <Environment E, class Policy, bool lean>
Columns<typename Policy::Scalar> PolicyGradientTask<E, Policy, lean>::delta(Batch& batch, const Block& b,
                                                                            const S* w, Weights weights,
                                                                            S* log_sigma_gradient) {
    const Columns<S> deltas{deltas_.data(), b.columns};
    const Columns<const S> output = policy_.network.output(b.tape);
    const Columns<const S> scores = action_weights(batch, b, w, weights);
    if constexpr (continuous) {
        policy_.head().delta(output, policy_.log_sigma(w), b.actions, scores.data, policy_.network.output(deltas),
                             log_sigma_gradient, b.columns);
    } else {
        policy_.head().delta(output, scores, policy_.network.output(deltas), b.columns);
    }
    if constexpr (has_more) {
        if (weights == Weights::advantages && settings_.entropy_weight > 0.0f)
            add_entropy(batch, b, policy_.network.output(deltas), log_sigma_gradient);
    }
    return deltas;
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::differentiate(int slot, ConstVector<S> w, Vector<S> out,
                                                        Weights weights) {
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    ensure(batch, w);
    set_zero(out);
    for (int k = 0; k < blocks(batch); ++k) {
        const Block b = evaluated(batch, k, w.data());
        const Columns<S> deltas =
            delta(batch, b, w.data(), weights, out.data() + policy_.network.shape.parameters());
        policy_.network.backward(w.data(), b.inputs, b.tape, deltas, b.columns, out.data());
        if constexpr (has_more) {
            if (values() && weights == Weights::advantages) add_value_gradient(batch, b, w.data(), out.data());
        }
    }
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v,
                                                         Vector<S> out) {
    if constexpr (has_more) {
        if (settings_.surrogate.compares()) __builtin_trap();
    }
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    const auto& network = policy_.network;
    ensure(batch, w);
    set_zero(out);
    for (int k = 0; k < blocks(batch); ++k) {
        const Block b = evaluated(batch, k, w.data());
        const Columns<S> tangents{tangents_.data(), b.columns}, tangent_deltas{tangent_deltas_.data(), b.columns};
        const Columns<S> moved = network.output(tangents), out_deltas = network.output(tangent_deltas);
        S unused[action_limit] = {};  // the gradient by log sigma
        const Columns<S> deltas = delta(batch, b, w.data(), Weights::advantages, unused);
        network.tangent_forward(w.data(), v.data(), b.inputs, b.tape, tangents, b.columns);
        const Columns<const S> scores = per_state_ ? Columns<const S>{batch.counts.data() + b.first, widest_}
                                                   : Columns<const S>{counts_.data(), b.columns};
        if constexpr (continuous) {
            policy_.head().tangent_delta(network.output(b.tape), policy_.log_sigma(w.data()),
                                         policy_.log_sigma(v.data()), b.actions, scores.data, moved, out_deltas,
                                         policy_.log_sigma(out.data()), b.columns);
        } else {
            policy_.head().tangent_delta(network.output(b.tape), scores, moved, out_deltas, b.columns);
            if constexpr (has_more) {
                if (settings_.entropy_weight > 0.0f) add_entropy_tangent(batch, b, moved, out_deltas);
            }
        }
        network.tangent_backward(w.data(), v.data(), b.inputs, b.tape, tangents, deltas, tangent_deltas, b.columns,
                                 out.data());
        if constexpr (has_more) {
            if (values()) add_value_product(batch, b, w.data(), v.data(), out.data());
        }
    }
}

template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::surrogate(int slot, ConstVector<S> w) {
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    ensure(batch, w);
    S sum = 0;
    for (int k = 0; k < blocks(batch); ++k) {
        const Block b = evaluated(batch, k, w.data());
        const Columns<const S> output = policy_.network.output(b.tape);
        if constexpr (has_more) {
            sum += more_surrogate(batch, b, w.data());
            if (settings_.surrogate.compares()) continue;
        }
        const Columns<const S> scores = action_weights(batch, b, w.data(), Weights::advantages);
        if constexpr (continuous) {
            sum += policy_.head().value(output, policy_.log_sigma(w.data()), b.actions, scores.data, b.columns);
        } else {
            sum += policy_.head().value(output, scores, b.columns);
        }
    }
    return sum;
}

}  // namespace dunlin

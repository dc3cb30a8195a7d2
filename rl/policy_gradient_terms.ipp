// SPDX-License-Identifier: Apache-2.0
// The bodies of PolicyGradientTask that an ActorCritic policy adds: ratios, entropy and the value network.
#pragma once

#include "rl/policy_gradient_task.hpp"

namespace dunlin {

/// log pi(a | s; w) of the step in a column of a block that was evaluated under w; of a Gaussian without its constant.
template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::log_probability(Batch& batch, const Block& b,
                                                                             [[maybe_unused]] const S* w,
                                                                             int column) const {
    const Columns<const S> output = policy_.network.output(b.tape);
    if constexpr (continuous) {
        S sum = 0;
        for (int k = 0; k < policy_.actions(); ++k) {
            const S log_sigma = policy_.log_sigma(w)[k];
            const S e = (b.actions.row(k)[column] - output.row(k)[column]) * portable::exp(-log_sigma);
            sum += S(-0.5) * e * e - log_sigma;
        }
        return sum;
    } else {
        return portable::log(output.row(batch.rollout.action(batch.rollout.first(b.step) + column))[column]);
    }
}

/// Of a time step that was taken just now: by what its actions were drawn, and what its states were thought worth.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::keep_as_drawn(Batch& batch, const Block& b, const S* w) {
    if (per_state_) return;
    const int first = batch.rollout.first(b.step);
    for (int k = 0; k < batch.rollout.active(b.step); ++k) {
        const auto column = static_cast<std::size_t>(first + k);
        if (settings_.surrogate.compares()) batch.more.old_log[column] = log_probability(batch, b, w, k);
        if constexpr (has_more) {
            if (values()) batch.more.values[column] = policy_.critic.output(critic_tape(batch, b)).row(0)[k];
        }
    }
}

/// `running` trajectories, the first of lanes_, were cut by the horizon.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::weigh_by_value(Batch& batch, const S* w, int running) {
    if constexpr (has_more) {
        set_zero(more_.next);
        if (settings_.value.bootstrap && running > 0) {
            const int columns = pad_columns(running);
            const Columns<S> tape{more_.final_tape.data(), columns};
            S* const seen = more_.final_observations.data();
            for (int k = 0; k < columns; ++k) {
                const State& state =
                    states_[static_cast<std::size_t>(lanes_[static_cast<std::size_t>(std::min(k, running - 1))])];
                if constexpr (FiniteEnvironment<E>)
                    more_.final_index[static_cast<std::size_t>(k)] = environment_.index(state);
                if (!policy_.critic.shape.one_hot) observe(state, seen + k, columns);
            }
            policy_.critic.forward(critic_of(w), {{seen, columns}, more_.final_index.data()}, tape, columns);
            for (int k = 0; k < running; ++k) {
                more_.next[static_cast<std::size_t>(lanes_[static_cast<std::size_t>(k)])] =
                    policy_.critic.output(tape).row(0)[k];
            }
        }
        weigh_by_advantage<S>(batch.rollout, environment_.discount(), settings_.value.trace_decay,
                              ConstVector<S>(batch.more.values), more_.next, more_.sums, batch.more.targets);
    }
}

/// How often the state of a column was visited.
template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::visited(const Batch& batch, const Block& b,
                                                                     int column) const {
    if (per_state_) return batch.more.visits[static_cast<std::size_t>(b.first + column)];
    return column < batch.rollout.active(b.step) ? S(1) : S(0);
}

/// Adds the derivative of minus c_H / D times the entropies H = - sum p log p: by the logits it is c_H / D p (log p + H). The
/// entropy of a Gaussian is the sum of its log sigma and a constant.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::add_entropy(Batch& batch, const Block& b,
                                                      [[maybe_unused]] Columns<S> deltas,
                                                      [[maybe_unused]] S* log_sigma_gradient) const {
    const S scale = S(settings_.entropy_weight) / S(settings_.trajectories);
    if constexpr (continuous) {
        for (int k = 0; k < policy_.actions(); ++k)
            log_sigma_gradient[k] -= scale * S(batch.rollout.active(b.step));
    } else {
        const Columns<const S> p = policy_.network.output(b.tape);
        for (int c = 0; c < b.columns; ++c) {
            const S often = visited(batch, b, c);
            if (often == S(0)) continue;
            S entropy = 0;
            for (int a = 0; a < policy_.actions(); ++a) entropy -= p.row(a)[c] * safe_log(p.row(a)[c]);
            for (int a = 0; a < policy_.actions(); ++a)
                deltas.row(a)[c] += scale * often * p.row(a)[c] * (safe_log(p.row(a)[c]) + entropy);
        }
    }
}

/// Adds the derivative of add_entropy's deltas when the logits move along `moved`.
template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::add_entropy_tangent(Batch& batch, const Block& b, Columns<const S> moved,
                                                              Columns<S> out) const {
    if constexpr (!continuous) {
        const S scale = S(settings_.entropy_weight) / S(settings_.trajectories);
        const Columns<const S> p = policy_.network.output(b.tape);
        for (int c = 0; c < b.columns; ++c) {
            const S often = visited(batch, b, c);
            if (often == S(0)) continue;
            S entropy = 0, mean = 0, change = 0;
            for (int a = 0; a < policy_.actions(); ++a) {
                entropy -= p.row(a)[c] * safe_log(p.row(a)[c]);
                mean += p.row(a)[c] * moved.row(a)[c];
            }
            for (int a = 0; a < policy_.actions(); ++a)
                change -= p.row(a)[c] * (safe_log(p.row(a)[c]) + entropy) * moved.row(a)[c];
            for (int a = 0; a < policy_.actions(); ++a) {
                const S along = moved.row(a)[c] - mean;  // the derivative of log p
                out.row(a)[c] +=
                    scale * often * p.row(a)[c] * (along * (safe_log(p.row(a)[c]) + entropy) + along + change);
            }
        }
    }
}

/// The weight of half a step's squared error.
template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::value_scale(const Batch& batch) const {
    return S(settings_.value.weight) / static_cast<S>(std::max<std::int64_t>(1, batch.rollout.steps()));
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::value_delta(Batch& batch, const Block& b, Columns<S> deltas) const {
    if constexpr (has_more) {
        const S scale = value_scale(batch);
        const S* const said = policy_.critic.output(critic_tape(batch, b)).row(0);
        S* const out = policy_.critic.output(deltas).row(0);
        const int first = batch.rollout.first(b.step), active = batch.rollout.active(b.step);
        for (int k = 0; k < b.columns; ++k)
            out[k] =
                k < active ? scale * (said[k] - batch.more.targets[static_cast<std::size_t>(first + k)]) : S(0);
    }
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::add_value_gradient(Batch& batch, const Block& b, const S* w, S* out) {
    if constexpr (has_more) {
        const Columns<S> deltas{more_.deltas.data(), b.columns};
        value_delta(batch, b, deltas);
        policy_.critic.backward(critic_of(w), b.inputs, critic_tape(batch, b), deltas, b.columns, critic_of(out));
    }
}

template <Environment E, class Policy, bool lean>
void PolicyGradientTask<E, Policy, lean>::add_value_product(Batch& batch, const Block& b, const S* w, const S* v,
                                                            S* out) {
    if constexpr (has_more) {
        const auto& critic = policy_.critic;
        const Columns<S> deltas{more_.deltas.data(), b.columns}, tangents{more_.tangents.data(), b.columns},
            tangent_deltas{more_.tangent_deltas.data(), b.columns}, tape = critic_tape(batch, b);
        value_delta(batch, b, deltas);
        critic.tangent_forward(critic_of(w), critic_of(v), b.inputs, tape, tangents, b.columns);
        const S scale = value_scale(batch);
        const int active = batch.rollout.active(b.step);
        for (int k = 0; k < b.columns; ++k)
            critic.output(tangent_deltas).row(0)[k] = k < active ? scale * critic.output(tangents).row(0)[k] : S(0);
        critic.tangent_backward(critic_of(w), critic_of(v), b.inputs, tape, tangents, deltas, tangent_deltas,
                                b.columns, critic_of(out));
    }
}

/// What a block adds to the surrogate beside the weighted log-likelihood: the loss of ratios (in its place), entropy and
/// values.
template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::more_surrogate(Batch& batch, const Block& b,
                                                                            const S* w) const {
    S sum = 0;
    const Rollout<S>& rollout = batch.rollout;
    if (settings_.surrogate.compares()) {
        for (int k = 0; k < rollout.active(b.step); ++k) {
            const int c = rollout.first(b.step) + k;
            sum += settings_.surrogate.loss(rollout.weight(c), log_probability(batch, b, w, k) -
                                                                   batch.more.old_log[static_cast<std::size_t>(c)]);
        }
    }
    if (settings_.entropy_weight > 0.0f) {
        const S scale = S(settings_.entropy_weight) / S(settings_.trajectories);
        if constexpr (continuous) {
            for (int k = 0; k < policy_.actions(); ++k)
                sum -= scale * S(rollout.active(b.step)) * policy_.log_sigma(w)[k];
        } else {
            const Columns<const S> p = policy_.network.output(b.tape);
            for (int c = 0; c < b.columns; ++c) {
                for (int a = 0; a < policy_.actions(); ++a)
                    sum += scale * visited(batch, b, c) * p.row(a)[c] * safe_log(p.row(a)[c]);
            }
        }
    }
    if constexpr (has_more) {
        if (values()) {
            const S* const said = policy_.critic.output(critic_tape(batch, b)).row(0);
            for (int k = 0; k < rollout.active(b.step); ++k) {
                const S e = said[k] - batch.more.targets[static_cast<std::size_t>(rollout.first(b.step) + k)];
                sum += value_scale(batch) / S(2) * e * e;
            }
        }
    }
    return sum;
}

template <Environment E, class Policy, bool lean>
typename Policy::Scalar PolicyGradientTask<E, Policy, lean>::divergence(int slot, ConstVector<S> w) {
    S sum = 0;
    if constexpr (has_more) {
        Batch& batch = batches_[static_cast<std::size_t>(slot)];
        ensure(batch, w);
        for (int k = 0; k < blocks(batch); ++k) {
            const Block b = evaluated(batch, k, w.data());
            for (int column = 0; column < batch.rollout.active(k); ++column) {
                const auto c = static_cast<std::size_t>(batch.rollout.first(k) + column);
                const S log_ratio = log_probability(batch, b, w.data(), column) - batch.more.old_log[c];
                sum += log_ratio * log_ratio / S(2);
            }
        }
        sum /= S(std::max<std::int64_t>(1, batch.rollout.steps()));
    }
    return sum;
}

}  // namespace dunlin

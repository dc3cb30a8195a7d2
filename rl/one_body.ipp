// SPDX-License-Identifier: Apache-2.0
// The update of a OneBody, piece by piece. Each function does what fits into the slice and says false where nothing
// more does.
#pragma once

#include "rl/one_body.hpp"

namespace dunlin {

template <class Policy>
bool OneBody<Policy>::advance() {
    switch (phase_) {
        case Phase::living:
            return true;
        case Phase::rewards:
            return weigh_life();
        case Phase::baselines:
            return weigh_step();
        case Phase::clear:
            return clear();
        case Phase::forward:
            return forward();
        case Phase::head:
            return head();
        case Phase::backward:
            return backward();
        case Phase::pull:
            return pull();
        case Phase::move:
            return move();
    }
    return true;
}

/// A life's rewards become rewards to go, discounted from time 0, as Rollout::weigh_by_reward_to_go has them.
template <class Policy>
bool OneBody<Policy>::weigh_life() {
    if (!take(static_cast<std::uint32_t>(life_work * settings_.horizon))) return false;
    const int length = lengths_[static_cast<std::size_t>(cursor_)];
    S* const weight = weights_.data() + at(cursor_, 0);
    S factor = 1, to_go = 0;
    for (int h = 0; h < length; ++h, factor *= S(settings_.discount)) weight[h] = factor * weight[h];
    for (int h = length - 1; h >= 0; --h) weight[h] = to_go += weight[h];
    mean_return_ += to_go;
    if (++cursor_ < settings_.trajectories) return true;
    mean_return_ /= S(settings_.trajectories);
    enter(Phase::baselines);
    return true;
}

/// At one time of all lives: the mean over the others is taken off, and the sum is made a descent's.
template <class Policy>
bool OneBody<Policy>::weigh_step() {
    if (!take(static_cast<std::uint32_t>(life_work * settings_.trajectories))) return false;
    int lived = 0;
    S sum = 0;
    for (int life = 0; life < settings_.trajectories; ++life) {
        if (lengths_[static_cast<std::size_t>(life)] <= cursor_) continue;
        ++lived;
        sum += weights_[at(life, cursor_)];
    }
    const S scale = S(-1) / S(settings_.trajectories);
    for (int life = 0; life < settings_.trajectories; ++life) {
        if (lengths_[static_cast<std::size_t>(life)] <= cursor_) continue;
        S& weight = weights_[at(life, cursor_)];
        if (settings_.leave_one_out && lived > 1) weight -= (sum - weight) / S(lived - 1);
        weight *= scale;
    }
    if (++cursor_ == settings_.horizon) enter(Phase::clear);
    return true;
}

template <class Policy>
bool OneBody<Policy>::clear() {
    const int size = static_cast<int>(gradient_.size());
    const int count = fitting(size - cursor_, 1);
    if (!take(static_cast<std::uint32_t>(count))) return false;
    std::fill_n(gradient_.begin() + cursor_, count, S(0));
    cursor_ += count;
    if (cursor_ < size) return true;
    of_step_ = 0;
    of_life_ = -1;
    next_step();
    return true;
}

/// The next life that still ran at this time, or the first at the next time.
template <class Policy>
void OneBody<Policy>::next_step() {
    do {
        if (++of_life_ == settings_.trajectories) {
            of_life_ = 0;
            ++of_step_;
        }
        if (of_step_ == settings_.horizon) {
            pulled_.fill(S(0));
            silent_ = true;
            return enter(Phase::pull);
        }
    } while (lengths_[static_cast<std::size_t>(of_life_)] <= of_step_);
    layer_ = 0;
    enter(Phase::forward);
}

template <class Policy>
bool OneBody<Policy>::forward() {
    const MlpShape& s = shape();
    const int inputs = s.fan_in(layer_), outputs = s.width(layer_);
    const bool one_hot = layer_ == 0 && s.one_hot;
    const int rows = one_hot ? inputs : fitting(inputs - cursor_, static_cast<std::uint32_t>(outputs));
    const bool first = cursor_ == 0, last = cursor_ + rows == inputs;
    if (!take(forward_work(s, layer_, one_hot ? 1 : rows, first, last))) return false;
    const S* const weights = parameters_.data() + s.weights_at(layer_);
    const S* const bias = s.bias ? parameters_.data() + s.bias_at(layer_) : nullptr;
    S* const y = tape_.data() + s.row_at(layer_);
    const std::size_t step = at(of_life_, of_step_);
    if (one_hot) {
        policy_.network.kernels->select_rows(weights, bias, &states_[step], {y, 1}, outputs, 1,
                                             s.activation(layer_));
    } else {
        // What was summed before stands where a bias would.
        const S* const x = layer_ == 0 ? seen(step) : tape_.data() + s.row_at(layer_ - 1);
        policy_.network.kernels->affine_one(weights + static_cast<std::ptrdiff_t>(cursor_) * outputs,
                                            first ? bias : y, x + cursor_, y, rows, outputs,
                                            last ? s.activation(layer_) : Activation::identity);
    }
    cursor_ += rows;
    if (!last) return true;
    cursor_ = 0;
    if (++layer_ == s.layers) enter(Phase::head);
    return true;
}

/// The derivative of the weighted log-likelihood of what was done by the network's outputs.
template <class Policy>
bool OneBody<Policy>::head() {
    const MlpShape& s = shape();
    if (!take(head_work(s))) return false;
    const int outputs = s.outputs();
    const Columns<S> out = policy_.network.output({tape_.data(), 1}),
                     delta = policy_.network.output({deltas_.data(), 1});
    const std::size_t step = at(of_life_, of_step_);
    if constexpr (continuous) {
        policy_.head().delta(out, policy_.log_sigma(parameters_.data()),
                             {numbers_.data() + step * static_cast<std::size_t>(outputs), 1}, &weights_[step],
                             delta, policy_.log_sigma(gradient_.data()), 1);
    } else {
        // As Categorical::delta for a column whose only weight is at the action.
        policy_.network.kernels->softmax(out, out, outputs, 1);
        const S weight = weights_[step];
        for (int a = 0; a < outputs; ++a)
            delta.data[a] = (a == actions_[step] ? weight : S(0)) - weight * out.data[a];
    }
    layer_ = s.layers - 1;
    enter(Phase::backward);
    return true;
}

template <class Policy>
bool OneBody<Policy>::backward() {
    const MlpShape& s = shape();
    const auto& kernels = *policy_.network.kernels;
    const int inputs = s.fan_in(layer_), outputs = s.width(layer_);
    const bool one_hot = layer_ == 0 && s.one_hot, first = cursor_ == 0;
    const int rows = one_hot ? inputs : fitting(inputs - cursor_, backward_work(s, layer_, 1, false));
    if (!take(backward_work(s, layer_, one_hot ? 1 : rows, first))) return false;
    const Columns<const S> delta{deltas_.data() + s.row_at(layer_), 1};
    const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(cursor_) * outputs;
    S* const weights = gradient_.data() + s.weights_at(layer_);
    S* const bias = s.bias && first ? gradient_.data() + s.bias_at(layer_) : nullptr;
    const std::size_t step = at(of_life_, of_step_);
    if (one_hot) {
        kernels.scatter_rows(&states_[step], delta, weights, bias, outputs, 1);
    } else {
        const S* const x = layer_ == 0 ? seen(step) : tape_.data() + s.row_at(layer_ - 1);
        kernels.weight_gradient({x + cursor_, 1}, delta, weights + offset, bias, rows, outputs, 1);
        if (layer_ > 0) {
            kernels.backpropagate(parameters_.data() + s.weights_at(layer_) + offset, delta, {x + cursor_, 1},
                                  {deltas_.data() + s.row_at(layer_ - 1) + cursor_, 1}, rows, outputs, 1,
                                  s.activation(layer_ - 1));
        }
    }
    cursor_ += rows;
    if (cursor_ < inputs) return true;
    cursor_ = 0;
    if (layer_ == 0)
        next_step();
    else
        --layer_;
    return true;
}

/// Adds the pull to the anchor, and sums the squares in the order of core/vector.hpp's dot.
template <class Policy>
bool OneBody<Policy>::pull() {
    const int size = static_cast<int>(gradient_.size());
    const int blocks = fitting((size - cursor_ + lanes - 1) / lanes, pull_work * lanes);
    if (!take(pull_work * lanes * static_cast<std::uint32_t>(blocks))) return false;
    const int end = std::min(cursor_ + blocks * lanes, size);
    const S weight = S(settings_.inner.prox_weight);
    S* const g = gradient_.data();
    const S *const w = parameters_.data(), *const anchor = anchor_.data();
    bool silent = silent_;
    for (int k = cursor_; k < end;) {
        for (S* sum = pulled_.data(); sum != pulled_.data() + lanes && k < end; ++sum, ++k) {
            silent = silent && g[k] == S(0);
            g[k] += weight * (w[k] - anchor[k]);
            *sum += g[k] * g[k];
        }
    }
    silent_ = silent;
    cursor_ = end;
    if (cursor_ < size) return true;
    for (std::size_t width = lanes / 2; width > 0; width /= 2) {
        for (std::size_t l = 0; l < width; ++l) pulled_[l] += pulled_[l + width];
    }
    const S norm = portable::sqrt(pulled_[0]);
    const MoreauEnvelope& inner = settings_.inner;
    rate_ = S(inner.inner_rate);
    if (inner.step_clip > 0.0f && rate_ * norm > S(inner.step_clip)) rate_ = S(inner.step_clip) / norm;
    if (!silent_ && norm <= S(inner.accuracy)) rate_ = 0;  // close enough, as MoreauEnvelope::step says
    enter(Phase::move);
    return true;
}

template <class Policy>
bool OneBody<Policy>::move() {
    const int size = static_cast<int>(gradient_.size());
    const int count = fitting(size - cursor_, move_work);
    if (!take(move_work * static_cast<std::uint32_t>(count))) return false;
    const S rate = rate_;
    S* w = parameters_.data() + cursor_;
    const S* const end = w + count;
    for (const S* g = gradient_.data() + cursor_; w != end; ++w, ++g) *w -= rate * *g;
    cursor_ += count;
    if (cursor_ < size) return true;
    ++updates_;
    life_ = 0;
    recorded_ = false;  // a life that is under way is not learned from
    enter(Phase::living);
    return true;
}

}  // namespace dunlin

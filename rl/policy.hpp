// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/heads.hpp"
#include "core/mlp.hpp"

namespace dunlin {

/// Softmax over the outputs of a perceptron. With a one-hot shape without hidden layers and bias it is a table of
/// logits, one row a state.
template <class S>
struct CategoricalPolicy {
    using Scalar = S;
    static constexpr bool continuous = false;

    Mlp<S> network;

    constexpr std::size_t parameters() const { return network.shape.parameters(); }
    constexpr int actions() const { return network.shape.outputs(); }
    Categorical<S> head() const { return {actions()}; }
};

/// Normal distribution around a perceptron's outputs; the log standard deviations are the last `actions()`
/// parameters, the same in every state.
template <class S>
struct GaussianPolicy {
    using Scalar = S;
    static constexpr bool continuous = true;

    Mlp<S> network;

    constexpr std::size_t parameters() const {
        return network.shape.parameters() + static_cast<std::size_t>(actions());
    }
    constexpr int actions() const { return network.shape.outputs(); }
    DiagonalGaussian<S> head() const { return {actions()}; }

    const S* log_sigma(const S* parameters) const { return parameters + network.shape.parameters(); }
    S* log_sigma(S* parameters) const { return parameters + network.shape.parameters(); }
};

}  // namespace dunlin

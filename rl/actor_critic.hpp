// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mlp.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// A policy with a value network beside it, V(s), which sees what the policy sees. Its parameters follow the policy's in
/// one flat vector, so that whatever learns, adapts, saves or sends a policy does so with both. A critic without layers is
/// none.
template <class Policy>
struct ActorCritic : Policy {
    Mlp<typename Policy::Scalar> critic{};

    constexpr bool criticises() const { return critic.shape.layers > 0; }
    constexpr std::size_t policy_parameters() const { return Policy::parameters(); }
    constexpr std::size_t parameters() const { return policy_parameters() + critic.shape.parameters(); }
    template <class V>
    V critic_part(V parameters_of_both) const {
        return parameters_of_both.subspan(policy_parameters(), critic.shape.parameters());
    }
};

template <class Policy>
concept MayCriticise = requires(const Policy& policy) {
    policy.critic.shape;
};

/// Numbers of a policy alone, without a critic.
template <class Policy>
constexpr std::size_t policy_parameters(const Policy& policy) {
    if constexpr (MayCriticise<Policy>)
        return policy.policy_parameters();
    else
        return policy.parameters();
}

/// 1 where a last layer's parameters are (or a Gaussian policy's deviations), 0 elsewhere: what ANIL's inner steps move.
template <class Policy>
void mark_last_layers(const Policy& policy, Vector<float> marks) {
    const auto body = [](const MlpShape& shape) { return shape.weights_at(shape.layers - 1); };
    std::fill(marks.begin(), marks.end(), 1.0f);
    std::fill_n(marks.begin(), body(policy.network.shape), 0.0f);
    if constexpr (MayCriticise<Policy>) {
        if (policy.criticises()) std::fill_n(policy.critic_part(marks).begin(), body(policy.critic.shape), 0.0f);
    }
}

/// A task whose batches are drawn already: nothing draws them anew, and the stream stays where it is.
template <class T>
struct DrawnTask {
    using S = typename T::S;
    T& task;

    std::size_t dimension() const { return task.dimension(); }
    int slots() const { return task.slots(); }
    void draw(int, ConstVector<S>, Stream&) {}
    S value(int slot, ConstVector<S> w) { return task.value(slot, w); }
    void gradient(int slot, ConstVector<S> w, Vector<S> out) { task.gradient(slot, w, out); }
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out) {
        task.hessian_vector(slot, w, v, out);
    }
};

}  // namespace dunlin

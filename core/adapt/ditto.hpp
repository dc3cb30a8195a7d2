// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"

namespace dunlin {

/// Ditto: the shared model w is learned from plain gradients by any aggregation, and beside it every node k keeps a
/// model v_k of its own, which is never sent and follows w:
///
///     v_k* = argmin over v of  F_k(v) + lambda/2 |v - w|^2
///
///     v_k := v_k - eta (dF_k(v_k) + lambda (v_k - w)),  s times for every w that the node is given
///
/// With lambda = 0 the node learns alone, with a large one v_k is w. Nothing of v_k reaches w: unlike with the Moreau
/// envelope or personal layers, what is shared is what it would be without personal models. v_k begins at the first
/// w and is kept from one w to the next, so it may come closer to v_k* than s steps from w would.
///
/// Source: Li, Hu, Beirami and Smith 2021, "Ditto: fair and robust federated learning through personalization",
/// equation 2 and Algorithm 1.
struct Ditto {
    float prox_weight = 0.5f;    ///< lambda >= 0
    float personal_rate = 0.1f;  ///< eta > 0; personal_rate * prox_weight < 1
    int steps = 10;              ///< s >= 0
    float step_clip = 0.0f;      ///< the longest step, as a norm; 0: no limit

    static constexpr std::size_t scratch(std::size_t dimension) { return dimension; }
    static constexpr int slots() { return 1; }

    /// One step of v on a fresh batch. `scratch` holds w.size() scalars.
    template <class S, Task<S> T>
    void step(T& task, ConstVector<S> w, Stream& random, Vector<S> v, Vector<S> scratch) const {
        const MoreauEnvelope envelope{
            .prox_weight = prox_weight, .inner_rate = personal_rate, .accuracy = 0.0f, .step_clip = step_clip};
        task.draw(0, ConstVector<S>(v), random);
        envelope.step<S>(task, w, v, scratch);
    }

    /// All steps of v for one w. Returns the number of task gradients taken.
    template <class S, Task<S> T>
    int follow(T& task, ConstVector<S> w, Stream& random, Vector<S> v, Vector<S> scratch) const {
        for (int k = 0; k < steps; ++k) step<S>(task, w, random, v, scratch);
        return steps;
    }
};

}  // namespace dunlin

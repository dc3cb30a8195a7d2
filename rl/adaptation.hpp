// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace dunlin {

/// The epoch of the evaluation after an iteration or a round. Sixteen are set apart, from `set_apart_epochs` on:
/// for pictures, the last evaluation and what is adapted to later. However long a run is, none of its iterations
/// draws them.
inline constexpr std::uint64_t set_apart_epochs = 0xffff0;
constexpr std::uint64_t evaluation_epoch(std::int64_t iteration) {
    const auto epoch = static_cast<std::uint64_t>(iteration);
    return epoch < set_apart_epochs ? epoch : epoch + 16;
}

/// The random numbers by which a policy is taken to task `number`: the same on a host and on a board. Different
/// `epoch`s draw different numbers.
inline constexpr std::uint64_t epochs_per_adaptation = 4096;  ///< more than the steps of any adaptation
inline Stream adaptation_stream(std::uint64_t seed, std::uint32_t number, std::uint64_t epoch) {
    Stream random(seed, number, Purpose::evaluate);
    random.seek_epoch(epoch * epochs_per_adaptation);
    return random;
}

/// A task whose gradients are scaled number by number: what an inner loop with step sizes of its own sees.
template <class T, class S>
struct ScaledTask {
    T& task;
    ConstVector<S> sizes;

    std::size_t dimension() const { return task.dimension(); }
    int slots() const { return task.slots(); }
    void draw(int slot, ConstVector<S> w, Stream& random) { task.draw(slot, w, random); }
    S value(int slot, ConstVector<S> w) { return task.value(slot, w); }
    void gradient(int slot, ConstVector<S> w, Vector<S> out) {
        task.gradient(slot, w, out);
        for (std::size_t k = 0; k < out.size(); ++k) out[k] *= sizes[k];
    }
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out) {
        task.hessian_vector(slot, w, v, out);
        for (std::size_t k = 0; k < out.size(); ++k) out[k] *= sizes[k];
    }
};

/// MEMRL's inner steps, and what other methods add to them: a size of its own for every parameter's step (ANIL,
/// Meta-SGD), and several steps on one batch (PPO).
template <class S>
struct InnerSteps {
    MoreauEnvelope envelope;
    ConstVector<S> sizes;  ///< in shares of the inner rate; empty: 1. The caller's.
    int batch_steps;       ///< at most; fewer where the gradient's norm falls to the envelope's accuracy

    InnerSteps(const MoreauEnvelope& inner, ConstVector<S> own = {}, int on_a_batch = 1)
        : envelope(inner), sizes(own), batch_steps(on_a_batch) {}

    /// The steps on the batch in slot 0. `scratch` holds w.size() scalars.
    template <class T>
    void step(T& task, ConstVector<S> w, Vector<S> personal, Vector<S> scratch) const {
        for (int k = 0; k < batch_steps; ++k) {
            bool done = false;
            if (sizes.empty()) {
                done = envelope.template step<S>(task, w, personal, scratch);
            } else {
                ScaledTask<T, S> scaled{task, sizes};
                done = envelope.template step<S>(scaled, w, personal, scratch);
            }
            if (done) return;
        }
    }
};

/// Takes parameters w to an environment by `steps` batches of the inner loop, each drawn anew: visit(k, theta_k) is
/// called for k = 0 (w itself) to `steps`, and may draw from `task` with a stream of its own; one that returns false ends
/// it. `personal` and `scratch` hold w.size() numbers each; the last theta is left in `personal`.
template <class T, class E, class Visit>
void adapt_to(const E& environment, const InnerSteps<float>& inner, ConstVector<float> w, int steps, Stream& random,
              T& task, Vector<float> personal, Vector<float> scratch, Visit&& visit) {
    std::copy(w.begin(), w.end(), personal.begin());
    for (int k = 0;; ++k) {
        task.set_environment(environment);
        if constexpr (std::is_void_v<decltype(visit(k, ConstVector<float>(personal)))>) {
            visit(k, ConstVector<float>(personal));
        } else {
            if (!visit(k, ConstVector<float>(personal))) return;
        }
        if (k == steps) return;
        task.set_environment(environment);  // a visitor may have set another
        task.draw(0, ConstVector<float>(personal), random);
        inner.step(task, w, personal, scratch);
    }
}

}  // namespace dunlin

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

/// Takes parameters w to an environment by `steps` steps of the inner loop, each on a batch of its own: visit(k,
/// theta_k) is called for k = 0 (w itself) to `steps`, and may draw from `task` with a stream of its own; one that
/// returns false ends it.
/// `personal` and `scratch` hold w.size() numbers each; the last theta is left in `personal`.
template <class T, class E, class Visit>
void adapt_to(const E& environment, const MoreauEnvelope& inner, ConstVector<float> w, int steps, Stream& random,
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
        inner.step<float>(task, w, personal, scratch);
    }
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"
#include "core/vector.hpp"

#include <cstddef>
#include <cstdint>

namespace dunlin {

/// Gradient descent: w <- w - rate g, rounded once.
struct Sgd {
    float rate = 0.01f;  ///< > 0

    template <class S>
    void step(Vector<S> w, ConstVector<S> gradient) const {
#ifdef DUNLIN_VFP
        if constexpr (sizeof(S) == sizeof(float)) return vfp::descend(rate, gradient.data(), w.data(), w.size());
#endif
        for (std::size_t k = 0; k < w.size(); ++k) w[k] = portable::fma(-static_cast<S>(rate), gradient[k], w[k]);
    }
};

/// Adam with bias correction (Kingma and Ba 2015, Algorithm 1).
struct Adam {
    float rate = 1e-3f;           ///< > 0
    float mean_decay = 0.9f;      ///< beta_1
    float square_decay = 0.999f;  ///< beta_2
    float epsilon = 1e-8f;

    /// Moments m and v, w.size() scalars each, zero at the start; the memory is the caller's.
    template <class S>
    struct State {
        Vector<S> mean, square;
        std::int64_t steps = 0;
    };

    /// Along `scale` times the gradient.
    template <class S>
    void step(Vector<S> w, ConstVector<S> gradient, State<S>& state, S scale = S(1)) const {
        ++state.steps;
        const double count = static_cast<double>(state.steps);
        const S mean_scale = S(1.0 / (1.0 - __builtin_pow(mean_decay, count)));
        const S square_scale = S(1.0 / (1.0 - __builtin_pow(square_decay, count)));
        const S b1 = S(mean_decay), b2 = S(square_decay);
        for (std::size_t k = 0; k < w.size(); ++k) {
            const S g = scale * gradient[k];
            const S m = state.mean[k] = b1 * state.mean[k] + (S(1) - b1) * g;
            const S v = state.square[k] = b2 * state.square[k] + (S(1) - b2) * g * g;
            w[k] -= S(rate) * m * mean_scale / (portable::sqrt(v * square_scale) + S(epsilon));
        }
    }
};

/// The scale that brings a vector's Euclidean norm down to `limit` (1 where it is there already; limit <= 0: none).
template <class S>
S clip_scale(ConstVector<S> v, S limit) {
    if (limit <= S(0)) return S(1);
    const S norm = portable::sqrt(dot(v, v));
    return norm > limit ? limit / norm : S(1);
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// Gradient descent whose step size is how far it came, over the gradients that it saw:
///
///     w_{t+1} = w_t - scale r_t / sqrt(G_t) g_t,   r_t = max(first, max over i <= t of |w_i - w_0|),   G_t = sum of |g_i|^2
///
/// so that nothing but `first`, which is small, is to be chosen.
///
/// Source: Ivgi, Hinder and Carmon 2023, "DoG is SGD's best friend", equations 1 and 2.
struct DistanceOverGradients {
    float scale = 1.0f;   ///< > 0; the method's own is 1
    float first = 1e-3f;  ///< r_0 > 0 where |w_0| is small; else as a share of 1 + |w_0|

    /// w_0, and r and G in the first two numbers of `sums`; the memory is the caller's. Of both, size 0 steps begin.
    template <class S>
    void step(Vector<S> w, ConstVector<S> gradient, Vector<S> start, Vector<S> sums, bool begins) const {
        if (begins) {
            const ConstVector<S> at = w;
            std::copy(w.begin(), w.end(), start.begin());
            sums[0] = S(first) * (S(1) + portable::sqrt(dot(at, at)));
            sums[1] = S(0);
        }
        S square = 0;
        for (std::size_t k = 0; k < w.size(); ++k) square += (w[k] - start[k]) * (w[k] - start[k]);
        sums[0] = std::max(sums[0], portable::sqrt(square));
        sums[1] += dot(gradient, gradient);
        if (!(sums[1] > S(0))) return;  // nothing was said yet
        const S rate = S(scale) * sums[0] / portable::sqrt(sums[1]);
        for (std::size_t k = 0; k < w.size(); ++k) w[k] -= rate * gradient[k];
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/maml.hpp"

#include <cstddef>

namespace dunlin {

/// MAML whose steps have a size of their own for every parameter: s, in shares of the rate alpha,
///
///     w_0 = w,   w_{r+1} = w_r - alpha c_r s o df(w_r, D_r)           (o: number by number; c_r <= 1 clips)
///     p_u = df(w_u, D_u),   p_r = p_{r+1} - alpha c_r d2f(w_r, D_r) (s o p_{r+1})
///     dF/dw = p_0,   dF/ds = - alpha sum over r of c_r df(w_r, D_r) o p_{r+1}
///
/// Meta-SGD learns s with w; a size may become negative. With sizes 0 and 1 that stay as they are the inner steps move
/// some parameters alone: the last layer's are ANIL. Batches, score-function terms, clipping (c_r counts as constant) and
/// `first_order` are Maml's; the first-order dF/ds needs no Hessian, and is exact for one step.
///
/// Source: Li, Zhou, Chen and Li 2017, "Meta-SGD", Algorithm 2 (one step; here for any number); Raghu, Raghu, Bengio and
/// Vinyals 2020, "Rapid learning or feature reuse?" (ANIL).
struct MetaSgd {
    Maml maml{};  ///< without `personal`

    /// The iterates w_0 ... w_u, their gradients, and two vectors more.
    constexpr std::size_t scratch(std::size_t dimension) const {
        return (2 * static_cast<std::size_t>(maml.steps) + 3) * dimension;
    }
    constexpr int slots() const { return maml.slots(); }

    /// Writes dF/dw on fresh batches to `out` and dF/ds to `size_gradient`, which may be empty. `sizes` and `out` hold
    /// w.size() scalars. Returns the number of task gradients taken; a Hessian-vector product counts as two.
    template <class S, Task<S> T>
    int gradient(T& task, ConstVector<S> w, ConstVector<S> sizes, Stream& random, Vector<S> out,
                 Vector<S> size_gradient, Vector<S> scratch) const {
        const std::size_t d = w.size();
        const int u = maml.steps;
        S rates[Maml::step_limit] = {};
        const auto part = [&](int k) { return scratch.subspan(static_cast<std::size_t>(k) * d, d); };
        const auto iterate = [&](int r) { return part(r); };
        const auto slope = [&](int r) { return part(u + 1 + r); };
        const Vector<S> moved = part(2 * u + 1), product = part(2 * u + 2);
        for (std::size_t k = 0; k < d; ++k) scratch[k] = w[k];
        for (int r = 0; r < u; ++r) {
            const Vector<S> here = iterate(r), next = iterate(r + 1), g = slope(r);
            task.draw(r, ConstVector<S>(here), random);
            task.gradient(r, ConstVector<S>(here), g);
            for (std::size_t k = 0; k < d; ++k) next[k] = sizes[k] * g[k];
            const S longest = maml.step_clip > 0.0f ? S(maml.step_clip / maml.inner_rate) : S(0);
            rates[r] = S(maml.inner_rate) * clip_scale<S>(ConstVector<S>(next), longest);
            for (std::size_t k = 0; k < d; ++k) next[k] = here[k] - rates[r] * next[k];
        }
        const ConstVector<S> last = iterate(u);
        task.draw(u, last, random);
        task.gradient(u, last, out);
        int taken = u + 1;

        for (S& sum : size_gradient) sum = S(0);
        const S value = maml.score_term && u > 0 ? task.value(u, last) - S(maml.score_baseline) : S(0);
        for (int r = u - 1; r >= 0; --r) {
            const ConstVector<S> g = slope(r);
            for (std::size_t k = 0; k < size_gradient.size(); ++k) size_gradient[k] -= rates[r] * g[k] * out[k];
            if (maml.first_order) continue;
            for (std::size_t k = 0; k < d; ++k) moved[k] = sizes[k] * out[k];
            task.hessian_vector(r, ConstVector<S>(iterate(r)), ConstVector<S>(moved), product);
            for (std::size_t k = 0; k < d; ++k) out[k] -= rates[r] * product[k];
            taken += 2;
            if constexpr (ScoredTask<T, S>) {
                if (!maml.score_term) continue;
                task.score_sum(r, ConstVector<S>(iterate(r)), product);
                for (std::size_t k = 0; k < d; ++k) out[k] += value * product[k];
                ++taken;
            }
        }
        return taken;
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/layer_split.hpp"
#include "core/task.hpp"

#include <cstddef>
#include <cstdint>

namespace dunlin {

/// How much of the lower level's reaction the upper gradient knows of.
enum class HyperGradient : std::uint8_t {
    cheap,   ///< d_x f(x, y) alone, as if y did not react: one gradient
    neumann  ///< the implicit term too, the inverse Hessian by a Neumann series
};

/// A node's side of bilevel personalisation: the personal layers y follow the shared ones x,
///
///     min over x of f(x, y*(x)),   y*(x) = argmin over y of g(x, y) = loss + ridge/2 |y|^2
///
/// in a single loop, one step each, f on a batch of its own:
///
///     y := y - beta d_y g(x, y)                                                     the adaptation step
///     h_f = d_x f(x, y) - d2_xy g(x, y) v,   v = eta sum over m = 0..M of (I - eta d2_yy g)^m d_y f(x, y)
///
/// v tends to [d2_yy g]^-1 d_y f as M grows if 0 < eta < 2 / the largest curvature of g in y, which must be convex
/// there: hence the ridge. Where f and g are one loss on the same data, d_y f vanishes as y settles and `cheap` is
/// enough. The task's batch in slot 0 is the lower level's, that in slot 1 the upper level's.
///
/// Source: SPDB, Algorithm 1 and footnote 2 (Lu et al. 2022); the series: Ghadimi and Wang 2018.
struct Bilevel {
    float personal_rate = 0.02f;  ///< beta > 0
    float ridge = 0.0f;           ///< >= 0
    HyperGradient hyper_gradient = HyperGradient::cheap;
    int neumann_terms = 10;      ///< M >= 0
    float neumann_rate = 0.02f;  ///< eta > 0

    constexpr std::size_t scratch(std::size_t dimension) const {
        return hyper_gradient == HyperGradient::neumann ? 3 * dimension : 0;
    }
    static constexpr int slots() { return 2; }
    /// Task gradients that one gradient costs.
    constexpr int gradients() const {
        return hyper_gradient == HyperGradient::neumann ? 2 + 2 * (neumann_terms + 1) : 2;
    }

    /// Moves y inside w = (x, y) and writes h_f to the shared part of `out`, which holds w.size() scalars; the rest
    /// of it is d_y f. `scratch` holds scratch(w.size()) scalars. Returns the number of task gradients taken; a
    /// Hessian-vector product counts as two.
    template <class S, Task<S> T>
    int gradient(T& task, const LayerSplit& split, Vector<S> w, Stream& random, Vector<S> out,
                 Vector<S> scratch) const {
        task.draw(0, ConstVector<S>(w), random);
        task.gradient(0, ConstVector<S>(w), out);
        split.each_personal([&](std::size_t k) { w[k] -= S(personal_rate) * (out[k] + S(ridge) * w[k]); });
        task.draw(1, ConstVector<S>(w), random);
        task.gradient(1, ConstVector<S>(w), out);
        if (hyper_gradient == HyperGradient::cheap || !split.has_personal()) return 2;

        const std::size_t d = w.size();
        Vector<S> term = scratch.first(d), sum = scratch.subspan(d, d), product = scratch.subspan(2 * d, d);
        for (std::size_t k = 0; k < d; ++k) term[k] = out[k];
        split.clear_shared(term);
        for (std::size_t k = 0; k < d; ++k) sum[k] = term[k];
        for (int m = 0; m < neumann_terms; ++m) {
            task.hessian_vector(0, ConstVector<S>(w), ConstVector<S>(term), product);
            split.each_personal([&](std::size_t k) {
                term[k] -= S(neumann_rate) * (product[k] + S(ridge) * term[k]);
                sum[k] += term[k];
            });
        }
        task.hessian_vector(0, ConstVector<S>(w), ConstVector<S>(sum), product);
        for (const LayerSplit::Range& range : split.shared()) {
            for (std::size_t k = range.first; k < range.first + range.count; ++k)
                out[k] -= S(neumann_rate) * product[k];
        }
        return gradients();
    }
};

}  // namespace dunlin

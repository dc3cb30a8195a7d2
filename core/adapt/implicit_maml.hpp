// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "core/conjugate_gradients.hpp"

#include <cstddef>

namespace dunlin {

/// Implicit MAML: the loss where the proximal inner problem is solved, and its gradient from where that is, whatever way
/// led there,
///
///     theta(w) = argmin over theta of  f(theta) + lambda/2 |theta - w|^2,     F(w) = f(theta(w))
///     dF(w)    = (I + d2f(theta) / lambda)^-1  df(theta)
///
/// by conjugate gradients from zero. The Hessian is that of one batch, the gradient that of another. A sampled loss may
/// curve downwards: where a direction's curvature of I + d2f / lambda is below `least_curvature` the solve ends with what
/// it has, at the first one with df(theta) itself (first-order). Of reinforcement learning d2f is the Hessian of a batch
/// that stays as it is: that sampling depends on the parameters is left out.
///
/// Source: Rajeswaran, Finn, Kakade and Levine 2019, "Meta-learning with implicit gradients", equation 6, Algorithm 2.
struct ImplicitMaml {
    static constexpr float least_curvature = 0.1f;

    MoreauEnvelope inner{};   ///< prox_weight > 0
    int conjugate_steps = 5;  ///< >= 0; 0: first-order

    static constexpr std::size_t scratch(std::size_t dimension) { return 4 * dimension; }
    static constexpr int slots() { return 2; }

    /// Writes dF(w) to `out`; `scratch` holds 4 w.size() scalars, of which the first w.size() are then theta. Returns the
    /// number of task gradients taken; a Hessian-vector product counts as two.
    template <class S, Task<S> T>
    int gradient(T& task, ConstVector<S> w, Stream& random, Vector<S> out, Vector<S> scratch) const {
        const std::size_t d = w.size();
        const Vector<S> theta = scratch.first(d), residual = scratch.subspan(d, d),
                        direction = scratch.subspan(2 * d, d), product = scratch.subspan(3 * d, d);
        const ConstVector<S> at = theta;
        int taken = inner.solve(task, w, random, theta, residual) + 1;
        if (inner.fresh_batches && conjugate_steps > 0) task.draw(0, at, random);  // else the inner problem's own
        task.draw(1, at, random);
        task.gradient(1, at, residual);

        taken += 2 * conjugate_gradients<S>(conjugate_steps, S(least_curvature), out, residual, direction, product,
                                            [&](ConstVector<S> v, Vector<S> result) {
                                                task.hessian_vector(0, at, v, result);
                                                for (std::size_t k = 0; k < d; ++k)
                                                    result[k] = v[k] + result[k] / S(inner.prox_weight);
                                            });
        return taken;
    }
};

}  // namespace dunlin

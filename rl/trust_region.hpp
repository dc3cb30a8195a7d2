// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/conjugate_gradients.hpp"
#include "core/math.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <cstddef>

namespace dunlin {

/// A step of TRPO: along the natural gradient x = (F + damping)^-1 g, F being the Fisher information of the policy, as long
/// as the divergence from the policy that the trajectories are of allows, and shortened until the surrogate loss is
/// smaller than before within it.
///
/// Source: Schulman et al. 2015, "Trust region policy optimization", appendix C; of meta-policies Finn et al. 2017
/// (MAML), section 5.3.
struct TrustRegion {
    float radius = 0.01f;  ///< delta: the largest divergence
    int conjugate_steps = 10;
    float damping = 0.1f;

    static constexpr int tries = 10;        ///< lengths that are tried
    static constexpr float shorter = 0.6f;  ///< each of them than the one before
    static constexpr std::size_t scratch(std::size_t dimension) { return 4 * dimension; }

    /// What is said of parameters on the same trajectories.
    template <class S>
    struct Trial {
        S loss, divergence;
    };
    struct Outcome {
        int products = 0;  ///< Fisher-vector products
        int tried = 0;     ///< lengths
        bool moved = false;
        float divergence = 0.0f;  ///< of where it moved to
    };

    /// Moves w, against `gradient`, which is that of the loss at w, whose value there is `loss`. multiply(v, out) writes
    /// F v; judge(w) returns a Trial. Where no length will do w stays as it was.
    template <class S, class Multiply, class Judge>
    Outcome step(Vector<S> w, ConstVector<S> gradient, S loss, Vector<S> scratch_, Multiply&& multiply,
                 Judge&& judge) const {
        const std::size_t d = w.size();
        const Vector<S> x = scratch_.first(d), residual = scratch_.subspan(d, d),
                        direction = scratch_.subspan(2 * d, d), product = scratch_.subspan(3 * d, d);
        const auto damped = [&](ConstVector<S> v, Vector<S> out) {
            multiply(v, out);
            for (std::size_t k = 0; k < d; ++k) out[k] += S(damping) * v[k];
        };
        Outcome outcome;
        std::copy(gradient.begin(), gradient.end(), residual.begin());
        outcome.products = conjugate_gradients<S>(conjugate_steps, S(0), x, residual, direction, product, damped);
        // The longest step of which the divergence, x'Fx / 2 near w, is the radius.
        damped(ConstVector<S>(x), product);
        ++outcome.products;
        const S curvature = dot(ConstVector<S>(x), ConstVector<S>(product));
        if (!(curvature > S(0))) return outcome;
        S length = portable::sqrt(S(2) * S(radius) / curvature);
        std::copy(w.begin(), w.end(), residual.begin());
        while (outcome.tried < tries) {
            ++outcome.tried;
            for (std::size_t k = 0; k < d; ++k) w[k] = residual[k] - length * x[k];
            const Trial<S> trial = judge(ConstVector<S>(w));
            if (trial.loss < loss && trial.divergence <= S(radius)) {
                outcome.moved = true;
                outcome.divergence = static_cast<float>(trial.divergence);
                return outcome;
            }
            length *= S(shorter);
        }
        std::copy(residual.begin(), residual.end(), w.begin());
        return outcome;
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"
#include "core/optimiser.hpp"
#include "core/task.hpp"

#include <cstddef>

namespace dunlin {

/// The Moreau envelope of a task's loss f around the shared parameters w:
///
///     F(w)  = min over theta of  f(theta) + lambda/2 |theta - w|^2
///     dF(w) = lambda (w - theta(w))
///
/// theta(w), the personal parameters, is found by gradient steps until the inner gradient's norm falls to
/// `accuracy`, or for `step_limit` steps: with sampled batches the norm has a floor that it may never cross. One
/// batch serves the stopping test and the step. A batch whose task gradient is exactly zero (sparse rewards, none
/// found) says nothing, so it never counts as convergence.
///
/// Source: Dinh et al. 2020, eqs. 2-3; MEMRL, Algorithm 1, line 6; PersA-FL, Algorithm 2, option C, lines 10-12.
struct MoreauEnvelope {
    float prox_weight = 15.0f;   ///< lambda >= 0; larger stays closer to w
    float inner_rate = 0.05f;    ///< beta > 0; inner_rate * prox_weight < 1
    float accuracy = 1e-3f;      ///< nu >= 0
    int step_limit = 10;         ///< >= 1
    float step_clip = 0.0f;      ///< the longest inner step, as a norm; 0: no limit
    bool fresh_batches = false;  ///< draw a batch for every inner step, as MEMRL does; option C keeps one

    static constexpr std::size_t scratch(std::size_t dimension) { return 2 * dimension; }
    static constexpr int slots() { return 1; }

    /// Writes dF(w) to `out`. `scratch` holds 2 w.size() scalars. Returns the number of task gradients taken.
    template <class S, Task<S> T>
    int gradient(T& task, ConstVector<S> w, Stream& random, Vector<S> out, Vector<S> scratch) const {
        Vector<S> personal = scratch.first(w.size());
        const int taken = solve(task, w, random, personal, scratch.subspan(w.size(), w.size()));
        for (std::size_t k = 0; k < w.size(); ++k) out[k] = S(prox_weight) * (w[k] - personal[k]);
        return taken;
    }

    /// Writes theta(w) to `personal`; `scratch` holds w.size() scalars. Returns the number of task gradients taken.
    template <class S, Task<S> T>
    int solve(T& task, ConstVector<S> w, Stream& random, Vector<S> personal, Vector<S> scratch) const {
        for (std::size_t k = 0; k < w.size(); ++k) personal[k] = w[k];
        int taken = 0;
        bool done = false;
        while (!done && taken < step_limit) {
            if (fresh_batches || taken == 0) task.draw(0, ConstVector<S>(personal), random);
            done = step<S>(task, w, personal, scratch);
            ++taken;
        }
        return taken;
    }

    /// One inner step on the batch in slot 0, or none where the gradient is within `accuracy`: then true.
    template <class S, Task<S> T>
    bool step(T& task, ConstVector<S> w, Vector<S> personal, Vector<S> scratch) const {
        Vector<S> g = scratch.first(w.size());
        task.gradient(0, ConstVector<S>(personal), g);
        const bool silent = dot(ConstVector<S>(g), ConstVector<S>(g)) == S(0);
        for (std::size_t k = 0; k < w.size(); ++k) g[k] += S(prox_weight) * (personal[k] - w[k]);
        const S norm = portable::sqrt(dot(ConstVector<S>(g), ConstVector<S>(g)));
        if (!silent && norm <= S(accuracy)) return true;
        S rate = S(inner_rate);
        if (step_clip > 0.0f && rate * norm > S(step_clip)) rate = S(step_clip) / norm;
        for (std::size_t k = 0; k < w.size(); ++k) personal[k] -= rate * g[k];
        return false;
    }
};

}  // namespace dunlin

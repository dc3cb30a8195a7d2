// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/layer_split.hpp"
#include "core/optimiser.hpp"
#include "core/task.hpp"

#include <cstddef>

namespace dunlin {

/// Multi-step model-agnostic meta-learning: the loss after `steps` gradient steps on fresh batches D_0 ... D_{u-1},
///
///     F(w) = E f(w_u, D_u),   w_0 = w,   w_{r+1} = w_r - alpha df(w_r, D_r)
///     dF(w) = prod over r = 0..u-1, leftmost first, of (I - alpha d2f(w_r, D_r))  times  df(w_u, D_u)
///
/// Hessian-vector products are applied from r = u-1 down to 0. First-order MAML leaves the product out. Where
/// sampling depends on the parameters (reinforcement learning), D_r is drawn under w_r and the exact gradient has
/// one more term per step, f(w_u, D_u) times the sum of scores of D_r (Fallah et al. 2021, eq. 8, here for any u).
/// With `personal` the inner steps move those layers alone: almost no inner loop (ANIL, Raghu et al. 2020).
///
/// Source: Finn et al. 2017; PARS-Push, Algorithm 1, lines 5-11; PersA-FL, Algorithm 2, option B (u = 1).
struct Maml {
    static constexpr int step_limit = 16;

    int steps = 1;                ///< u, in [0, step_limit]
    float inner_rate = 0.01f;     ///< alpha >= 0
    bool first_order = false;     ///< leave the Hessians out
    bool score_term = false;      ///< add the score-function terms; for a ScoredTask only
    float score_baseline = 0.0f;  ///< subtracted from f(w_u, D_u) in that term: unbiased if it is fixed beforehand
    float step_clip = 0.0f;  ///< the longest inner step, as a norm; 0: no limit. A clipped step counts as linear.
    const LayerSplit* personal = nullptr;  ///< the layers that inner steps move, the caller's; null: all

    /// The iterates w_0 ... w_u, and a vector or two more.
    constexpr std::size_t scratch(std::size_t dimension) const {
        return (static_cast<std::size_t>(steps) + (personal != nullptr ? 3 : 2)) * dimension;
    }
    constexpr int slots() const { return steps + 1; }

    /// Writes dF(w) on fresh batches to `out`. Returns the number of task gradients taken; a Hessian-vector product
    /// counts as two.
    template <class S, Task<S> T>
    int gradient(T& task, ConstVector<S> w, Stream& random, Vector<S> out, Vector<S> scratch) const {
        const std::size_t d = w.size();
        S rates[step_limit] = {};
        const auto iterate = [&](int r) { return scratch.subspan(static_cast<std::size_t>(r) * d, d); };
        for (std::size_t k = 0; k < d; ++k) scratch[k] = w[k];
        for (int r = 0; r < steps; ++r) {
            Vector<S> here = iterate(r), next = iterate(r + 1);
            task.draw(r, ConstVector<S>(here), random);
            rates[r] = step<S>(task, r, here, next);
        }
        ConstVector<S> last = iterate(steps);
        task.draw(steps, last, random);
        task.gradient(steps, last, out);
        int taken = steps + 1;
        if (first_order) return taken;

        const S value = score_term && steps > 0 ? task.value(steps, last) - S(score_baseline) : S(0);
        Vector<S> product = iterate(steps + 1);
        for (int r = steps - 1; r >= 0; --r) {
            ConstVector<S> here = iterate(r);
            task.hessian_vector(r, here, moved(out, scratch), product);
            for (std::size_t k = 0; k < d; ++k) out[k] -= rates[r] * product[k];
            taken += 2;
            if constexpr (ScoredTask<T, S>) {
                if (!score_term) continue;
                task.score_sum(r, here, product);
                for (std::size_t k = 0; k < d; ++k) out[k] += value * product[k];
                ++taken;
            }
        }
        return taken;
    }

    /// next = here - alpha df(here) on the batch in `slot`. Returns the rate after clipping.
    template <class S, Task<S> T>
    S step(T& task, int slot, ConstVector<S> here, Vector<S> next) const {
        task.gradient(slot, here, next);
        if (personal != nullptr) personal->clear_shared(next);
        const ConstVector<S> g = next;
        const S rate = S(inner_rate) * clip_scale<S>(g, step_clip > 0.0f ? S(step_clip / inner_rate) : S(0));
        for (std::size_t k = 0; k < here.size(); ++k) next[k] = here[k] - rate * next[k];
        return rate;
    }

private:
    /// The part of a direction that inner steps move; the end of `scratch` holds it.
    template <class S>
    ConstVector<S> moved(Vector<S> direction, Vector<S> scratch) const {
        if (personal == nullptr) return direction;
        Vector<S> part = scratch.subspan(this->scratch(direction.size()) - direction.size(), direction.size());
        for (std::size_t k = 0; k < part.size(); ++k) part[k] = direction[k];
        personal->clear_shared(part);
        return part;
    }
};

}  // namespace dunlin

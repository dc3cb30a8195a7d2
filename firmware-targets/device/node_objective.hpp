// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/maml.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/adapt/objective.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"

#include <algorithm>

namespace dunlin::device {

/// MAML's inner steps: those of an envelope without a pull.
constexpr MoreauEnvelope inner_loop_of(const Maml& maml) {
    return {.prox_weight = 0.0f,
            .inner_rate = maml.inner_rate,
            .accuracy = 0.0f,
            .step_limit = maml.steps,
            .step_clip = maml.step_clip,
            .fresh_batches = true};
}

/// theta(w) as MoreauEnvelope::solve finds it, on batches in the task's slot 0. `scratch` holds as many numbers as w;
/// `pause` is called before each step.
template <class Task, class Pause>
void personalise(Task& task, const MoreauEnvelope& inner, ConstVector<float> w, Stream& random,
                 Vector<float> personal, Vector<float> scratch, Pause&& pause) {
    std::copy(w.begin(), w.end(), personal.begin());
    bool done = false;
    for (int taken = 0; !done && taken < inner.step_limit; ++taken) {
        pause();
        if (inner.fresh_batches || taken == 0) task.draw(0, ConstVector<float>(personal), random);
        done = inner.step<float>(task, w, personal, scratch);
    }
}

/// A gradient at w as a node of a fleet takes it: of the task itself (PersA-FL's option A), of first-order MAML (option
/// B), or of the task's Moreau envelope (option C, MEMRL). What the inner loop ends at is left in `personal`.
template <class Task, class Pause>
void node_gradient(Task& task, Objective objective, const MoreauEnvelope& inner, const Maml& maml,
                   ConstVector<float> w, Stream& random, Vector<float> personal, Vector<float> out, Pause&& pause) {
    // One call for both inner loops: flash is short.
    if (objective != Objective::plain)
        personalise(task, objective == Objective::maml ? inner_loop_of(maml) : inner, w, random, personal, out,
                    pause);
    if (objective == Objective::moreau) {
        for (std::size_t k = 0; k < w.size(); ++k) out[k] = inner.prox_weight * (w[k] - personal[k]);
        return;
    }
    const ConstVector<float> at = objective == Objective::maml ? ConstVector<float>(personal) : w;
    task.draw(0, at, random);
    task.gradient(0, at, out);
}

}  // namespace dunlin::device

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "core/vector.hpp"

#include <concepts>
#include <cstddef>

namespace dunlin {

/// What is learned: a loss f(w) = E[f(w, batch)] over flat parameter vectors of `dimension()` scalars. Every method
/// minimises; a reinforcement-learning task's loss is minus its expected return.
///
/// A task keeps up to `slots()` batches in memory that it was given at set-up, because MAML needs several at once:
///
///     draw(slot, w, random)          a fresh batch into `slot`; where sampling depends on the parameters, under w.
///                                    Advances `random` by one epoch: the same stream draws the same batch.
///     value(slot, w)                 f(w, batch)
///     gradient(slot, w, out)         df(w, batch)
///     hessian_vector(slot, w, v, out)   d2f(w, batch) v
///
/// `w` need not be the parameters that the batch was drawn under. `out` holds dimension() scalars, is overwritten,
/// and is none of the inputs. None of these allocates.
template <class T, class S = float>
concept Task = requires(T& task, const T& constant, int slot, ConstVector<S> w, Vector<S> out, Stream& random) {
    { constant.dimension() } -> std::convertible_to<std::size_t>;
    { constant.slots() } -> std::convertible_to<int>;
    task.draw(slot, w, random);
    { task.value(slot, w) } -> std::convertible_to<S>;
    task.gradient(slot, w, out);
    task.hessian_vector(slot, w, w, out);
};

/// A task whose sampling depends on the parameters. Then the gradient of an expectation over batches has one more
/// term, the sum of scores: d log p(batch; w) = sum over trajectories and steps of d log pi(a | s; w).
template <class T, class S = float>
concept ScoredTask = Task<T, S> && requires(T& task, int slot, ConstVector<S> w, Vector<S> out) {
    task.score_sum(slot, w, out);
};

}  // namespace dunlin

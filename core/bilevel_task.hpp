// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "core/vector.hpp"

#include <concepts>
#include <cstddef>

namespace dunlin {

/// A node's part of a bilevel problem: an inner cost f(x, lambda) whose x all nodes share, and an outer cost
/// F(x, lambda) whose lambda is the node's own.
///
///     draw(random)                       a fresh batch for f; advances `random` by one epoch
///     gradient(x, lambda, out)           d f / dx on it
///     products(x, lambda, s, h, m)       h = (d2 f / dx2) s and m = (d2 f / dlambda dx) s on it: the two products
///                                        that an implicit gradient is made of, of which one pass gives both
///     outer_gradient(x, lambda, gx, gl)  dF/dx and dF/dlambda on all of the node's data; answers F
///
/// x, s, h and gx hold dimension() scalars, lambda, m and gl outer_dimension(). Results are overwritten and are
/// none of the inputs. None of these allocates.
template <class T, class S = float>
concept BilevelTask = requires(T& task, const T& constant, ConstVector<S> in, Vector<S> out, Stream& random) {
    { constant.dimension() } -> std::convertible_to<std::size_t>;
    { constant.outer_dimension() } -> std::convertible_to<std::size_t>;
    task.draw(random);
    task.gradient(in, in, out);
    task.products(in, in, in, out, out);
    { task.outer_gradient(in, in, out, out) } -> std::convertible_to<S>;
};

}  // namespace dunlin

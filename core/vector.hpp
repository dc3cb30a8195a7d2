// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace dunlin {

/// Flat parameter vectors: views, the memory is the caller's. Every method of Dunlin speaks of models in this form.
template <class S>
using Vector = std::span<S>;
template <class S>
using ConstVector = std::span<const S>;

/// sum of a[k] b[k], in order.
template <class S>
S dot(std::span<const S> a, std::span<const S> b) {
    S sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace dunlin {

/// Flat parameter vectors: views, the memory is the caller's. Every method of Dunlin speaks of models in this form.
template <class S>
using Vector = std::span<S>;
template <class S>
using ConstVector = std::span<const S>;

/// The sum of a[k] b[k], in 16 interleaved partial sums: vectors of any width add in the same order, so the bits
/// are the same on every processor, and no addition waits for the one before.
template <class S>
S dot(std::span<const S> a, std::span<const S> b) {
    constexpr std::size_t lanes = 16;
    S partial[lanes] = {};
    const std::size_t whole = a.size() / lanes * lanes;
    for (std::size_t k = 0; k < whole; k += lanes) {
        for (std::size_t l = 0; l < lanes; ++l) partial[l] += a[k + l] * b[k + l];
    }
    for (std::size_t k = whole; k < a.size(); ++k) partial[k - whole] += a[k] * b[k];
    for (std::size_t step = lanes / 2; step > 0; step /= 2) {
        for (std::size_t l = 0; l < step; ++l) partial[l] += partial[l + step];
    }
    return partial[0];
}

}  // namespace dunlin

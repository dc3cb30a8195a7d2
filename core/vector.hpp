// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/vfp_elements.hpp"

#include <cstddef>
#include <span>

namespace dunlin {

/// Flat parameter vectors: views, the memory is the caller's. Every method of Dunlin speaks of models in this form.
template <class S>
using Vector = std::span<S>;
template <class S>
using ConstVector = std::span<const S>;

/// Zeros everywhere.
inline void set_zero(std::span<double> v) {
    for (double& x : v) x = 0.0;
}
inline void set_zero(std::span<float> v) {
#ifdef DUNLIN_VFP
    vfp::clear(v.data(), v.size());
#else
    for (float& x : v) {
        x = 0.0f;
#if !__STDC_HOSTED__ || defined(__riscv)
        asm volatile("" ::: "memory");  // not a call of memset, which small C libraries do byte by byte
#endif
    }
#endif
}

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

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

/// Zeros everywhere.
inline void set_zero(std::span<double> v) {
    for (double& x : v) x = 0.0;
}
inline void set_zero(std::span<float> v) {
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && defined(__ARM_FP)
    // Eight to an instruction; the compiler would store one by one, and a gradient is thousands.
    float* out = v.data();
    std::size_t blocks = v.size() / 8;
    if (blocks > 0) {
        asm volatile(
            "vmov d12, %[zero], %[zero]\n\tvmov d13, %[zero], %[zero]\n\t"
            "vmov d14, %[zero], %[zero]\n\tvmov d15, %[zero], %[zero]\n"
            "1:\tvstmia %[out]!, {s24-s31}\n\tsubs %[blocks], #1\n\tbne 1b"
            : [out] "+r"(out), [blocks] "+r"(blocks)
            : [zero] "r"(0)
            : "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", "memory");
    }
    v = v.subspan(v.size() / 8 * 8);
#endif
    for (float& x : v) x = 0.0f;
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

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__ARM_FEATURE_SIMD32) && !defined(__linux__)
#define DUNLIN_DUAL_PRODUCTS
#include <arm_acle.h>
#endif

namespace dunlin {

/// y = act(b + W x) in numbers of 8 bits, for inference on processors that are slow with others. Zero is zero: there are no
/// offsets but that weights are kept plus 128, so that a processor without vectors loads them in one instruction. Integers are
/// exact: the result is the same everywhere. It owns nothing; a sample takes
/// 4 (inputs + outputs) bytes of stack.
/// Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference.
template <int inputs, int outputs>
struct QuantisedDense {
    static_assert(inputs > 0 && inputs % 4 == 0 && inputs <= 512, "sums have 24 bits");

    const std::uint8_t* weights = nullptr;  ///< plus 128; an output's are next to each other, 4-byte aligned
    const std::int32_t* bias = nullptr;     ///< in units of the sums
    const std::int32_t* scales = nullptr;   ///< of each output: what a unit of its sum is, times 2^25; below 2^31
    bool clips = false;                     ///< relu

    void forward(const std::int8_t* x, std::int8_t* y) const;

private:
    /// To the nearest, half way up. A sum has 24 bits.
    std::int8_t scaled(std::int32_t sum, std::int32_t scale) const {
#ifdef DUNLIN_DUAL_PRODUCTS
        std::int32_t value;
        asm("smmulr %0, %1, %2" : "=r"(value) : "r"(sum * 128), "r"(scale));
#else
        const auto value = static_cast<std::int32_t>(
            (static_cast<std::int64_t>(sum * 128) * scale + (std::int64_t{1} << 31)) >> 32);
#endif
#ifdef DUNLIN_DUAL_PRODUCTS
        if (clips) return static_cast<std::int8_t>(__usat(value, 7));
#endif
        return static_cast<std::int8_t>(std::clamp<std::int32_t>(value, clips ? 0 : -127, 127));
    }
    void finish(const std::int32_t* sums, std::int8_t* y) const {
#pragma GCC unroll 4
        for (int o = 0; o < outputs; ++o) y[o] = scaled(sums[o], scales[o]);
    }
};

#ifdef DUNLIN_DUAL_PRODUCTS
/// Two products to an instruction: of each four inputs the even and the odd ones lie in a word each.
template <int inputs, int outputs>
void QuantisedDense<inputs, outputs>::forward(const std::int8_t* x, std::int8_t* y) const {
    std::uint32_t wide[inputs / 2];
    std::int32_t sums[outputs];
    std::int32_t offset = 0;
    for (int i = 0; i < inputs; i += 4) {
        std::uint32_t four;
        std::memcpy(&four, x + i, 4);
        wide[i / 2] = static_cast<std::uint32_t>(__sxtb16(four));
        wide[i / 2 + 1] = static_cast<std::uint32_t>(__sxtb16(four >> 8 | four << 24));
        offset = __smlad(static_cast<std::int16_t>(1) | 1 << 16, static_cast<std::int32_t>(wide[i / 2]), offset);
        offset =
            __smlad(static_cast<std::int16_t>(1) | 1 << 16, static_cast<std::int32_t>(wide[i / 2 + 1]), offset);
    }
    int o = 0;
    const std::uint8_t* row = weights;
    for (; inputs % 8 == 0 && inputs <= 256 && o + 2 <= outputs; o += 2, row += 2 * inputs) {
        std::int32_t first = bias[o] - 128 * offset, second = bias[o + 1] - 128 * offset;
        const std::uint8_t *a = row, *b = row + inputs;
        const std::uint32_t* from = wide;
#define DUNLIN_EIGHT_PRODUCTS(w, sum)                                                    \
    "ldmia " w                                                                           \
    "!, {r9, r10}\n\t"                                                                   \
    "uxtb16 r12, r9\n\tsmlad " sum ", r12, r4, " sum                                     \
    "\n\tuxtb16 r12, r9, ror #8\n\t"                                                     \
    "smlad " sum ", r12, r5, " sum "\n\tuxtb16 r12, r10\n\tsmlad " sum ", r12, r6, " sum \
    "\n\t"                                                                               \
    "uxtb16 r12, r10, ror #8\n\tsmlad " sum ", r12, r8, " sum "\n\t"
        asm volatile(".rept %c[groups]\n\tldmia %[x]!, {r4, r5, r6, r8}\n\t" DUNLIN_EIGHT_PRODUCTS(
                         "%[a]", "%[first]") DUNLIN_EIGHT_PRODUCTS("%[b]", "%[second]") ".endr"
                     : [x] "+r"(from), [a] "+r"(a), [b] "+r"(b), [first] "+r"(first), [second] "+r"(second)
                     : [groups] "i"(inputs / 8)
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r12", "memory");
#undef DUNLIN_EIGHT_PRODUCTS
        sums[o] = first;
        sums[o + 1] = second;
    }
    for (; o < outputs; ++o, row += inputs) {
        std::int32_t sum = bias[o] - 128 * offset;
        for (int i = 0; i < inputs; i += 4) {
            std::uint32_t four;
            std::memcpy(&four, row + i, 4);
            sum = __smlad(static_cast<std::int32_t>(__uxtb16(four)), static_cast<std::int32_t>(wide[i / 2]), sum);
            sum = __smlad(static_cast<std::int32_t>(__uxtb16(four >> 8 | four << 24)),
                          static_cast<std::int32_t>(wide[i / 2 + 1]), sum);
        }
        sums[o] = sum;
    }
    finish(sums, y);
}
#else
template <int inputs, int outputs>
void QuantisedDense<inputs, outputs>::forward(const std::int8_t* x, std::int8_t* y) const {
    std::int32_t wide[inputs];
    std::int32_t offset = 0;
    for (int i = 0; i < inputs; ++i) {
        wide[i] = x[i];
        offset += wide[i];
    }
    const std::uint8_t* w = weights;
    for (int o = 0; o < outputs; ++o) {
        std::int32_t sum = bias[o] - 128 * offset;
        const std::int32_t* from = wide;
#pragma GCC unroll 4
        for (const std::uint8_t* const end = w + inputs; w != end; w += 4, from += 4) {
            sum += w[0] * from[0];
            sum += w[1] * from[1];
            sum += w[2] * from[2];
            sum += w[3] * from[3];
        }
        y[o] = scaled(sum, scales[o]);
    }
}
#endif

/// The whole number of 8 bits for each weight of a row, plus 128, and the scale that it takes: the largest magnitude is 127.
/// Returns weight / number.
inline float quantise_row(const float* w, std::ptrdiff_t step, int inputs, std::uint8_t* out) {
    float largest = 0.0f;
    for (int i = 0; i < inputs; ++i) largest = std::max(largest, w[i * step] < 0.0f ? -w[i * step] : w[i * step]);
    const float unit = largest > 0.0f ? largest / 127.0f : 1.0f;
    for (int i = 0; i < inputs; ++i) {
        const float value = w[i * step] / unit;
        out[i] = static_cast<std::uint8_t>(static_cast<int>(value + (value < 0.0f ? -0.5f : 0.5f)) + 128);
    }
    return unit;
}

/// For `scales`: what a unit of a sum is in units of the output.
inline std::int32_t quantised_scale(float factor) {
    assert(factor >= 0.0f && factor < 64.0f);
    return static_cast<std::int32_t>(factor * 33554432.0f + 0.5f);
}

}  // namespace dunlin

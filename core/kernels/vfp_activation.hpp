// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/vfp_elements.hpp"

#ifdef DUNLIN_VFP
#include <bit>
#include <cstdint>

/// portable::tanh and portable::sigmoid (core/math.hpp) of a row, for a Cortex-M with an FPU: the same operations in the
/// same order, and so the same bits, in half of the instructions. A product that is added ends where its addend was, so that a
/// polynomial costs an instruction a term once its terms were loaded in one; a power of two is added to the exponent; and
/// what is far from zero is found by comparing bits.
// clang-format off: a line of assembly is a line
namespace dunlin::vfp {

/// Of e^r, from the highest term.
inline constexpr float exp_terms[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                      4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
/// Of tanh below 0.625.
inline constexpr float tanh_terms[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                                       -3.33332819422e-1f};
/// 1 / ln 2, a half, ln 2 in two parts, one, two
inline constexpr float exp_constants[] = {1.44269504088896341f, 0.5f, 0.693359375f, -2.12194440e-4f, 1.0f, 2.0f};

/// s7 = e^s7, where `half` has the sign of s7.
#define DUNLIN_EXP(half)                                                                                      \
    "vmul.f32 s14, s7, s8\n\tvadd.f32 s14, s14, " half                                                        \
    "\n\tvcvt.s32.f32 s14, s14\n\tvmov %[n], s14\n\t"                                                         \
    "vcvt.f32.s32 s14, s14\n\tvfms.f32 s7, s14, s10\n\tvfms.f32 s7, s14, s11\n\tvldmia %[terms], {s0-s5}\n\t" \
    "vfma.f32 s1, s0, s7\n\tvfma.f32 s2, s1, s7\n\tvfma.f32 s3, s2, s7\n\tvfma.f32 s4, s3, s7\n\t"            \
    "vfma.f32 s5, s4, s7\n\tvmul.f32 s15, s7, s7\n\tvfma.f32 s7, s5, s15\n\tvadd.f32 s7, s7, s12\n\t"         \
    "vmov %[a], s7\n\tadd %[a], %[a], %[n], lsl #23\n\tvmov s7, %[a]\n\t"
#define DUNLIN_LOW_REGISTERS                                                                                    \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "cc", \
        "memory"
#define DUNLIN_AGAIN "subs %[count], #1\n\tbne 1b\n\tb 9f\n"

/// y = tanh(y)
[[gnu::noinline]] inline void tanh(float* y, std::size_t count) {
    if (count == 0) return;
    std::uint32_t x, a, n;
    asm volatile(
        "vldmia %[constants], {s8-s13}\n"
        "1:\tldr %[x], [%[y]]\n\tbic %[a], %[x], #0x80000000\n\tcmp %[a], %[small]\n\tblo 3f\n\t"
        "cmp %[a], %[large]\n\tbhi 4f\n\t"
        "vmov s7, %[a]\n\tvadd.f32 s7, s7, s7\n\t"
        DUNLIN_EXP("s9")
        "vadd.f32 s7, s7, s12\n\tvdiv.f32 s7, s13, s7\n\tvsub.f32 s7, s12, s7\n\tvmov %[a], s7\n"
        "2:\tbfi %[x], %[a], #0, #31\n\tstr %[x], [%[y]], #4\n\t"
        DUNLIN_AGAIN
        "3:\tvmov s7, %[x]\n\tvmul.f32 s15, s7, s7\n\tvldmia %[below], {s0-s4}\n\t"
        "vfma.f32 s1, s0, s15\n\tvfma.f32 s2, s1, s15\n\tvfma.f32 s3, s2, s15\n\tvfma.f32 s4, s3, s15\n\t"
        "vmul.f32 s4, s4, s15\n\tvfma.f32 s7, s4, s7\n\tvstmia %[y]!, {s7}\n\t"
        DUNLIN_AGAIN
        // One, unless it is a NaN.
        "4:\tcmp %[a], #0x7f800000\n\tit ls\n\tmovls %[a], #0x3f800000\n\tb 2b\n"
        "9:"
        : [y] "+r"(y), [count] "+r"(count), [x] "=&r"(x), [a] "=&r"(a), [n] "=&r"(n)
        : [small] "r"(std::bit_cast<std::uint32_t>(0.625f)), [large] "r"(std::bit_cast<std::uint32_t>(9.1f)),
          [constants] "r"(exp_constants), [terms] "r"(exp_terms), [below] "r"(tanh_terms)
        : DUNLIN_LOW_REGISTERS);
}

/// y = 1 / (1 + e^-y)
[[gnu::noinline]] inline void sigmoid(float* y, std::size_t count) {
    if (count == 0) return;
    std::uint32_t x, a, n;
    asm volatile(
        "vldmia %[constants], {s8-s13}\n"
        "1:\tldr %[x], [%[y]]\n\tbic %[a], %[x], #0x80000000\n\teor %[x], %[x], #0x80000000\n\t"
        "cmp %[a], %[least]\n\tbhi 3f\n"
        "2:\tvmov s7, %[x]\n\tbfi %[x], %[half], #0, #31\n\tvmov s15, %[x]\n\t" DUNLIN_EXP(
            "s15") "vadd.f32 s7, s7, s12\n\tvdiv.f32 s7, s12, s7\n\tvstmia %[y]!, {s7}\n\t" DUNLIN_AGAIN
                   // Into the range of exp, unless it is a NaN.
                   "3:\tcmp %[a], #0x7f800000\n\tbhi 2b\n\tcmp %[x], #0\n\tbmi 4f\n\t"
                   "cmp %[a], %[most]\n\tit hi\n\tmovhi %[x], %[most]\n\tb 2b\n"
                   "4:\torr %[x], %[least], #0x80000000\n\tb 2b\n"
                   "9:"
        : [y] "+r"(y), [count] "+r"(count), [x] "=&r"(x), [a] "=&r"(a), [n] "=&r"(n)
        : [least] "r"(std::bit_cast<std::uint32_t>(87.3f)), [most] "r"(std::bit_cast<std::uint32_t>(88.3f)),
          [half] "r"(std::bit_cast<std::uint32_t>(0.5f)), [constants] "r"(exp_constants), [terms] "r"(exp_terms)
        : DUNLIN_LOW_REGISTERS);
}

#undef DUNLIN_EXP
#undef DUNLIN_AGAIN
#undef DUNLIN_LOW_REGISTERS

}  // namespace dunlin::vfp
// clang-format on

#endif

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

/// What goes number by number, for a Cortex-M with an FPU: eight numbers to a load, the bits of plain loops. Vectors may
/// have any length.
#if defined(__ARM_ARCH_PROFILE) && defined(__ARM_FEATURE_FMA)
#if __ARM_ARCH_PROFILE == 'M' && (__ARM_FP & 4)
#define DUNLIN_VFP
#ifndef DUNLIN_SMALL
#define DUNLIN_VFP_ELEMENTS  // in the kernels
#endif

namespace dunlin::vfp {

#define DUNLIN_ALL_REGISTERS                                                                                     \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", \
        "s17", "cc", "memory"
/// Calls f(a, b) for the registers 0 and 8, 1 and 9, ..., 7 and 15.
#define DUNLIN_EIGHT(f) f(s0, s8) f(s1, s9) f(s2, s10) f(s3, s11) f(s4, s12) f(s5, s13) f(s6, s14) f(s7, s15)

/// y = y < 0 ? 0 : y, which lets a NaN pass
[[gnu::noinline]] inline void relu(float* y, std::size_t count) {
#define DUNLIN_CLIP(a, unused) \
    "vcmp.f32 " #a ", #0\n\tvmrs APSR_nzcv, fpscr\n\tit mi\n\tvmovmi.f32 " #a ", %[zero]\n\t"
    std::size_t blocks = count / 8;
    if (blocks > 0) {
        asm volatile("1:\tvldmia %[y], {s0-s7}\n\t" DUNLIN_EIGHT(
                         DUNLIN_CLIP) "vstmia %[y]!, {s0-s7}\n\tsubs %[blocks], #1\n\tbne 1b"
                     : [y] "+r"(y), [blocks] "+r"(blocks)
                     : [zero] "t"(0.0f)
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "cc", "memory");
    }
    for (std::size_t k = 0; k < count % 8; ++k) y[k] = y[k] < 0.0f ? 0.0f : y[k];
#undef DUNLIN_CLIP
}

/// e *= h > 0 ? 1 : 0, by the bits of h, which order as whole numbers do; a NaN counts as above 0
[[gnu::noinline]] inline void times_step(const float* h, float* e, std::size_t count) {
#define DUNLIN_CHOOSE(h, e) "cmp " #h ", #0\n\tit le\n\tvmulle.f32 " #e ", " #e ", %[zero]\n\t"
    std::size_t blocks = count / 8;
    if (blocks > 0) {
        asm volatile("1:\tldmia %[h]!, {r3-r6, r8-r11}\n\tvldmia %[e], {s0-s7}\n\t"  //
                     DUNLIN_CHOOSE(r3, s0) DUNLIN_CHOOSE(r4, s1) DUNLIN_CHOOSE(r5, s2) DUNLIN_CHOOSE(r6, s3)
                         DUNLIN_CHOOSE(r8, s4) DUNLIN_CHOOSE(r9, s5) DUNLIN_CHOOSE(r10, s6)
                             DUNLIN_CHOOSE(r11, s7) "vstmia %[e]!, {s0-s7}\n\tsubs %[blocks], #1\n\tbne 1b"
                     : [h] "+r"(h), [e] "+r"(e), [blocks] "+r"(blocks)
                     : [zero] "t"(0.0f)
                     : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "s0", "s1", "s2", "s3", "s4", "s5", "s6",
                       "s7", "cc", "memory");
    }
    for (std::size_t k = 0; k < count % 8; ++k) e[k] *= h[k] <= 0.0f ? 0.0f : 1.0f;
#undef DUNLIN_CHOOSE
}

/// y += x
[[gnu::noinline]] inline void add(const float* x, float* y, std::size_t count) {
#define DUNLIN_SUM(a, b) "vadd.f32 " #b ", " #b ", " #a "\n\t"
    std::size_t blocks = count / 8;
    if (blocks > 0) {
        asm volatile("1:\tvldmia %[x]!, {s0-s7}\n\tvldmia %[y], {s8-s15}\n\t" DUNLIN_EIGHT(
                         DUNLIN_SUM) "vstmia %[y]!, {s8-s15}\n\tsubs %[blocks], #1\n\tbne 1b"
                     : [x] "+r"(x), [y] "+r"(y), [blocks] "+r"(blocks)
                     :
                     : DUNLIN_ALL_REGISTERS);
    }
    for (std::size_t k = 0; k < count % 8; ++k) y[k] += x[k];
#undef DUNLIN_SUM
}

/// w := w - a g, rounded once
[[gnu::noinline]] inline void descend(float a, const float* g, float* w, std::size_t count) {
#define DUNLIN_STEP(a, b) "vfms.f32 " #b ", " #a ", %[rate]\n\t"
    std::size_t blocks = count / 8;
    if (blocks > 0) {
        asm volatile("1:\tvldmia %[g]!, {s0-s7}\n\tvldmia %[w], {s8-s15}\n\t" DUNLIN_EIGHT(
                         DUNLIN_STEP) "vstmia %[w]!, {s8-s15}\n\tsubs %[blocks], #1\n\tbne 1b"
                     : [g] "+r"(g), [w] "+r"(w), [blocks] "+r"(blocks)
                     : [rate] "t"(a)
                     : DUNLIN_ALL_REGISTERS);
    }
    for (std::size_t k = 0; k < count % 8; ++k) w[k] = __builtin_fmaf(-a, g[k], w[k]);
#undef DUNLIN_STEP
}

/// Zeros, 32 in a turn.
[[gnu::noinline]] inline void clear(float* y, std::size_t count) {
    std::size_t blocks = count / 32;
    if (blocks > 0) {
        asm volatile(
            "vmov d0, %[zero], %[zero]\n\tvmov d1, %[zero], %[zero]\n\t"
            "vmov d2, %[zero], %[zero]\n\tvmov d3, %[zero], %[zero]\n"
            "1:\tvstmia %[y]!, {s0-s7}\n\tvstmia %[y]!, {s0-s7}\n\tvstmia %[y]!, {s0-s7}\n\t"
            "vstmia %[y]!, {s0-s7}\n\tsubs %[blocks], #1\n\tbne 1b"
            : [y] "+r"(y), [blocks] "+r"(blocks)
            : [zero] "r"(0)
            : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "cc", "memory");
    }
    for (std::size_t k = 0; k < count % 32; ++k) y[k] = 0.0f;
}

}  // namespace dunlin::vfp

#endif
#endif

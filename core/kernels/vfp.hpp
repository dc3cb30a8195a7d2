// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

/// Products of one sample for a Cortex-M with an FPU, which loads and stores a run of registers in one instruction, as
/// the compiler does not do by itself: whole loops in assembly, so that sums stay where they are. Each sum has the terms
/// and the order of the reference's plain loops. A block is of 16, 5, 4 or 1 outputs; a row of weights begins `skip` bytes
/// behind the end of the one before.
// clang-format off: a line of assembly is a line
namespace dunlin::vfp {

#define DUNLIN_FMA_4(a, b, c, d, x, s, t, u, v)                       \
    "vfma.f32 " #a ", " #s ", " #x "\n\tvfma.f32 " #b ", " #t ", " #x \
    "\n\t"                                                            \
    "vfma.f32 " #c ", " #u ", " #x "\n\tvfma.f32 " #d ", " #v ", " #x "\n\t"
/// Registers 0 to 7, and 8 to 15, += x times registers 24 to 31
#define DUNLIN_FMA_LOW(x) \
    DUNLIN_FMA_4(s0, s1, s2, s3, x, s24, s25, s26, s27) DUNLIN_FMA_4(s4, s5, s6, s7, x, s28, s29, s30, s31)
#define DUNLIN_FMA_HIGH(x) \
    DUNLIN_FMA_4(s8, s9, s10, s11, x, s24, s25, s26, s27) DUNLIN_FMA_4(s12, s13, s14, s15, x, s28, s29, s30, s31)
/// x += register k times register 24 + k, one after the other
#define DUNLIN_DOT_4(x, a, b, c, d, s, t, u, v)                       \
    "vfma.f32 " #x ", " #a ", " #s "\n\tvfma.f32 " #x ", " #b ", " #t \
    "\n\t"                                                            \
    "vfma.f32 " #x ", " #c ", " #u "\n\tvfma.f32 " #x ", " #d ", " #v "\n\t"
#define DUNLIN_DOT_LOW(x) \
    DUNLIN_DOT_4(x, s0, s1, s2, s3, s24, s25, s26, s27) DUNLIN_DOT_4(x, s4, s5, s6, s7, s28, s29, s30, s31)
#define DUNLIN_DOT_HIGH(x) \
    DUNLIN_DOT_4(x, s8, s9, s10, s11, s24, s25, s26, s27) DUNLIN_DOT_4(x, s12, s13, s14, s15, s28, s29, s30, s31)
/// Registers 24 to 31 += x times registers 0 to 7, and 8 to 15
#define DUNLIN_ADD_LOW(x) \
    DUNLIN_FMA_4(s24, s25, s26, s27, x, s0, s1, s2, s3) DUNLIN_FMA_4(s28, s29, s30, s31, x, s4, s5, s6, s7)
#define DUNLIN_ADD_HIGH(x) \
    DUNLIN_FMA_4(s24, s25, s26, s27, x, s8, s9, s10, s11) DUNLIN_FMA_4(s28, s29, s30, s31, x, s12, s13, s14, s15)

/// A loop over `count` rows, one by one: f(register of a row's number).
#define DUNLIN_SINGLE_ROWS(load_two, f, store_two, load_one, store_one) \
    "cbz %[count], 4f\n"                                                \
    "3:\t" load_one                                                     \
    f(s16) store_one                                                    \
        "subs %[count], #1\n\tbne 3b\n"                                 \
        "4:\t"
/// Two at a time, for the widest block, unless flash is what matters.
#ifdef DUNLIN_SMALL
#define DUNLIN_ROWS DUNLIN_SINGLE_ROWS
#else
#define DUNLIN_ROWS(load_two, f, store_two, load_one, store_one) \
    "b 2f\n"                                                     \
    "1:\t" load_two                                              \
    f(s16) f(s17) store_two                                      \
        "2:\tsubs %[count], #2\n\tbge 1b\n\t"                    \
        "adds %[count], #2\n\tbeq 4f\n\t" load_one               \
        f(s16) store_one "4:\t"
#endif
#define DUNLIN_READ_TWO "vldmia %[x]!, {s16-s17}\n\t"
#define DUNLIN_READ_ONE "vldmia %[x]!, {s16}\n\t"

#define DUNLIN_ALL_SINGLES                                                                                       \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", \
        "s17", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", "memory"

/// y = start + W' x; start may be y
template <int N>
[[gnu::always_inline]] inline void accumulate(const float* w, std::ptrdiff_t skip, const float* x,
                                              const float* start, float* y, int count) {
#define DUNLIN_NEXT "add %[w], %[skip]\n\t"
#define DUNLIN_ROW_16(x) \
    "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_LOW(x) "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_HIGH(x) DUNLIN_NEXT
#define DUNLIN_ROW_5(x)                                                                                       \
    "vldmia %[w]!, {s24-s28}\n\t" DUNLIN_FMA_4(s0, s1, s2, s3, x, s24, s25, s26, s27) "vfma.f32 s4, s28, " #x \
                                                                                      "\n\t" DUNLIN_NEXT
#define DUNLIN_ROW_4(x) \
    "vldmia %[w]!, {s24-s27}\n\t" DUNLIN_FMA_4(s0, s1, s2, s3, x, s24, s25, s26, s27) DUNLIN_NEXT
#define DUNLIN_ROW_1(x) "vldmia %[w]!, {s24}\n\tvfma.f32 s0, s24, " #x "\n\t" DUNLIN_NEXT
#define DUNLIN_LOOP(rows, block, row)                                                                   \
    asm volatile("vldmia %[start], {" block                                                             \
                 "}\n\t" rows(DUNLIN_READ_TWO, row, "", DUNLIN_READ_ONE, "") "vstmia %[y], {" block "}" \
                 : [w] "+r"(w), [x] "+r"(x), [count] "+l"(count)                                        \
                 : [start] "r"(start), [y] "r"(y), [skip] "r"(skip)                                     \
                 : DUNLIN_ALL_SINGLES)
    if constexpr (N == 16) DUNLIN_LOOP(DUNLIN_ROWS, "s0-s15", DUNLIN_ROW_16);
    if constexpr (N == 5) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s4", DUNLIN_ROW_5);
    if constexpr (N == 4) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s3", DUNLIN_ROW_4);
    if constexpr (N == 1) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0", DUNLIN_ROW_1);
#undef DUNLIN_ROW_16
#undef DUNLIN_ROW_5
#undef DUNLIN_ROW_4
#undef DUNLIN_ROW_1
#undef DUNLIN_LOOP
}

/// e += W d
template <int N>
[[gnu::always_inline]] inline void backpropagate(const float* w, std::ptrdiff_t skip, const float* d, float* e,
                                                 int count) {
#define DUNLIN_ROW_16(x) \
    "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_DOT_LOW(x) "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_DOT_HIGH(x) DUNLIN_NEXT
#define DUNLIN_ROW_5(x)                                                                              \
    "vldmia %[w]!, {s24-s28}\n\t" DUNLIN_DOT_4(x, s0, s1, s2, s3, s24, s25, s26, s27) "vfma.f32 " #x \
                                                                                      ", s4, s28\n\t" DUNLIN_NEXT
#define DUNLIN_ROW_4(x) \
    "vldmia %[w]!, {s24-s27}\n\t" DUNLIN_DOT_4(x, s0, s1, s2, s3, s24, s25, s26, s27) DUNLIN_NEXT
#define DUNLIN_ROW_1(x) "vldmia %[w]!, {s24}\n\tvfma.f32 " #x ", s0, s24\n\t" DUNLIN_NEXT
#define DUNLIN_LOOP(rows, block, row)                                                         \
    asm volatile("vldmia %[d], {" block                                                       \
                 "}\n\t" rows("vldmia %[e], {s16-s17}\n\t", row, "vstmia %[e]!, {s16-s17}\n", \
                              "vldmia %[e], {s16}\n\t", "vstmia %[e]!, {s16}\n\t")            \
                 : [w] "+r"(w), [e] "+r"(e), [count] "+l"(count)                              \
                 : [d] "r"(d), [skip] "r"(skip)                                               \
                 : DUNLIN_ALL_SINGLES)
    if constexpr (N == 16) DUNLIN_LOOP(DUNLIN_ROWS, "s0-s15", DUNLIN_ROW_16);
    if constexpr (N == 5) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s4", DUNLIN_ROW_5);
    if constexpr (N == 4) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s3", DUNLIN_ROW_4);
    if constexpr (N == 1) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0", DUNLIN_ROW_1);
#undef DUNLIN_ROW_16
#undef DUNLIN_ROW_5
#undef DUNLIN_ROW_4
#undef DUNLIN_ROW_1
#undef DUNLIN_LOOP
}

/// dW += x d'
template <int N>
[[gnu::always_inline]] inline void outer(const float* x, const float* d, float* w, std::ptrdiff_t skip, int count) {
#define DUNLIN_HALF(add) "vldmia %[w], {s24-s31}\n\t" add "vstmia %[w]!, {s24-s31}\n\t"
#define DUNLIN_ROW_16(x) DUNLIN_HALF(DUNLIN_ADD_LOW(x)) DUNLIN_HALF(DUNLIN_ADD_HIGH(x)) DUNLIN_NEXT
#define DUNLIN_ROW_5(x)                                                          \
    "vldmia %[w], {s24-s28}\n\t" DUNLIN_FMA_4(s24, s25, s26, s27, x, s0, s1, s2, \
                                              s3) "vfma.f32 s28, s4, " #x        \
                                                  "\n\tvstmia %[w]!, {s24-s28}\n\t" DUNLIN_NEXT
#define DUNLIN_ROW_4(x)                                                          \
    "vldmia %[w], {s24-s27}\n\t" DUNLIN_FMA_4(s24, s25, s26, s27, x, s0, s1, s2, \
                                              s3) "vstmia %[w]!, {s24-s27}\n\t" DUNLIN_NEXT
#define DUNLIN_ROW_1(x) "vldmia %[w], {s24}\n\tvfma.f32 s24, s0, " #x "\n\tvstmia %[w]!, {s24}\n\t" DUNLIN_NEXT
#define DUNLIN_LOOP(rows, block, row)                                                               \
    asm volatile("vldmia %[d], {" block "}\n\t" rows(DUNLIN_READ_TWO, row, "", DUNLIN_READ_ONE, "") \
                 : [w] "+r"(w), [x] "+r"(x), [count] "+l"(count)                                    \
                 : [d] "r"(d), [skip] "r"(skip)                                                     \
                 : DUNLIN_ALL_SINGLES)
    if constexpr (N == 16) DUNLIN_LOOP(DUNLIN_ROWS, "s0-s15", DUNLIN_ROW_16);
    if constexpr (N == 5) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s4", DUNLIN_ROW_5);
    if constexpr (N == 4) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0-s3", DUNLIN_ROW_4);
    if constexpr (N == 1) DUNLIN_LOOP(DUNLIN_SINGLE_ROWS, "s0", DUNLIN_ROW_1);
#undef DUNLIN_ROW_16
#undef DUNLIN_ROW_5
#undef DUNLIN_ROW_4
#undef DUNLIN_ROW_1
#undef DUNLIN_LOOP
}

#ifndef DUNLIN_SMALL
/// The products of two rows of weights with d, of `blocks` times 8 numbers.
[[gnu::noinline]] inline void two_products(const float* a, const float* b, const float* d, int blocks, float* of_a,
                                           float* of_b) {
#define DUNLIN_EIGHT_OF_BOTH                                                                         \
    "vldmia %[d]!, {s2-s9}\n\tvldmia %[a]!, {s16-s23}\n\tvldmia %[b]!, {s24-s31}\n\t" DUNLIN_DOT_4(  \
        s0, s2, s3, s4, s5, s16, s17, s18, s19) DUNLIN_DOT_4(s0, s6, s7, s8, s9, s20, s21, s22, s23) \
        DUNLIN_DOT_4(s1, s2, s3, s4, s5, s24, s25, s26, s27) DUNLIN_DOT_4(s1, s6, s7, s8, s9, s28, s29, s30, s31)
    asm volatile("vmov d0, %[zero], %[zero]\n1:\t" DUNLIN_EIGHT_OF_BOTH
                 "subs %[blocks], #1\n\tbne 1b\n\tvstr s0, [%[of_a]]\n\tvstr s1, [%[of_b]]"
                 : [a] "+r"(a), [b] "+r"(b), [d] "+r"(d), [blocks] "+r"(blocks)
                 : [of_a] "r"(of_a), [of_b] "r"(of_b), [zero] "r"(0)
                 : DUNLIN_ALL_SINGLES, "s18", "s19", "s20", "s21", "s22", "s23");
#undef DUNLIN_EIGHT_OF_BOTH
}

/// e = h > 0 ? W d : 0, of a multiple of 8 outputs: the rows of units that are at rest are not even read.
[[gnu::noinline]] inline void backpropagate_awake(const float* w, const float* d, const float* h, float* e,
                                                  int inputs, int outputs) {
    const float* row = nullptr;
    float* to = nullptr;
    for (const float* const end = e + inputs; e != end; ++e, ++h, w += outputs) {
        // Positive, and no NaN.
        if (std::bit_cast<std::uint32_t>(*h) - 1u >= 0x7f800000u) {
            *e = 0.0f;
        } else if (row == nullptr) {
            row = w;
            to = e;
        } else {
            two_products(row, w, d, outputs / 8, to, e);
            row = nullptr;
        }
    }
    if (row != nullptr) two_products(row, row, d, outputs / 8, to, to);
}
#endif

}  // namespace dunlin::vfp
// clang-format on

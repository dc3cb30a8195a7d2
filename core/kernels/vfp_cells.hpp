// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/vfp_elements.hpp"

#ifdef DUNLIN_VFP

/// A step of a GRU for one sample (core/kernels/cells.inc), for a Cortex-M with an FPU: two or four units to a load, the same
/// operations in the same order. Vectors have a multiple of four numbers.
// clang-format off: a line of assembly is a line
namespace dunlin::vfp {

/// n += r q
inline void gru_candidate(float* n, const float* r, const float* q, int units) {
    asm volatile(
        "1:\tvldmia %[n], {s0-s3}\n\tvldmia %[r]!, {s4-s7}\n\tvldmia %[q]!, {s8-s11}\n\t"
        "vmul.f32 s4, s4, s8\n\tvmul.f32 s5, s5, s9\n\tvmul.f32 s6, s6, s10\n\tvmul.f32 s7, s7, s11\n\t"
        "vadd.f32 s0, s0, s4\n\tvadd.f32 s1, s1, s5\n\tvadd.f32 s2, s2, s6\n\tvadd.f32 s3, s3, s7\n\t"
        "vstmia %[n]!, {s0-s3}\n\tsubs %[units], #4\n\tbne 1b"
        : [n] "+r"(n), [r] "+r"(r), [q] "+r"(q), [units] "+r"(units)
        :
        : DUNLIN_ALL_REGISTERS);
}

/// h = n + z (was - n)
inline void gru_state(const float* n, const float* z, const float* was, float* h, int units) {
    asm volatile(
        "1:\tvldmia %[n]!, {s0-s3}\n\tvldmia %[z]!, {s4-s7}\n\tvldmia %[was]!, {s8-s11}\n\t"
        "vsub.f32 s8, s8, s0\n\tvsub.f32 s9, s9, s1\n\tvsub.f32 s10, s10, s2\n\tvsub.f32 s11, s11, s3\n\t"
        "vmul.f32 s8, s4, s8\n\tvmul.f32 s9, s5, s9\n\tvmul.f32 s10, s6, s10\n\tvmul.f32 s11, s7, s11\n\t"
        "vadd.f32 s8, s0, s8\n\tvadd.f32 s9, s1, s9\n\tvadd.f32 s10, s2, s10\n\tvadd.f32 s11, s3, s11\n\t"
        "vstmia %[h]!, {s8-s11}\n\tsubs %[units], #4\n\tbne 1b"
        : [n] "+r"(n), [z] "+r"(z), [was] "+r"(was), [h] "+r"(h), [units] "+r"(units)
        :
        : DUNLIN_ALL_REGISTERS);
}

/// The derivatives by n, z, r and q from those by h, and what the state before is handed: rows of `units` numbers, in the order
/// of GruRow.
inline void gru_back(const float* y, const float* was, float* d, float* handed, int units) {
    const float *n = y, *z = n + units, *r = z + units, *q = r + units;
    float *dn = d, *dz = dn + units, *dr = dz + units, *dq = dr + units;
    const float* dh = dq + units;
    // s0-s11: n, z, r, q, was, dh of both units; s12 is one.
#define DUNLIN_UNIT(n, z, r, q, was, dh)                                                               \
    "vsub.f32 s13, s12, " z "\n\tvmul.f32 s14, " n ", " n                                              \
    "\n\tvsub.f32 s14, s12, s14\n\t"                                                                   \
    "vmul.f32 s15, " dh                                                                                \
    ", s13\n\tvmul.f32 s14, s15, s14\n\t"                                                              \
    "vsub.f32 " was ", " was ", " n "\n\tvmul.f32 " n ", " dh ", " was "\n\tvmul.f32 " n ", " n ", " z \
    "\n\t"                                                                                             \
    "vmul.f32 " was ", " n ", s13\n\tvmul.f32 " z ", " dh ", " z                                       \
    "\n\t"                                                                                             \
    "vmul.f32 " dh ", s14, " r "\n\tvmul.f32 " q ", s14, " q "\n\tvmul.f32 " q ", " q ", " r           \
    "\n\t"                                                                                             \
    "vsub.f32 s13, s12, " r "\n\tvmul.f32 " q ", " q ", s13\n\tvmov.f32 " n ", s14\n\t"
    // Leaves dn where n was, dz where `was` was, dq in dh, dr in q, and what is handed on in z.
    asm volatile(
        "vmov.f32 s12, #1.0\n"
        "1:\tvldmia %[n]!, {s0-s1}\n\tvldmia %[z]!, {s2-s3}\n\tvldmia %[r]!, {s4-s5}\n\tvldmia %[q]!, {s6-s7}\n\t"
        "vldmia %[was]!, {s8-s9}\n\tvldmia %[dh]!, {s10-s11}\n\t"
        DUNLIN_UNIT("s0", "s2", "s4", "s6", "s8", "s10")
        DUNLIN_UNIT("s1", "s3", "s5", "s7", "s9", "s11")
        "vstmia %[dn]!, {s0-s1}\n\tvstmia %[dz]!, {s8-s9}\n\tvstmia %[dq]!, {s10-s11}\n\tvstmia %[dr]!, {s6-s7}\n\t"
        "vldmia %[handed], {s0-s1}\n\tvadd.f32 s0, s0, s2\n\tvadd.f32 s1, s1, s3\n\tvstmia %[handed]!, {s0-s1}\n\t"
        "subs %[units], #2\n\tbne 1b"
        : [n] "+r"(n), [z] "+r"(z), [r] "+r"(r), [q] "+r"(q), [was] "+r"(was), [dh] "+r"(dh), [dn] "+r"(dn),
          [dz] "+r"(dz), [dr] "+r"(dr), [dq] "+r"(dq), [handed] "+r"(handed), [units] "+r"(units)
        :
        : DUNLIN_ALL_REGISTERS);
#undef DUNLIN_UNIT
}

}  // namespace dunlin::vfp
// clang-format on

#endif

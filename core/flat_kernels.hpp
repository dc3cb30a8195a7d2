// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/fixed_point.hpp"

#include <cstddef>

namespace dunlin {

/// The loops that aggregation spends its time in, over flat vectors of any length: a table of functions, as Kernels
/// are, so that one program carries several instruction sets. Every set gives the same bits: integers wrap, and a
/// product is rounded before it is added.
struct FlatKernels {
    /// Does a magnitude exceed `limit` >= 0, as that of NaN always does?
    bool (*any_beyond)(const float* x, std::size_t count, float limit);
    /// y := y + a x; x and y do not overlap
    void (*add_scaled)(float a, const float* x, float* y, std::size_t count);
    /// w := w - a (g + b (w - w_0)); with b = 0 w_0 is not read. None of the three overlap
    void (*descend)(float a, const float* g, float b, const float* w0, float* w, std::size_t count);
    /// y := y + x, wrapped; true where a sum left the range. x and y do not overlap
    bool (*add_masses)(const Mass* x, Mass* y, std::size_t count);
};

/// The best set that this processor runs.
const FlatKernels& flat_kernels();

/// That and all others that this processor runs, ended by null.
const FlatKernels* const* available_flat_kernels();

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/few_samples.hpp"
#include "core/flat_kernels.hpp"
#include "core/kernels.hpp"
#include "core/layer_kernels.hpp"

namespace dunlin {

/// The sets of fast kernels, each compiled with its own flags: only dispatch.cpp may name them, and only after it
/// has asked the processor. Their files define nothing inline that is visible outside (tests/core/CMakeLists.txt
/// checks), or the linker could hand code for AVX-512 to a processor without it.
extern const Kernels<float> baseline_kernels;
extern const Kernels<float> avx2_kernels;
extern const Kernels<float> avx512_kernels;
extern const Kernels<float> neon_kernels;

extern const LayerKernels<float> baseline_layer_kernels;
extern const LayerKernels<float> avx2_layer_kernels;
extern const LayerKernels<float> avx512_layer_kernels;
extern const LayerKernels<float> neon_layer_kernels;
extern const LayerKernels<float> reference_layer_kernels;

extern const FlatKernels avx2_flat_kernels;
extern const FlatKernels avx512_flat_kernels;

}  // namespace dunlin

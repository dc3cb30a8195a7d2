// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace dunlin::bench {

/// Runs 12 chains of dependent multiply-adds in the registers of a set of kernels ("avx512", "avx2", "baseline",
/// "neon"); returns how many scalar multiply-adds that were, zero for a set that has no such loop. Baseline x86-64
/// has none that are fused: there a product and a sum count as one.
double run_chains(std::string_view kernels, int rounds);

}  // namespace dunlin::bench

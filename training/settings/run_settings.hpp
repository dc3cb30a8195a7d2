// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/settings/settings.hpp"

namespace dunlin {

/// The head of every experiment's document: kind, experiment, kernels and seed, which S has as members.
template <class S>
void add_run_settings(Settings& list, S& s) {
    list.add("kind", s.kind, "what kind of experiment this is");
    list.add("experiment", s.experiment, "name, for reports");
    list.add("kernels", s.kernels,
             "fast, reference (the same bits on every machine), or baseline, avx2, avx512, neon");
    list.add("seed", s.seed, "all randomness comes from it");
}

}  // namespace dunlin

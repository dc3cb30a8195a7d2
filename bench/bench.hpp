// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

namespace dunlin::bench {

/// Reports, of every counter, the largest of the repetitions: the one that other programs disturbed least.
void take_best(benchmark::internal::Benchmark* benchmark);

void register_hessian_vectors();
void register_navigation();
void register_perceptrons();
void register_rule_worlds();

}  // namespace dunlin::bench

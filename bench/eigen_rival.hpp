// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin::bench {

/// A perceptron by plain Eigen products: dynamic matrices, samples in columns, noalias, Eigen's vectorised
/// activations, no allocation after set-up. It takes plain numbers only, because this header is read by files that
/// are compiled for different processors.
struct Rival {
    void* (*make)(const int* widths, int layers, bool tanh, int columns);  ///< widths: inputs first
    void (*drop)(void* network);
    float* (*parameters)(void* network);  ///< of layer after layer: weights inputs x outputs, then the bias
    const float* (*forward_one)(void* network, const float* x);
    /// Forward, delta = output - target, backward; returns the gradient.
    const float* (*train)(void* network, const float* x, const float* target);
};

extern const Rival eigen_baseline;
extern const Rival eigen_avx2;
extern const Rival eigen_avx512;
extern const Rival eigen_neon;

}  // namespace dunlin::bench

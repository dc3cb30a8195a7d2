// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/graph.hpp"

#include <cstdint>
#include <string_view>

namespace dunlin {

/// How neighbours' models are weighed in methods that mix over undirected graphs: a symmetric matrix W whose rows
/// sum to one.
enum class Mixing : std::uint8_t {
    laplacian,        ///< I - (rho/tau) A'A, A the incidence matrix (SPDB, equation 5)
    metropolis,       ///< metropolis_weights
    lazy_metropolis,  ///< (I + Metropolis) / 2: its spectrum lies in [0, 1]
    automatic         ///< the first of these whose spectrum allows it
};

/// I - step A'A: every edge weighs `step`. Error: graph_not_undirected.
Result<MixingWeights> laplacian_weights(const Graph& graph, double step);

/// The mean of W and the identity.
MixingWeights lazy(MixingWeights weights);

/// The ends of the spectrum of W that count; 1 always belongs to it.
struct MixingSpectrum {
    double smallest = 0;
    double second = 0;  ///< the largest eigenvalue but for the 1 of the constant vector
};

/// By the power method, accurate to about 1e-6 of the spectrum's width while eigenvalues are no closer than a
/// thousandth of it, and never outside the true spectrum.
MixingSpectrum mixing_spectrum(const Graph& graph, const MixingWeights& weights);

/// W and its spectrum as chosen; `kind` says what `automatic` came to.
struct ChosenMixing {
    MixingWeights weights;
    MixingSpectrum spectrum;
    Mixing kind = Mixing::metropolis;
};

/// What the primal-dual recursion needs: every eigenvalue above -1/3. Descent and gradient tracking need -1.
inline constexpr double primal_dual_bound = -1.0 / 3.0;
/// Closer to its bound than this an eigenvalue counts as outside: a recursion there takes for ever to settle, or
/// blows up.
inline constexpr double mixing_margin = 1e-3;

/// The weights of this kind, whatever their spectrum is; of `automatic` the first with all eigenvalues above
/// `bound`. Error: graph_not_undirected.
Result<ChosenMixing> choose_mixing(const Graph& graph, Mixing kind, double rho_over_tau, double bound);

}  // namespace dunlin

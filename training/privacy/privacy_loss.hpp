// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/privacy/sampled_gaussian.hpp"

namespace dunlin {

/// (epsilon, delta) of all steps by the distribution of the privacy loss log(P/Q), composed by Fourier transform: an
/// upper bound, as a rule some tenths of a percent above what is true. Both directions, adding and removing a unit, are computed; the
/// larger is returned.
///
/// The loss of a step is rounded to a grid whose mean is kept exact, so that errors of rounding add up like a random
/// walk's (Hoeffding); by how much they may, and what falls off the grid's ends, is added to epsilon and to delta.
///
/// Source: Gopi, Lee, Wutschitz 2021, algorithms 1 and 2, theorem 5.5; that both directions suffice: Zhu, Dong, Wang 2022.
/// The mechanism and delta have been checked. Takes up to some seconds and 300 MB where steps are many.
double epsilon_pld(const SampledGaussian& mechanism, double delta);

}  // namespace dunlin

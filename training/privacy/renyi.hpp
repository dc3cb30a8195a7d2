// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/privacy/sampled_gaussian.hpp"

namespace dunlin {

/// What an accountant found, and the order at which it did.
struct RenyiBound {
    double epsilon;
    double order;
};

/// Renyi divergence of one step, of an order above 1. Source: Mironov, Talwar, Zhang 2019, section 3.3; the
/// larger of both directions is that of removing a unit (theorem 5).
double renyi_divergence(const SampledGaussian& mechanism, double order);

/// (epsilon, delta) of all steps by Renyi differential privacy, the best over orders from 1.1 to 1024, fractional ones
/// too below 12. Conversion: Canonne, Kamath, Steinke 2020, proposition 12. The mechanism and delta have been checked.
RenyiBound epsilon_rdp(const SampledGaussian& mechanism, double delta);

}  // namespace dunlin

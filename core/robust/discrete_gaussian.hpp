// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cmath>
#include <cstdint>

namespace dunlin {

/// Samples of the discrete Gaussian, which has P(x) proportional to exp(-x^2 / (2 sigma^2)) on the integers: as noise on
/// sums of integers it gives the privacy of the Gaussian of the same sigma, and no bit of it tells how it was made.
/// Rejection from a discrete Laplace distribution of scale t = floor(sigma) + 1. Source: Canonne, Kamath, Steinke 2020,
/// algorithms 1 to 3. Chances are rounded to 2^-53. `Bits` gives 64 random bits a call, of a generator that whoever sees
/// the sums cannot know.
template <class Bits>
class DiscreteGaussian {
public:
    /// sigma in [1, 2^40].
    DiscreteGaussian(double sigma, Bits& bits)
        : sigma_(sigma), scale_(static_cast<std::int64_t>(std::floor(sigma)) + 1), bits_(bits) {
        assert(sigma >= 1 && sigma <= 0x1p40);
    }

    std::int64_t operator()() {
        for (;;) {
            const std::int64_t x = laplace();
            const double distance =
                std::abs(static_cast<double>(x)) - sigma_ * sigma_ / static_cast<double>(scale_);
            if (chance_exp(distance * distance / (2 * sigma_ * sigma_))) return x;
        }
    }

private:
    bool chance(double p) { return static_cast<double>(bits_() >> 11) < p * 0x1p53; }
    /// True with probability exp(-gamma), gamma >= 0.
    bool chance_exp(double gamma) {
        for (; gamma > 1; gamma -= 1) {
            if (!chance_exp(1)) return false;
        }
        int k = 1;
        while (chance(gamma / k)) ++k;
        return k % 2 == 1;
    }
    std::uint64_t below(std::uint64_t limit) {
        for (;;) {
            const std::uint64_t value = bits_(), rest = value % limit;
            if (value - rest <= ~std::uint64_t{0} - (limit - 1)) return rest;
        }
    }
    std::int64_t laplace() {
        for (;;) {
            const auto u = static_cast<std::int64_t>(below(static_cast<std::uint64_t>(scale_)));
            if (!chance_exp(static_cast<double>(u) / static_cast<double>(scale_))) continue;
            std::int64_t v = 0;
            while (chance_exp(1)) ++v;
            const std::int64_t x = u + scale_ * v;
            const bool negative = (bits_() & 1) != 0;
            if (negative && x == 0) continue;
            return negative ? -x : x;
        }
    }

    double sigma_;
    std::int64_t scale_;
    Bits& bits_;
};

}  // namespace dunlin

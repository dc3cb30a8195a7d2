// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"

#include <cstdint>

namespace dunlin {

/// What a batch that was drawn under old parameters says of others, by the ratio r = pi(a | s; w) / pi(a | s; old) of each
/// step, A being its advantage:
enum class Surrogate : std::uint8_t {
    likelihood,  ///< A log pi: the policy gradient, right where the batch was drawn alone
    ppo,         ///< min(r A, clip(r, 1 - eps, 1 + eps) A) (Schulman et al. 2017, equation 7)
    spo          ///< r A - |A| (r - 1)^2 / (2 eps): simple policy optimisation (Xie et al. 2024)
};

struct RatioSurrogate {
    Surrogate kind = Surrogate::likelihood;
    /// eps > 0. 0.2 in the papers, for many updates of one policy; two inner steps that are to reach a task need more.
    float range = 2.0f;

    constexpr bool compares() const { return kind != Surrogate::likelihood; }

    /// The derivative of the surrogate along the score d log pi, over A. `weight` has the sign of -A, being a loss's.
    template <class S>
    S score_factor(S weight, S log_ratio) const {
        const S ratio = portable::exp(log_ratio), better = weight < S(0) ? S(1) : S(-1);
        if (kind == Surrogate::spo) return ratio * (S(1) - better * (ratio - S(1)) / S(range));
        return better * (ratio - S(1)) > S(range) ? S(0) : ratio;
    }
    /// The surrogate as a loss, of a weight -A / D.
    template <class S>
    S loss(S weight, S log_ratio) const {
        const S ratio = portable::exp(log_ratio), better = weight < S(0) ? S(1) : S(-1);
        if (kind == Surrogate::spo)
            return weight * (ratio - better * (ratio - S(1)) * (ratio - S(1)) / (S(2) * S(range)));
        return weight * (better * (ratio - S(1)) > S(range) ? S(1) + better * S(range) : ratio);
    }
};

}  // namespace dunlin

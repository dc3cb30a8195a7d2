// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/synchronous.hpp"

namespace dunlin {

/// Hyper-gradient push by rounds on a fixed graph: nodes agree on x, which descends the mean of inner costs
/// f_i(x, lambda_i), and each moves a lambda_i of its own along the derivative of the sum of all outer costs F. In
/// cycles of T + 1 + M rounds:
///
///     T rounds      x := W x - eta df/dx                              m = x
///     1 round       u := dF/dx,  v := dF/dlambda                      m = x, which stays
///     M rounds      v := v - eta C u,  u := W u - eta H u             m = u, and x stays
///     at the end    lambda := lambda - beta v
///
/// with H = d2f/dx2 and C = d2f/dlambda dx, at x. The Jacobian of the T rounds is W - eta H, symmetric, and their fixed
/// point moves with lambda_i by -eta C'; so v tends to the derivative of the sum of F through that fixed point as M
/// grows, where eta H is a contraction, since the sum over m of (W - eta H)^m u(0) is what it takes.
///
/// This is Algorithm 2 (Terashita and Hara 2023) where every edge is there in every round, and a gradient is taken
/// before parameters are mixed, as DSGD does: what i would send j is what j sends i, so that the push-sum weight stays
/// one and nothing has to be estimated. core/aggregate/hyper_gradient_push.hpp is the general form, for edges that come
/// and go, where weights are others.
///
/// The node computes H u, C u and v (Question), and keeps lambda and v, which enter no message; u does. A round without
/// a gradient mixes alone, and u begins as zero then.
struct HyperGradientRule {
    static constexpr GossipTraits traits{.name = "hgp",
                                         .title = "hyper-gradient push",
                                         .carries = "derivative that is pushed, in turn with the parameters",
                                         .undirected = true,
                                         .rounds = true,
                                         .asks = true};
    static constexpr std::size_t sent = 1, kept = 1;
    static constexpr std::uint64_t identity = 0x53590400u;

    /// Kept is x, while messages are u.
    template <class S>
    static void step(S eta, const SeriesPlan::Stage& stage, ConstVector<S> g, ConstVector<S> own, ConstVector<S> x,
                     Vector<S> next) {
        const std::size_t d = own.size();
        const bool says_model = stage.last || (stage.says_model && !stage.begins);  // in the next round
        for (std::size_t k = 0; k < d; ++k) {
            const S given = g.empty() ? S(0) : g[k];
            const S moved = stage.begins ? given : own[k] + next[d + k] - eta * given;
            const S model = stage.says_model ? own[k] : x[k];
            next[d + k] = stage.last ? model : moved;
            next[k] = says_model ? S(0) : model;
        }
    }
};

template <class S = float>
using HyperGradientRounds = Synchronous<S, HyperGradientRule>;

static_assert(FleetNode<HyperGradientRounds<>>);

}  // namespace dunlin

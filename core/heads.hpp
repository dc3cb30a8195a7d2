// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "core/math.hpp"

namespace dunlin {

/// Heads turn a network's outputs into a distribution over actions or classes. Both give, for the weighted
/// log-likelihood L = sum over columns of weight * log p(action | output), its value, its derivative by the outputs
/// (a delta for Mlp::backward) and the tangent of that derivative (for Mlp::tangent_backward). The same code serves
/// policy gradients (weights are advantages) and classification (weights are -1/batch at the label).

/// Categorical distribution over `classes` from logits Z. Weights form a matrix C, classes x columns: C(k, c) is
/// the total weight of class k in column c, so that one column may stand for many samples of one state.
///
///     L = sum C log P,   dL/dZ = C - (1'C) P,   R dL/dZ = -(1'C) (P RZ - P (P'RZ)),   P = softmax(Z)
template <class S>
struct Categorical {
    int classes = 0;

    S value(Columns<const S> P, Columns<const S> C, int columns) const {
        S sum = 0;
        for (int k = 0; k < classes; ++k) {
            for (int c = 0; c < columns; ++c) {
                const S weight = C.row(k)[c];
                if (weight != S(0)) sum += weight * portable::log(P.row(k)[c]);
            }
        }
        return sum;
    }

    void delta(Columns<const S> P, Columns<const S> C, Columns<S> D, int columns) const {
        for (int c = 0; c < columns; ++c) {
            S total = 0;
            for (int k = 0; k < classes; ++k) total += C.row(k)[c];
            for (int k = 0; k < classes; ++k) D.row(k)[c] = C.row(k)[c] - total * P.row(k)[c];
        }
    }

    void tangent_delta(Columns<const S> P, Columns<const S> C, Columns<const S> RZ, Columns<S> RD,
                       int columns) const {
        for (int c = 0; c < columns; ++c) {
            S total = 0, mean = 0;
            for (int k = 0; k < classes; ++k) {
                total += C.row(k)[c];
                mean += P.row(k)[c] * RZ.row(k)[c];
            }
            for (int k = 0; k < classes; ++k) RD.row(k)[c] = -total * P.row(k)[c] * (RZ.row(k)[c] - mean);
        }
    }
};

/// Diagonal Gaussian with means M (size x columns) from the network and log standard deviations that are parameters
/// of their own. With e = (action - M)/sigma, column weights v:
///
///     L = sum v (-|e|^2/2 - sum log sigma) + const,   dL/dM = v e/sigma,   dL/dlog sigma = sum over columns v (e^2
///     - 1)
template <class S>
struct DiagonalGaussian {
    int size = 0;

    S value(Columns<const S> M, const S* log_sigma, Columns<const S> actions, const S* weights, int columns) const {
        S sum = 0;
        for (int k = 0; k < size; ++k) {
            const S scale = portable::exp(-log_sigma[k]);
            for (int c = 0; c < columns; ++c) {
                const S e = (actions.row(k)[c] - M.row(k)[c]) * scale;
                sum += weights[c] * (S(-0.5) * e * e - log_sigma[k]);
            }
        }
        return sum;
    }

    /// Writes dL/dM to D and adds dL/dlog sigma to `log_sigma_gradient`.
    void delta(Columns<const S> M, const S* log_sigma, Columns<const S> actions, const S* weights, Columns<S> D,
               S* log_sigma_gradient, int columns) const {
        for (int k = 0; k < size; ++k) {
            const S scale = portable::exp(-log_sigma[k]);
            S sum = 0;
            for (int c = 0; c < columns; ++c) {
                const S e = (actions.row(k)[c] - M.row(k)[c]) * scale;
                D.row(k)[c] = weights[c] * e * scale;
                sum += weights[c] * (e * e - S(1));
            }
            log_sigma_gradient[k] += sum;
        }
    }

    /// Writes the tangent of dL/dM to RD and adds that of dL/dlog sigma to `log_sigma_product`, when M moves along
    /// RM and log sigma along `log_sigma_direction`.
    void tangent_delta(Columns<const S> M, const S* log_sigma, const S* log_sigma_direction,
                       Columns<const S> actions, const S* weights, Columns<const S> RM, Columns<S> RD,
                       S* log_sigma_product, int columns) const {
        for (int k = 0; k < size; ++k) {
            const S scale = portable::exp(-log_sigma[k]);
            S sum = 0;
            for (int c = 0; c < columns; ++c) {
                const S e = (actions.row(k)[c] - M.row(k)[c]) * scale;
                const S re = -RM.row(k)[c] * scale - e * log_sigma_direction[k];
                RD.row(k)[c] = weights[c] * scale * (re - e * log_sigma_direction[k]);
                sum += weights[c] * S(2) * e * re;
            }
            log_sigma_product[k] += sum;
        }
    }
};

}  // namespace dunlin

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
        in_chunks(columns, [&](int first, int count) {
            S total[chunk] = {};
            for (int k = 0; k < classes; ++k) {
                for (int c = 0; c < count; ++c) total[c] += C.row(k)[first + c];
            }
            for (int k = 0; k < classes; ++k) {
                const S* p = P.row(k) + first;
                const S* weight = C.row(k) + first;
                S* d = D.row(k) + first;
                for (int c = 0; c < count; ++c) d[c] = weight[c] - total[c] * p[c];
            }
        });
    }

    void tangent_delta(Columns<const S> P, Columns<const S> C, Columns<const S> RZ, Columns<S> RD,
                       int columns) const {
        in_chunks(columns, [&](int first, int count) {
            S total[chunk] = {}, mean[chunk] = {};
            for (int k = 0; k < classes; ++k) {
                for (int c = 0; c < count; ++c) {
                    total[c] += C.row(k)[first + c];
                    mean[c] += P.row(k)[first + c] * RZ.row(k)[first + c];
                }
            }
            for (int k = 0; k < classes; ++k) {
                const S* p = P.row(k) + first;
                const S* rz = RZ.row(k) + first;
                S* rd = RD.row(k) + first;
                for (int c = 0; c < count; ++c) rd[c] = -total[c] * p[c] * (rz[c] - mean[c]);
            }
        });
    }

private:
    /// Columns are taken a vector's worth at a time, so that sums over classes stay in registers.
    static constexpr int chunk = column_multiple;
    template <class Body>
    static void in_chunks(int columns, Body&& body) {
        int first = 0;
        for (; first + chunk <= columns; first += chunk) body(first, chunk);
        if (first < columns) body(first, columns - first);
    }
};

/// Diagonal Gaussian with means M (size x columns) from the network and log standard deviations that are parameters
/// of their own. With e = (action - M)/sigma, column weights v:
///
///     L             = sum v (-|e|^2/2 - sum log sigma) + const
///     dL/dM         = v e/sigma
///     dL/dlog sigma = sum over columns v (e^2 - 1)
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

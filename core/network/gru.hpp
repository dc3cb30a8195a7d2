// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/recurrent.hpp"

namespace dunlin {

/// A gated recurrent unit, with the reset gate behind the product (as PyTorch, and ONNX with linear_before_reset):
///
///     z = sigma(Wz' x + bz + Uz' h),   r = sigma(Wr' x + br + Ur' h),   q = Uq' h + a
///     n = tanh(Wn' x + bn + r q),      h := n + z (h - n)
///
/// Rows of a step: n, z, r, q, h. Source: Cho et al. 2014.
struct GruCell {
    static constexpr int rows = 5, inputs = 3, states_at = 1, states = 3, own_bias = 1, kept_at = 4;
    enum : int { n, z, r, q, h };

    template <class B>
    static void forward(const B& y) {
        for (int u = 0; u < y.units; ++u) {
            auto *an = y.row(n, u), *az = y.row(z, u), *ar = y.row(r, u), *aq = y.row(q, u), *ah = y.row(h, u);
            const auto* before = y.first() ? nullptr : y.earlier(h, u);
            for (int c = 0; c < y.columns; ++c) {
                az[c] = portable::sigmoid(az[c]);
                ar[c] = portable::sigmoid(ar[c]);
                an[c] = portable::tanh(portable::fma(ar[c], aq[c], an[c]));
                const auto was = before == nullptr ? az[c] - az[c] : before[c];
                ah[c] = portable::fma(az[c], was - an[c], an[c]);
            }
        }
    }

    template <class Y, class D>
    static void backward(const Y& y, const D& d) {
        for (int u = 0; u < y.units; ++u) {
            const auto *an = y.row(n, u), *az = y.row(z, u), *ar = y.row(r, u), *aq = y.row(q, u);
            const auto* before = y.first() ? nullptr : y.earlier(h, u);
            auto *dn = d.row(n, u), *dz = d.row(z, u), *dr = d.row(r, u), *dq = d.row(q, u), *dh = d.row(h, u);
            auto* handed = y.first() ? nullptr : d.earlier(h, u);
            for (int c = 0; c < y.columns; ++c) {
                const auto one = decltype(dh[c] + 0)(1), was = before == nullptr ? one - one : before[c];
                dn[c] = dh[c] * (one - az[c]) * (one - an[c] * an[c]);
                dz[c] = dh[c] * (was - an[c]) * az[c] * (one - az[c]);
                dq[c] = dn[c] * ar[c];
                dr[c] = dn[c] * aq[c] * ar[c] * (one - ar[c]);
                if (handed != nullptr) handed[c] += dh[c] * az[c];
            }
        }
    }

    template <class Y, class T>
    static void tangent_forward(const Y& y, const T& t) {
        for (int u = 0; u < y.units; ++u) {
            const auto *an = y.row(n, u), *az = y.row(z, u), *ar = y.row(r, u), *aq = y.row(q, u);
            const auto* before = y.first() ? nullptr : y.earlier(h, u);
            auto *rn = t.row(n, u), *rz = t.row(z, u), *rr = t.row(r, u), *rq = t.row(q, u), *rh = t.row(h, u);
            const auto* moved = y.first() ? nullptr : t.earlier(h, u);
            for (int c = 0; c < y.columns; ++c) {
                const auto one = decltype(rh[c] + 0)(1), was = before == nullptr ? one - one : before[c],
                           went = moved == nullptr ? one - one : moved[c];
                rz[c] *= az[c] * (one - az[c]);
                rr[c] *= ar[c] * (one - ar[c]);
                rn[c] = (rn[c] + rr[c] * aq[c] + ar[c] * rq[c]) * (one - an[c] * an[c]);
                rh[c] = rn[c] + rz[c] * (was - an[c]) + az[c] * (went - rn[c]);
            }
        }
    }

    template <class Y, class D>
    static void tangent_backward(const Y& y, const Y& t, const D& d, const D& rd) {
        for (int u = 0; u < y.units; ++u) {
            const auto *an = y.row(n, u), *az = y.row(z, u), *ar = y.row(r, u), *aq = y.row(q, u);
            const auto *tn = t.row(n, u), *tz = t.row(z, u), *tr = t.row(r, u), *tq = t.row(q, u);
            const auto* before = y.first() ? nullptr : y.earlier(h, u);
            const auto* moved = y.first() ? nullptr : t.earlier(h, u);
            auto *dn = d.row(n, u), *dz = d.row(z, u), *dr = d.row(r, u), *dq = d.row(q, u), *dh = d.row(h, u);
            auto *en = rd.row(n, u), *ez = rd.row(z, u), *er = rd.row(r, u), *eq = rd.row(q, u), *eh = rd.row(h, u);
            auto *handed = y.first() ? nullptr : d.earlier(h, u),
                 *handed_too = y.first() ? nullptr : rd.earlier(h, u);
            for (int c = 0; c < y.columns; ++c) {
                const auto one = decltype(dh[c] + 0)(1), two = one + one,
                           was = before == nullptr ? one - one : before[c],
                           went = moved == nullptr ? one - one : moved[c];
                // By what n, z and r are, and along v.
                const auto gn = dh[c] * (one - az[c]), hn = eh[c] * (one - az[c]) - dh[c] * tz[c];
                const auto gz = dh[c] * (was - an[c]), hz = eh[c] * (was - an[c]) + dh[c] * (went - tn[c]);
                const auto sn = one - an[c] * an[c], sz = az[c] * (one - az[c]), sr = ar[c] * (one - ar[c]);
                dn[c] = gn * sn;
                en[c] = hn * sn - gn * two * an[c] * tn[c];
                dz[c] = gz * sz;
                ez[c] = hz * sz + gz * (one - two * az[c]) * tz[c];
                dq[c] = dn[c] * ar[c];
                eq[c] = en[c] * ar[c] + dn[c] * tr[c];
                const auto gr = dn[c] * aq[c], hr = en[c] * aq[c] + dn[c] * tq[c];
                dr[c] = gr * sr;
                er[c] = hr * sr + gr * (one - two * ar[c]) * tr[c];
                if (handed == nullptr) continue;
                handed[c] += dh[c] * az[c];
                handed_too[c] += eh[c] * az[c] + dh[c] * tz[c];
            }
        }
    }
};
using GruLayer = RecurrentLayer<GruCell>;

}  // namespace dunlin

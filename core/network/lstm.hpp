// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/recurrent.hpp"

namespace dunlin {

/// Long short-term memory without peepholes:
///
///     (i, f, o) = sigma(W' x + b + U' h),   g = tanh(Wg' x + bg + Ug' h)
///     c := f c + i g,   h := o tanh(c)
///
/// Rows of a step: i, f, g, o, tanh(c), c, h. In matrices of derivatives c's row holds what later steps give it.
/// Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000.
struct LstmCell {
    static constexpr int rows = 7, inputs = 4, states_at = 0, states = 4, own_bias = 0, kept_at = 5;
    enum : int { i, f, g, o, t, c, h };

    template <class B>
    static void forward(const B& y) {
        for (int u = 0; u < y.units; ++u) {
            auto *ai = y.row(i, u), *af = y.row(f, u), *ag = y.row(g, u), *ao = y.row(o, u);
            auto *at = y.row(t, u), *ac = y.row(c, u), *ah = y.row(h, u);
            const auto* before = y.first() ? nullptr : y.earlier(c, u);
            for (int k = 0; k < y.columns; ++k) {
                ai[k] = portable::sigmoid(ai[k]);
                af[k] = portable::sigmoid(af[k]);
                ag[k] = portable::tanh(ag[k]);
                ao[k] = portable::sigmoid(ao[k]);
                ac[k] = ai[k] * ag[k];
                if (before != nullptr) ac[k] = portable::fma(af[k], before[k], ac[k]);
                at[k] = portable::tanh(ac[k]);
                ah[k] = ao[k] * at[k];
            }
        }
    }

    template <class Y, class D>
    static void backward(const Y& y, const D& d) {
        for (int u = 0; u < y.units; ++u) {
            const auto *ai = y.row(i, u), *af = y.row(f, u), *ag = y.row(g, u), *ao = y.row(o, u),
                       *at = y.row(t, u);
            const auto* before = y.first() ? nullptr : y.earlier(c, u);
            auto *di = d.row(i, u), *df = d.row(f, u), *dg = d.row(g, u), *dout = d.row(o, u);
            const auto *kept = d.row(c, u), *dh = d.row(h, u);
            auto* handed = y.first() ? nullptr : d.earlier(c, u);
            for (int k = 0; k < y.columns; ++k) {
                const auto one = decltype(kept[k] + 0)(1), was = before == nullptr ? one - one : before[k];
                const auto dc = kept[k] + dh[k] * ao[k] * (one - at[k] * at[k]);
                dout[k] = dh[k] * at[k] * ao[k] * (one - ao[k]);
                di[k] = dc * ag[k] * ai[k] * (one - ai[k]);
                dg[k] = dc * ai[k] * (one - ag[k] * ag[k]);
                df[k] = dc * was * af[k] * (one - af[k]);
                if (handed != nullptr) handed[k] += dc * af[k];
            }
        }
    }

    template <class Y, class T>
    static void tangent_forward(const Y& y, const T& tangent) {
        for (int u = 0; u < y.units; ++u) {
            const auto *ai = y.row(i, u), *af = y.row(f, u), *ag = y.row(g, u), *ao = y.row(o, u),
                       *at = y.row(t, u);
            const auto* before = y.first() ? nullptr : y.earlier(c, u);
            auto *ri = tangent.row(i, u), *rf = tangent.row(f, u), *rg = tangent.row(g, u), *ro = tangent.row(o, u);
            auto *rt = tangent.row(t, u), *rc = tangent.row(c, u), *rh = tangent.row(h, u);
            const auto* moved = y.first() ? nullptr : tangent.earlier(c, u);
            for (int k = 0; k < y.columns; ++k) {
                const auto one = decltype(rh[k] + 0)(1), was = before == nullptr ? one - one : before[k],
                           went = moved == nullptr ? one - one : moved[k];
                ri[k] *= ai[k] * (one - ai[k]);
                rf[k] *= af[k] * (one - af[k]);
                rg[k] *= one - ag[k] * ag[k];
                ro[k] *= ao[k] * (one - ao[k]);
                rc[k] = rf[k] * was + af[k] * went + ri[k] * ag[k] + ai[k] * rg[k];
                rt[k] = rc[k] * (one - at[k] * at[k]);
                rh[k] = ro[k] * at[k] + ao[k] * rt[k];
            }
        }
    }

    template <class Y, class D>
    static void tangent_backward(const Y& y, const Y& tangent, const D& d, const D& rd) {
        for (int u = 0; u < y.units; ++u) {
            const auto *ai = y.row(i, u), *af = y.row(f, u), *ag = y.row(g, u), *ao = y.row(o, u),
                       *at = y.row(t, u);
            const auto *ri = tangent.row(i, u), *rf = tangent.row(f, u), *rg = tangent.row(g, u);
            const auto *ro = tangent.row(o, u), *rt = tangent.row(t, u);
            const auto* before = y.first() ? nullptr : y.earlier(c, u);
            const auto* moved = y.first() ? nullptr : tangent.earlier(c, u);
            auto *di = d.row(i, u), *df = d.row(f, u), *dg = d.row(g, u), *dout = d.row(o, u);
            auto *ei = rd.row(i, u), *ef = rd.row(f, u), *eg = rd.row(g, u), *eo = rd.row(o, u);
            const auto *kept = d.row(c, u), *dh = d.row(h, u), *kept_too = rd.row(c, u), *eh = rd.row(h, u);
            auto *handed = y.first() ? nullptr : d.earlier(c, u),
                 *handed_too = y.first() ? nullptr : rd.earlier(c, u);
            for (int k = 0; k < y.columns; ++k) {
                const auto one = decltype(kept[k] + 0)(1), two = one + one,
                           was = before == nullptr ? one - one : before[k],
                           went = moved == nullptr ? one - one : moved[k];
                const auto st = one - at[k] * at[k], si = ai[k] * (one - ai[k]), sf = af[k] * (one - af[k]),
                           sg = one - ag[k] * ag[k], so = ao[k] * (one - ao[k]);
                const auto dc = kept[k] + dh[k] * ao[k] * st;
                const auto ec =
                    kept_too[k] + eh[k] * ao[k] * st + dh[k] * (ro[k] * st - ao[k] * two * at[k] * rt[k]);
                // By a gate's output, and along v; then by what goes into it.
                const auto through = [&](auto by, auto along, auto steep, auto bent, auto went_by, auto& out,
                                         auto& out_along) {
                    out = by * steep;
                    out_along = along * steep + by * bent * went_by;
                };
                through(dh[k] * at[k], eh[k] * at[k] + dh[k] * rt[k], so, one - two * ao[k], ro[k], dout[k], eo[k]);
                through(dc * ag[k], ec * ag[k] + dc * rg[k], si, one - two * ai[k], ri[k], di[k], ei[k]);
                through(dc * was, ec * was + dc * went, sf, one - two * af[k], rf[k], df[k], ef[k]);
                through(dc * ai[k], ec * ai[k] + dc * ri[k], sg, -two * ag[k], rg[k], dg[k], eg[k]);
                if (handed == nullptr) continue;
                handed[k] += dc * af[k];
                handed_too[k] += ec * af[k] + dc * rf[k];
            }
        }
    }
};
using LstmLayer = RecurrentLayer<LstmCell>;

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"
#include "core/random.hpp"

namespace dunlin {

/// Zeroes a share `rate` of the numbers at random and divides the others by what is left, so that the mean stays
/// (Srivastava et al. 2014); without a stream nothing is changed. Its own rows: what each number was multiplied by. No
/// parameters.
struct DropoutLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec& spec, Extent) {
        return spec.rate >= 0.0f && spec.rate < 1.0f ? LayerFault::none : LayerFault::rate;
    }
    static constexpr Extent out(const LayerSpec&, Extent in) { return in; }
    static constexpr std::size_t parameters(const LayerSpec&, Extent) { return 0; }
    static constexpr int extra_rows(const LayerSpec&, Extent in) { return in.size(); }

    /// Before `forward`. Null: keeps everything.
    template <class S>
    static void draw(const LayerRun<S>& run, Stream* random, Columns<S> y) {
        const S kept = S(1) / (S(1) - S(run.spec.rate));
        for (int r = 0; r < run.out.size(); ++r) {
            S* const factor = y.row(run.out.size() + r);
            for (int c = 0; c < run.columns; ++c)
                factor[c] = random == nullptr ? S(1) : random->uniform() < run.spec.rate ? S(0) : kept;
        }
    }

    template <class S>
    static void forward(const LayerRun<S>& run, const S*, Seen<S> x, Columns<S> y) {
        multiply(run, Seen<S>(y), x, y, false);
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S*, Seen<S>, Seen<S> y, Columns<S> d, Columns<S> e, S*) {
        if (e.data != nullptr) multiply(run, y, Seen<S>(d), e, true);
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S*, const S*, Seen<S>, Seen<S> rx, Seen<S> y,
                                Columns<S> ry) {
        if (rx.data == nullptr) return clear_rows(ry, run.out.size(), run.columns);
        multiply(run, y, rx, ry, false);
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S*, const S*, Seen<S>, Seen<S>, Seen<S> y, Seen<S>,
                                 Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S*) {
        if (e.data == nullptr) return;
        multiply(run, y, Seen<S>(d), e, true);
        multiply(run, y, Seen<S>(rd), re, true);
    }

private:
    template <class S>
    static void multiply(const LayerRun<S>& run, Seen<S> factors, Seen<S> x, Columns<S> y, bool adds) {
        for (int r = 0; r < run.out.size(); ++r) {
            const S *const factor = factors.row(run.out.size() + r), *const from = x.row(r);
            S* const to = y.row(r);
            for (int c = 0; c < run.columns; ++c) to[c] = (adds ? to[c] : S(0)) + factor[c] * from[c];
        }
    }
};

}  // namespace dunlin

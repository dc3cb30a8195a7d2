// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/convolution.hpp"

namespace dunlin {

/// The largest number of each window, channel by channel; of several the first counts. Outside the input there is
/// nothing. No parameters.
struct MaximumPoolLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec& spec, Extent in) {
        const LayerFault fault = Windows2d::check(spec, in);
        return fault == LayerFault::none && Windows2d::taps(spec) > taps_limit ? LayerFault::kernel : fault;
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in) { return Windows2d::out(spec, in, in.channels); }
    static constexpr std::size_t parameters(const LayerSpec&, Extent) { return 0; }
    static constexpr int extra_rows(const LayerSpec&, Extent) { return 0; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S*, Seen<S> x, Columns<S> y) {
        each_window(run, [&](int to, const int* from, int count) {
            const S* rows[taps_limit];
            for (int k = 0; k < count; ++k) rows[k] = x.row(from[k]);
            run.more.largest(rows, count, y.row(to), run.columns);
        });
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S*, Seen<S> x, Seen<S>, Columns<S> d, Columns<S> e, S*) {
        if (e.data != nullptr) route(run, x, d, e);
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S*, const S*, Seen<S> x, Seen<S> rx, Seen<S>,
                                Columns<S> ry) {
        if (rx.data == nullptr) return clear_rows(ry, run.out.size(), run.columns);
        each_window(run, [&](int to, const int* from, int count) {
            const S *rows[taps_limit], *moved[taps_limit];
            for (int k = 0; k < count; ++k) {
                rows[k] = x.row(from[k]);
                moved[k] = rx.row(from[k]);
            }
            run.more.at_largest(rows, moved, count, ry.row(to), run.columns);
        });
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S*, const S*, Seen<S> x, Seen<S>, Seen<S>, Seen<S>,
                                 Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S*) {
        if (e.data == nullptr) return;
        route(run, x, d, e);
        route(run, x, rd, re);
    }

private:
    static constexpr int taps_limit = 256;  ///< of a window

    /// Calls f(output row, input rows, their count), channel by channel.
    template <class S, class F>
    static void each_window(const LayerRun<S>& run, const F& f) {
        const LayerSpec& spec = run.spec;
        int from[taps_limit];
        for (int oy = 0; oy < run.out.height; ++oy) {
            for (int ox = 0; ox < run.out.width; ++ox) {
                const int top = oy * spec.stride_height - spec.pad_height,
                          left = ox * spec.stride_width - spec.pad_width;
                for (int k = 0; k < run.in.channels; ++k) {
                    int count = 0;
                    for (int y = std::max(0, top); y < std::min(run.in.height, top + spec.kernel_height); ++y) {
                        for (int x = std::max(0, left); x < std::min(run.in.width, left + spec.kernel_width); ++x)
                            from[count++] = run.in.row(y, x) + k;
                    }
                    f(run.out.row(oy, ox) + k, from, count);
                }
            }
        }
    }
    template <class S>
    static void route(const LayerRun<S>& run, Seen<S> x, Columns<S> d, Columns<S> e) {
        each_window(run, [&](int to, const int* from, int count) {
            const S* rows[taps_limit];
            S* into[taps_limit];
            for (int k = 0; k < count; ++k) {
                rows[k] = x.row(from[k]);
                into[k] = e.row(from[k]);
            }
            run.more.give_largest(rows, into, count, d.row(to), run.columns);
        });
    }
};

/// The mean of each window, channel by channel; zeros outside the input are counted in (as ONNX's count_include_pad).
/// As `global`: of all places. No parameters.
template <bool global>
struct MeanLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec& spec, Extent in) {
        return global ? LayerFault::none : Windows2d::check(spec, in);
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in) {
        return global ? Extent{1, 1, in.channels} : Windows2d::out(spec, in, in.channels);
    }
    static constexpr std::size_t parameters(const LayerSpec&, Extent) { return 0; }
    static constexpr int extra_rows(const LayerSpec&, Extent) { return 0; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S*, Seen<S> x, Columns<S> y) {
        clear_rows(y, run.out.size(), run.columns);
        each(run, [&](int to, int from) { add_rows(below(x, from), below(y, to), run.in.channels, run.columns); });
        const S share = S(1) / S(count(run));
        for (int r = 0; r < run.out.size(); ++r) {
            S* const row = y.row(r);
            for (int c = 0; c < run.columns; ++c) row[c] *= share;
        }
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S*, Seen<S>, Seen<S>, Columns<S> d, Columns<S> e, S*) {
        if (e.data != nullptr) spread(run, d, e);
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S*, const S*, Seen<S>, Seen<S> rx, Seen<S>,
                                Columns<S> ry) {
        if (rx.data == nullptr) return clear_rows(ry, run.out.size(), run.columns);
        forward(run, static_cast<const S*>(nullptr), rx, ry);
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S*, const S*, Seen<S>, Seen<S>, Seen<S>, Seen<S>,
                                 Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S*) {
        if (e.data == nullptr) return;
        spread(run, d, e);
        spread(run, rd, re);
    }

private:
    template <class S>
    static int count(const LayerRun<S>& run) {
        return global ? run.in.places() : Windows2d::taps(run.spec);
    }
    template <class S, class F>
    static void each(const LayerRun<S>& run, const F& f) {
        if constexpr (global) {
            for (int place = 0; place < run.in.places(); ++place) f(0, place * run.in.channels);
        } else {
            Windows2d::each_tap(run.spec, run.in, run.out, [&](int to, int from, int) { f(to, from); });
        }
    }
    template <class S>
    static void spread(const LayerRun<S>& run, Columns<S> d, Columns<S> e) {
        const S share = S(1) / S(count(run));
        each(run, [&](int to, int from) {
            for (int k = 0; k < run.in.channels; ++k) {
                const S* const above = d.row(to + k);
                S* const row = e.row(from + k);
                for (int c = 0; c < run.columns; ++c) row[c] += share * above[c];
            }
        });
    }
};
using AveragePoolLayer = MeanLayer<false>;
using GlobalPoolLayer = MeanLayer<true>;

}  // namespace dunlin

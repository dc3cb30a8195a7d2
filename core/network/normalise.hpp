// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"
#include "core/network/layer.hpp"

namespace dunlin {

/// To mean 0 and variance 1 over each group of channels and all places, sample by sample, then scaled and shifted
/// channel by channel: y = g (x - mean) / sqrt(variance + epsilon) + b. One group is layer normalisation (Ba et al.
/// 2016, with a scale a channel), more are group normalisation (Wu and He 2018). Parameters: g, then b. Its own rows: the
/// mean and 1/sqrt(variance + epsilon) of each group; in matrices of tangents theirs.
struct NormaliseLayer {
    static constexpr float epsilon = 1e-5f;

    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec& spec, Extent in) {
        return spec.groups >= 1 && in.channels % spec.groups == 0 ? LayerFault::none : LayerFault::groups;
    }
    static constexpr Extent out(const LayerSpec&, Extent in) { return in; }
    static constexpr std::size_t parameters(const LayerSpec&, Extent in) {
        return 2 * static_cast<std::size_t>(in.channels);
    }
    static constexpr int extra_rows(const LayerSpec& spec, Extent) { return 2 * spec.groups; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y) {
        const S count = numbers(run);
        for (int g = 0; g < run.spec.groups; ++g) {
            S *const mean = y.row(mean_row(run, g)), *const rate = y.row(rate_row(run, g));
            for (int c = 0; c < run.columns; ++c) {
                S sum = 0, squares = 0;
                each(run, g, [&](int row, int) { sum += x.row(row)[c]; });
                mean[c] = sum / count;
                each(run, g, [&](int row, int) {
                    const S from = x.row(row)[c] - mean[c];
                    squares += from * from;
                });
                rate[c] = S(1) / portable::sqrt(squares / count + S(epsilon));
                each(run, g, [&](int row, int k) {
                    y.row(row)[c] = (x.row(row)[c] - mean[c]) * rate[c] * w[k] + w[run.in.channels + k];
                });
            }
        }
    }

    template <class S>
    static void backward(const LayerRun<S>& run, const S* w, Seen<S> x, Seen<S> y, Columns<S> d, Columns<S> e,
                         S* gradient) {
        const S count = numbers(run);
        for (int g = 0; g < run.spec.groups; ++g) {
            for (int c = 0; c < run.columns; ++c) {
                const S mean = y.row(mean_row(run, g))[c], rate = y.row(rate_row(run, g))[c];
                S sum = 0, along = 0;
                each(run, g, [&](int row, int k) {
                    const S normal = (x.row(row)[c] - mean) * rate, by = d.row(row)[c];
                    gradient[k] += by * normal;
                    gradient[run.in.channels + k] += by;
                    sum += by * w[k];
                    along += by * w[k] * normal;
                });
                if (e.data == nullptr) continue;
                each(run, g, [&](int row, int k) {
                    const S normal = (x.row(row)[c] - mean) * rate;
                    e.row(row)[c] += rate * (d.row(row)[c] * w[k] - sum / count - normal * (along / count));
                });
            }
        }
    }

    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S> y,
                                Columns<S> ry) {
        const S count = numbers(run);
        for (int g = 0; g < run.spec.groups; ++g) {
            S *const moved = ry.row(mean_row(run, g)), *const faster = ry.row(rate_row(run, g));
            for (int c = 0; c < run.columns; ++c) {
                const S mean = y.row(mean_row(run, g))[c], rate = y.row(rate_row(run, g))[c];
                S sum = 0, spread = 0;
                if (rx.data != nullptr) {
                    each(run, g, [&](int row, int) { sum += rx.row(row)[c]; });
                    each(run, g,
                         [&](int row, int) { spread += (x.row(row)[c] - mean) * (rx.row(row)[c] - sum / count); });
                }
                moved[c] = sum / count;
                faster[c] = -rate * rate * rate * (spread / count);
                each(run, g, [&](int row, int k) {
                    const S from = x.row(row)[c] - mean,
                            went = rx.data == nullptr ? S(0) : rx.row(row)[c] - moved[c];
                    ry.row(row)[c] =
                        v[k] * from * rate + w[k] * (went * rate + from * faster[c]) + v[run.in.channels + k];
                });
            }
        }
    }

    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S> y,
                                 Seen<S> ry, Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S* product) {
        const S count = numbers(run);
        for (int g = 0; g < run.spec.groups; ++g) {
            for (int c = 0; c < run.columns; ++c) {
                const S mean = y.row(mean_row(run, g))[c], rate = y.row(rate_row(run, g))[c];
                const S moved = ry.row(mean_row(run, g))[c], faster = ry.row(rate_row(run, g))[c];
                const auto normal = [&](int row) { return (x.row(row)[c] - mean) * rate; };
                const auto normal_moved = [&](int row) {
                    const S went = rx.data == nullptr ? S(0) : rx.row(row)[c] - moved;
                    return went * rate + (x.row(row)[c] - mean) * faster;
                };
                S sum = 0, along = 0, sum_moved = 0, along_moved = 0;
                each(run, g, [&](int row, int k) {
                    const S n = normal(row), rn = normal_moved(row), by = d.row(row)[c], by_moved = rd.row(row)[c];
                    product[k] += by_moved * n + by * rn;
                    product[run.in.channels + k] += by_moved;
                    const S in = by * w[k], in_moved = by_moved * w[k] + by * v[k];
                    sum += in;
                    sum_moved += in_moved;
                    along += in * n;
                    along_moved += in_moved * n + in * rn;
                });
                if (e.data == nullptr) continue;
                each(run, g, [&](int row, int k) {
                    const S n = normal(row), rn = normal_moved(row), by = d.row(row)[c], by_moved = rd.row(row)[c];
                    const S rest = by * w[k] - sum / count - n * (along / count);
                    const S rest_moved = by_moved * w[k] + by * v[k] - sum_moved / count - rn * (along / count) -
                                         n * (along_moved / count);
                    e.row(row)[c] += rate * rest;
                    re.row(row)[c] += faster * rest + rate * rest_moved;
                });
            }
        }
    }

private:
    template <class S>
    static int mean_row(const LayerRun<S>& run, int group) {
        return run.out.size() + 2 * group;
    }
    template <class S>
    static int rate_row(const LayerRun<S>& run, int group) {
        return mean_row(run, group) + 1;
    }
    template <class S>
    static S numbers(const LayerRun<S>& run) {
        return S(run.in.size() / run.spec.groups);
    }
    /// Calls f(row, channel) for the numbers of a group.
    template <class S, class F>
    static void each(const LayerRun<S>& run, int group, const F& f) {
        const int channels = run.in.channels / run.spec.groups;
        for (int place = 0; place < run.in.places(); ++place) {
            for (int k = group * channels; k < (group + 1) * channels; ++k) f(place * run.in.channels + k, k);
        }
    }
};

}  // namespace dunlin

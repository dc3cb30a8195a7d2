// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"

#include <algorithm>
#include <optional>

namespace dunlin {

/// The windows of a layer that slides over height and width.
struct Windows2d {
    static constexpr int side_limit = 64;  ///< of a window, a stride and a padding

    static constexpr LayerFault check(const LayerSpec& spec, Extent in) {
        const auto within = [](int side, int least) { return side >= least && side <= side_limit; };
        if (!within(spec.kernel_height, 1) || !within(spec.kernel_width, 1) || !within(spec.stride_height, 1) ||
            !within(spec.stride_width, 1) || !within(spec.pad_height, 0) || !within(spec.pad_width, 0) ||
            spec.pad_height >= spec.kernel_height || spec.pad_width >= spec.kernel_width)
            return LayerFault::kernel;
        if (in.height + 2 * spec.pad_height < spec.kernel_height ||
            in.width + 2 * spec.pad_width < spec.kernel_width)
            return LayerFault::too_small;
        return LayerFault::none;
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in, int channels) {
        return {(in.height + 2 * spec.pad_height - spec.kernel_height) / spec.stride_height + 1,
                (in.width + 2 * spec.pad_width - spec.kernel_width) / spec.stride_width + 1, channels};
    }
    static constexpr int taps(const LayerSpec& spec) { return spec.kernel_height * spec.kernel_width; }

    /// Calls f(first row of the output place, first row of the input, first tap, taps) for every run of taps that lie
    /// next to each other on the input, place by place.
    template <class F>
    static void each_run(const LayerSpec& spec, Extent in, Extent out, const F& f) {
        for (int oy = 0; oy < out.height; ++oy) {
            for (int ox = 0; ox < out.width; ++ox) {
                const int x = ox * spec.stride_width - spec.pad_width;
                const int first = std::max(0, -x), last = std::min(spec.kernel_width, in.width - x);
                for (int ky = 0; ky < spec.kernel_height; ++ky) {
                    const int y = oy * spec.stride_height - spec.pad_height + ky;
                    if (y < 0 || y >= in.height || first >= last) continue;
                    f(out.row(oy, ox), in.row(y, x + first), ky * spec.kernel_width + first, last - first);
                }
            }
        }
    }
    /// The same tap by tap.
    template <class F>
    static void each_tap(const LayerSpec& spec, Extent in, Extent out, const F& f) {
        each_run(spec, in, out, [&](int to, int from, int tap, int count) {
            for (int k = 0; k < count; ++k) f(to, from + k * in.channels, tap + k);
        });
    }
};

/// y at a place = b + sum over the taps of its window of W_tap' x there; outside the input x is zero. With groups, a
/// group of output channels sees its group of input channels alone.
///
/// Parameters: for each group W (taps by height and width x channels in x channels out, row-major), then b.
struct ConvolutionLayer {
    static constexpr bool activates = true;

    static constexpr LayerFault check(const LayerSpec& spec, Extent in) {
        if (const LayerFault fault = Windows2d::check(spec, in); fault != LayerFault::none) return fault;
        if (spec.groups < 1 || in.channels % spec.groups != 0 || spec.outputs % spec.groups != 0)
            return LayerFault::groups;
        return LayerFault::none;
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in) { return Windows2d::out(spec, in, spec.outputs); }
    static constexpr std::size_t parameters(const LayerSpec& spec, Extent in) {
        return weights(spec, in) + static_cast<std::size_t>(spec.outputs);
    }
    static constexpr int extra_rows(const LayerSpec&, Extent) { return 0; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y) {
        if (run.spec.groups == 1) return gather(run, w, x, y, w + weights(run.spec, run.in), run.spec.activation);
        fill(run, w, y);
        products(run, w, x, y);
        run.more.activate(y, run.out.size(), run.columns, run.spec.activation);
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S* w, Seen<S> x, Seen<S>, Columns<S> d, Columns<S> e,
                         S* gradient) {
        weight_sums(run, x, d, gradient);
        bias_sums(run, d, gradient);
        if (e.data != nullptr) back(run, w, d, e);
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S>,
                                Columns<S> ry) {
        if (run.spec.groups == 1) {
            gather(run, v, x, ry, v + weights(run.spec, run.in), Activation::identity);
        } else {
            fill(run, v, ry);
            products(run, v, x, ry);
        }
        if (rx.data != nullptr) products(run, w, rx, ry);
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S>,
                                 Seen<S>, Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S* product) {
        weight_sums(run, x, rd, product);
        bias_sums(run, rd, product);
        if (rx.data != nullptr) weight_sums(run, rx, d, product);
        if (e.data == nullptr) return;
        back(run, w, d, e);
        back(run, w, rd, re);
        back(run, v, d, re);
    }

    static constexpr std::size_t weights(const LayerSpec& spec, Extent in) {
        return static_cast<std::size_t>(Windows2d::taps(spec)) *
               static_cast<std::size_t>(in.channels / spec.groups) * static_cast<std::size_t>(spec.outputs);
    }

private:
    template <class S>
    static bool depthwise(const LayerRun<S>& run) {
        return run.spec.groups == run.in.channels && run.spec.groups == run.out.channels;
    }

    template <class S>
    static void fill(const LayerRun<S>& run, const S* w, Columns<S> y) {
        const S* const b = w + weights(run.spec, run.in);
        for (int place = 0; place < run.out.places(); ++place)
            fill_rows(b, below(y, place * run.out.channels), run.out.channels, run.columns);
    }

    /// Without groups: y = act(b + W' x), place by place.
    template <class S>
    static void gather(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y, const S* b,
                       Activation activation) {
        const int in = run.in.channels, out = run.out.channels;
        ProductPart<S> parts[Windows2d::side_limit];
        int count = 0, place = 0;
        const auto finish = [&] {
            run.more.affine_parts(parts, count, b, below(y, place), out, run.columns, activation);
            count = 0;
            place += out;
        };
        Windows2d::each_run(run.spec, run.in, run.out, [&](int to, int from, int tap, int taps) {
            while (place < to) finish();
            parts[count++] = {w + static_cast<std::ptrdiff_t>(tap) * in * out, out, below(x, from), taps * in};
        });
        while (place < run.out.size()) finish();
    }

    /// y += W' x
    template <class S>
    static void products(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y) {
        const int groups = run.spec.groups, in = run.in.channels / groups, out = run.out.channels / groups;
        if (groups == 1) {
            Windows2d::each_run(run.spec, run.in, run.out, [&](int to, int from, int tap, int count) {
                run.kernels.accumulate(w + static_cast<std::ptrdiff_t>(tap) * in * out, below(x, from),
                                       below(y, to), count * in, out, run.columns);
            });
            return;
        }
        const std::ptrdiff_t taps = Windows2d::taps(run.spec);
        Windows2d::each_tap(run.spec, run.in, run.out, [&](int to, int from, int tap) {
            if (depthwise(run)) {
                run.more.add_scaled_rows(w + tap, taps, below(x, from), below(y, to), groups, run.columns);
                return;
            }
            for (int g = 0; g < groups; ++g) {
                run.kernels.accumulate(w + (g * taps + tap) * in * out, below(x, from + g * in),
                                       below(y, to + g * out), in, out, run.columns);
            }
        });
    }

    /// dW += x d'
    template <class S>
    static void weight_sums(const LayerRun<S>& run, Seen<S> x, Seen<S> d, S* gradient) {
        const int groups = run.spec.groups, in = run.in.channels / groups, out = run.out.channels / groups;
        S* const none = nullptr;
        if (groups == 1) {
            const auto weights_of = [&](int tap) { return gradient + static_cast<std::ptrdiff_t>(tap) * in * out; };
            if constexpr (sums_gradients) {
                if (run.more.weight_gradients != nullptr) {
                    // Of all places those whose windows hold the same taps of a row of the kernel.
                    for (int row = 0; row < run.spec.kernel_height; ++row) {
                        std::optional<GradientSum<S>> sum;
                        int first = -1, taps = 0;
                        Windows2d::each_run(run.spec, run.in, run.out, [&](int to, int from, int tap, int count) {
                            if (tap / run.spec.kernel_width != row) return;
                            if (tap != first || count != taps)
                                sum.emplace(run, weights_of(first = tap), none, (taps = count) * in, out);
                            sum->add(below(x, from), below(d, to));
                        });
                    }
                    return;
                }
            }
            Windows2d::each_run(run.spec, run.in, run.out, [&](int to, int from, int tap, int count) {
                run.kernels.weight_gradient(below(x, from), below(d, to), weights_of(tap), none, count * in, out,
                                            run.columns);
            });
            return;
        }
        const std::ptrdiff_t taps = Windows2d::taps(run.spec);
        Windows2d::each_tap(run.spec, run.in, run.out, [&](int to, int from, int tap) {
            if (depthwise(run)) {
                run.more.add_row_products(below(x, from), below(d, to), gradient + tap, taps, groups, run.columns);
                return;
            }
            for (int g = 0; g < groups; ++g) {
                run.kernels.weight_gradient(below(x, from + g * in), below(d, to + g * out),
                                            gradient + (g * taps + tap) * in * out, none, in, out, run.columns);
            }
        });
    }
    template <class S>
    static void bias_sums(const LayerRun<S>& run, Seen<S> d, S* gradient) {
        S* const b = gradient + weights(run.spec, run.in);
        for (int place = 0; place < run.out.places(); ++place)
            add_row_sums(run, below(d, place * run.out.channels), b, run.out.channels);
    }

    /// e += W d, with the weights of each tap turned first.
    template <class S>
    static void back(const LayerRun<S>& run, const S* w, Seen<S> d, Columns<S> e) {
        const int groups = run.spec.groups, in = run.in.channels / groups, out = run.out.channels / groups;
        const std::ptrdiff_t taps = Windows2d::taps(run.spec), block = static_cast<std::ptrdiff_t>(in) * out;
        if (depthwise(run)) {
            Windows2d::each_tap(run.spec, run.in, run.out, [&](int to, int from, int tap) {
                run.more.add_scaled_rows(w + tap, taps, below(d, to), below(e, from), groups, run.columns);
            });
            return;
        }
        for (std::ptrdiff_t k = 0; k < groups * taps; ++k) turn(w + k * block, in, out, run.scratch + k * block);
        if (groups == 1) return scatter(run, d, e);
        Windows2d::each_tap(run.spec, run.in, run.out, [&](int to, int from, int tap) {
            for (int g = 0; g < groups; ++g) {
                run.kernels.accumulate(run.scratch + (g * taps + tap) * block, below(d, to + g * out),
                                       below(e, from + g * in), out, in, run.columns);
            }
        });
    }
    /// The same without groups and with the turned weights in the scratch space, by place of the input: all that its number
    /// was in goes into one sum.
    template <class S>
    static void scatter(const LayerRun<S>& run, Seen<S> d, Columns<S> e) {
        const LayerSpec& spec = run.spec;
        const int in = run.in.channels, out = run.out.channels;
        const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(in) * out;
        constexpr int most = 64;
        ProductPart<S> parts[most];
        for (int y = 0; y < run.in.height; ++y) {
            for (int x = 0; x < run.in.width; ++x) {
                int count = 0;
                const auto add = [&] {
                    run.more.accumulate_parts(parts, count, below(e, run.in.row(y, x)), in, run.columns);
                    count = 0;
                };
                for (int ky = 0; ky < spec.kernel_height; ++ky) {
                    const int top = y + spec.pad_height - ky;
                    if (top < 0 || top % spec.stride_height != 0 || top / spec.stride_height >= run.out.height)
                        continue;
                    for (int kx = 0; kx < spec.kernel_width; ++kx) {
                        const int left = x + spec.pad_width - kx;
                        if (left < 0 || left % spec.stride_width != 0 || left / spec.stride_width >= run.out.width)
                            continue;
                        if (count == most) add();
                        parts[count++] = {run.scratch + (ky * spec.kernel_width + kx) * block, in,
                                          below(d, run.out.row(top / spec.stride_height, left / spec.stride_width)),
                                          out};
                    }
                }
                if (count > 0) add();
            }
        }
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"

namespace dunlin {

/// y = b + W' x. Parameters: W (inputs x outputs, row-major), then b.
struct DenseLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec&, Extent) { return LayerFault::none; }
    static constexpr Extent out(const LayerSpec& spec, Extent) { return {1, 1, spec.outputs}; }
    static constexpr std::size_t parameters(const LayerSpec& spec, Extent in) {
        return (static_cast<std::size_t>(in.size()) + 1) * static_cast<std::size_t>(spec.outputs);
    }
    static constexpr int extra_rows(const LayerSpec&, Extent) { return 0; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y) {
        run.kernels.affine(w, bias(run, w), x, y, run.in.size(), run.out.size(), run.columns, Activation::identity);
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S* w, Seen<S> x, Seen<S>, Columns<S> d, Columns<S> e,
                         S* gradient) {
        weights(run, x, d, gradient);
        if (e.data != nullptr) back(run, w, d, e);
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S>,
                                Columns<S> ry) {
        run.kernels.affine(v, bias(run, v), x, ry, run.in.size(), run.out.size(), run.columns,
                           Activation::identity);
        if (rx.data != nullptr) run.kernels.accumulate(w, rx, ry, run.in.size(), run.out.size(), run.columns);
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S>,
                                 Seen<S>, Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S* product) {
        weights(run, x, rd, product);
        if (rx.data != nullptr) {
            run.kernels.weight_gradient(rx, d, product, static_cast<S*>(nullptr), run.in.size(), run.out.size(),
                                        run.columns);
        }
        if (e.data == nullptr) return;
        back(run, w, d, e);
        back(run, w, rd, re);
        back(run, v, d, re);
    }

    template <class S>
    static const S* bias(const LayerRun<S>& run, const S* w) {
        return w + static_cast<std::ptrdiff_t>(run.in.size()) * run.out.size();
    }
    template <class S>
    static void weights(const LayerRun<S>& run, Seen<S> x, Seen<S> d, S* gradient) {
        run.kernels.weight_gradient(x, d, gradient,
                                    gradient + static_cast<std::ptrdiff_t>(run.in.size()) * run.out.size(),
                                    run.in.size(), run.out.size(), run.columns);
    }

private:
    /// e += W d, by the kernel for e += W' d: the weights are turned first.
    template <class S>
    static void back(const LayerRun<S>& run, const S* w, Seen<S> d, Columns<S> e) {
        turn(w, run.in.size(), run.out.size(), run.scratch);
        run.kernels.accumulate(run.scratch, d, e, run.out.size(), run.in.size(), run.columns);
    }
};

}  // namespace dunlin

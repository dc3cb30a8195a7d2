// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"

namespace dunlin {

/// A row of weights for each token of a sequence. The input's channels count the tokens that there are. Parameters:
/// tokens x outputs, row-major.
struct EmbeddingLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec&, Extent in) {
        return in.height == 1 ? LayerFault::none : LayerFault::not_a_line;
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in) { return {1, in.width, spec.outputs}; }
    static constexpr std::size_t parameters(const LayerSpec& spec, Extent in) {
        return static_cast<std::size_t>(in.channels) * static_cast<std::size_t>(spec.outputs);
    }
    static constexpr int extra_rows(const LayerSpec&, Extent) { return 0; }

    template <class S>
    static void forward(const LayerRun<S>& run, const S* w, Seen<S>, Columns<S> y) {
        for (int step = 0; step < run.in.width; ++step) {
            run.kernels.select_rows(w, static_cast<const S*>(nullptr), tokens(run, step),
                                    below(y, step * run.out.channels), run.out.channels, run.columns,
                                    Activation::identity);
        }
    }
    template <class S>
    static void backward(const LayerRun<S>& run, const S*, Seen<S>, Seen<S>, Columns<S> d, Columns<S>,
                         S* gradient) {
        for (int step = 0; step < run.in.width; ++step) {
            run.kernels.scatter_rows(tokens(run, step), below(d, step * run.out.channels), gradient,
                                     static_cast<S*>(nullptr), run.out.channels, run.columns);
        }
    }
    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S*, const S* v, Seen<S> x, Seen<S>, Seen<S>,
                                Columns<S> ry) {
        forward(run, v, x, ry);
    }
    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S* w, const S*, Seen<S> x, Seen<S>, Seen<S> y,
                                 Seen<S>, Columns<S>, Columns<S> rd, Columns<S> e, Columns<S>, S* product) {
        backward(run, w, x, y, rd, e, product);
    }

private:
    template <class S>
    static const std::int32_t* tokens(const LayerRun<S>& run, int step) {
        return run.tokens + step * run.token_stride;
    }
};

}  // namespace dunlin

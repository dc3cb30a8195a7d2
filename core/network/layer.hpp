// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "core/layer_kernels.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace dunlin {

enum class LayerKind : std::uint8_t {
    dense,        ///< y = b + W' x, of all numbers that come in
    convolution,  ///< over height and width; height 1 is a convolution over time, groups = channels a depthwise one
    maximum_pool,  ///< the largest in each window, channel by channel
    average_pool,  ///< the mean of each window
    global_pool,   ///< the mean over height and width
    gru,           ///< gated recurrent unit over the width, which is time
    lstm,          ///< long short-term memory over the width
    embedding,     ///< a row of weights for each token; the first layer only
    normalise,     ///< to mean 0 and variance 1 over groups of channels, and all of height and width
    add,           ///< the output of an earlier layer
    dropout        ///< zeroes numbers at random in training
};

/// What is wrong with a layer where it stands: Code::bad_layer's second number.
enum class LayerFault : std::uint8_t {
    none,
    outputs,     ///< not in [1, limit]
    kernel,      ///< a side of the window, the stride or the padding is not in its range
    too_small,   ///< what comes in is smaller than the window
    groups,      ///< they do not divide the channels
    tokens,      ///< an embedding that is not first, or another layer that is given tokens
    back,        ///< there is no layer so far before, or its output has another extent
    rate,        ///< not in [0, 1)
    not_a_line,  ///< recurrent layers go over the width: the height is not 1
    too_large    ///< more numbers than can be counted here
};

/// What a layer's numbers stand for. Rows are ordered by height, then width, then channel, so that the channels of a
/// place, and of neighbouring places in a row, are next to each other. A sequence is as wide as it is long.
struct Extent {
    int height = 1, width = 1, channels = 1;

    constexpr int places() const { return height * width; }
    constexpr int size() const { return places() * channels; }
    constexpr int row(int y, int x) const { return (y * width + x) * channels; }

    friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

/// One layer, as a user writes it. What belongs to other kinds is not looked at.
struct LayerSpec {
    LayerKind kind = LayerKind::dense;
    Activation activation = Activation::identity;
    int outputs =
        0;  ///< dense: numbers; convolution: channels; recurrent: units of a direction; embedding: of a token
    int kernel_height = 1, kernel_width = 1;  ///< of the window
    int stride_height = 1, stride_width = 1;
    int pad_height = 0, pad_width = 0;  ///< zeros on each side
    int groups = 1;                     ///< of channels: convolution, normalise
    int back = 0;                       ///< add: 1 is the layer before the one before
    float rate = 0.0f;                  ///< dropout: the share that is zeroed
    bool flat = false;                  ///< what comes in counts as numbers of one place
    bool every_step = false;            ///< recurrent: the states of all steps, not the last alone
    bool both_ways = false;             ///< recurrent: a second one from the end to the start, its channels behind

    friend constexpr bool operator==(const LayerSpec&, const LayerSpec&) = default;
};

/// A layer at work on so many columns: samples side by side, as Columns has them.
///
/// Every kind of layer is a struct of static functions of it:
///
///     static constexpr LayerFault check(spec, in)    may it stand here?
///     static constexpr Extent out(spec, in)          what comes out
///     static constexpr std::size_t parameters(spec, in)
///     static constexpr int extra_rows(spec, in)      rows of a matrix behind those of the output that it keeps for itself
///     static constexpr bool activates                does its forward take the activation along?
///     forward(run, w, x, y)                          y: output rows (before the activation, if it does not take it
///                                                    along), then its own
///     backward(run, w, x, y, d, e, gradient)         d: derivatives by the output before the activation, then rows of
///                                                    its own; adds to e, where it is not null, and to gradient
///     tangent_forward(run, w, v, x, rx, y, ry)       derivative of y along v, x moving along rx (null: it does not)
///     tangent_backward(run, w, v, x, rx, y, ry, d, rd, e, re, product)
///                                                    the derivative of backward along v; adds to e, re and product
///
/// The two tangents are Pearlmutter's forward-over-reverse (1994): exact Hessian-vector products.
template <class S>
struct LayerRun {
    const Kernels<S>& kernels;
    const LayerKernels<S>& more;
    const LayerSpec& spec;
    Extent in, out;
    int columns;
    S* scratch;                  ///< scratch_scalars of the shape
    const std::int32_t* tokens;  ///< embedding: the token of step t in column c is tokens[t token_stride + c]
    std::ptrdiff_t token_stride;
};

/// A matrix that is only read, as an argument that a Columns<S> fits.
template <class S>
using Seen = Columns<const std::type_identity_t<S>>;

/// `row` rows further down; null stays null.
template <class S>
Columns<S> below(Columns<S> matrix, std::ptrdiff_t row) {
    if (matrix.data == nullptr) return matrix;
    return {matrix.row(row), matrix.stride};
}

/// Calls f(offset of the first, count) for each of `rows` rows of `columns` numbers, or once for all where no gaps are between
/// them.
template <class F>
void each_row(std::ptrdiff_t stride, int rows, int columns, const F& f) {
    if (stride == columns) return f(0, rows * columns);
    for (int r = 0; r < rows; ++r) f(r * stride, columns);
}

/// turned[o inputs + i] = w[i outputs + o]: by squares where there are caches, which rows far apart would drive out.
template <class S>
void turn(const S* w, std::ptrdiff_t inputs, std::ptrdiff_t outputs, S* turned) {
    if constexpr (!sums_gradients) {
        for (std::ptrdiff_t i = 0; i < inputs; ++i) {
            for (std::ptrdiff_t o = 0; o < outputs; ++o) turned[o * inputs + i] = w[i * outputs + o];
        }
        return;
    }
    constexpr std::ptrdiff_t side = 16;
    for (std::ptrdiff_t i = 0; i < inputs; i += side) {
        const std::ptrdiff_t i_end = i + side < inputs ? i + side : inputs;
        for (std::ptrdiff_t o = 0; o < outputs; o += side) {
            const std::ptrdiff_t o_end = o + side < outputs ? o + side : outputs;
            for (std::ptrdiff_t to = o; to < o_end; ++to) {
                for (std::ptrdiff_t from = i; from < i_end; ++from)
                    turned[to * inputs + from] = w[from * outputs + to];
            }
        }
    }
}

/// Collects the outer products that one weight gradient is the sum of. Without kernels that sum several each is added as it
/// comes.
template <class S>
class GradientSum {
public:
    GradientSum(const LayerRun<S>& run, S* dW, S* db, int inputs, int outputs)
        : run_(run), dW_(dW), db_(db), inputs_(inputs), outputs_(outputs) {}
    GradientSum(const GradientSum&) = delete;
    GradientSum& operator=(const GradientSum&) = delete;
    ~GradientSum() { flush(); }

    void add(Seen<S> x, Seen<S> d) {
        if constexpr (sums_gradients) {
            if (run_.more.weight_gradients != nullptr) {
                parts_[count_++] = {x, d};
                if (count_ == most) flush();
                return;
            }
        }
        run_.kernels.weight_gradient(x, d, dW_, db_, inputs_, outputs_, run_.columns);
    }

private:
    static constexpr int most = sums_gradients ? 16 : 1;

    void flush() {
        if constexpr (sums_gradients) {
            if (count_ > 0) run_.more.weight_gradients(parts_, count_, dW_, db_, inputs_, outputs_, run_.columns);
            count_ = 0;
        }
    }

    const LayerRun<S>& run_;
    S *dW_, *db_;
    int inputs_, outputs_, count_ = 0;
    GradientPart<S> parts_[most];
};

template <class S>
void clear_rows(Columns<S> y, int rows, int columns) {
    each_row(y.stride, rows, columns, [&](std::ptrdiff_t at, int n) {
        for (int c = 0; c < n; ++c) y.data[at + c] = S(0);
    });
}

/// Row r of y becomes b[r]; zero where there is no b.
template <class S>
void fill_rows(const S* b, Columns<S> y, int rows, int columns) {
    for (int r = 0; r < rows; ++r) {
        const S value = b == nullptr ? S(0) : b[r];
        S* const row = y.row(r);
        for (int c = 0; c < columns; ++c) row[c] = value;
    }
}

/// y += x
template <class S>
void add_rows(Seen<S> x, Columns<S> y, int rows, int columns) {
    if (x.stride == columns && y.stride == columns) {
        columns *= rows;
        rows = 1;
    }
    for (int r = 0; r < rows; ++r) {
        const S* const from = x.row(r);
        S* const to = y.row(r);
        for (int c = 0; c < columns; ++c) to[c] += from[c];
    }
}

template <class S>
void copy_rows(Seen<S> x, Columns<S> y, int rows, int columns) {
    if (x.stride == columns && y.stride == columns) {
        columns *= rows;
        rows = 1;
    }
    for (int r = 0; r < rows; ++r) {
        const S* const from = x.row(r);
        S* const to = y.row(r);
        for (int c = 0; c < columns; ++c) to[c] = from[c];
    }
}

/// sums[r] += the sum of row r
template <class S>
void add_row_sums(const LayerRun<S>& run, Seen<S> d, S* sums, int rows) {
    run.kernels.weight_gradient(d, d, static_cast<S*>(nullptr), sums, 0, rows, run.columns);  // of no inputs
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
// The reference of what layers beyond dense ones need: the same bits on every processor, as generic.cpp.
#include "core/kernels/reference_layers.hpp"
#include "core/kernels/scalar_products.hpp"
#include "core/kernels/sets.hpp"
#include "core/kernels/vfp_activation.hpp"
#include "core/kernels/vfp_cells.hpp"
#include "core/network/activation.hpp"

#include <algorithm>

namespace dunlin {
namespace reference {
namespace {

/// One sample whose numbers are next to each other, where there are no vectors.
template <class S>
bool one_sample(const ProductPart<S>* parts, int count, Columns<S> Y, int columns) {
    if (scalar::has_vectors || columns != 1 || Y.stride != 1) return false;
    return std::all_of(parts, parts + count, [](const ProductPart<S>& part) { return part.X.stride == 1; });
}
template <class S>
void add_one(const ProductPart<S>* parts, int count, const S* start, S* y, int outputs) {
    for (const ProductPart<S>* part = parts; part != parts + count; ++part, start = y)
        scalar::accumulate_one(part->W, part->stride, part->X.data, start, y, part->inputs, outputs);
}
template <class S>
void activate_one(S* y, int outputs, Activation activation) {
#ifdef DUNLIN_VFP
    if constexpr (sizeof(S) == sizeof(float)) {
        const auto count = static_cast<std::size_t>(outputs);
        if (activation == Activation::tanh) return vfp::tanh(y, count);
        if (activation == Activation::sigmoid) return vfp::sigmoid(y, count);
    }
#endif
    activate(Columns<S>{y, 1}, outputs, 1, activation);
}

}  // namespace

template <class S>
void accumulate_parts(const ProductPart<S>* parts, int count, Columns<S> Y, int outputs, int columns) {
    if (one_sample(parts, count, Y, columns)) return add_one(parts, count, Y.data, Y.data, outputs);
    const Kernels<S>& kernels = generic_kernels<S>();
    for (const ProductPart<S>* part = parts; part != parts + count; ++part) {
        if (part->stride == outputs) {
            kernels.accumulate(part->W, part->X, Y, part->inputs, outputs, columns);
            continue;
        }
        // A row at a time: the sums are in the same order.
        for (int i = 0; i < part->inputs; ++i)
            kernels.accumulate(part->W + i * part->stride, {part->X.row(i), part->X.stride}, Y, 1, outputs,
                               columns);
    }
}

template <class S>
void affine_parts(const ProductPart<S>* parts, int count, const S* b, Columns<S> Y, int outputs, int columns,
                  Activation activation) {
    if (b != nullptr && count > 0 && one_sample(parts, count, Y, columns)) {
        add_one(parts, count, b, Y.data, outputs);
        return activate_one(Y.data, outputs, activation);
    }
    for (int o = 0; o < outputs; ++o) {
        S* const y = Y.row(o);
        for (int c = 0; c < columns; ++c) y[c] = b != nullptr ? b[o] : S(0);
    }
    accumulate_parts(parts, count, Y, outputs, columns);
    activate(Y, outputs, columns, activation);
}

namespace {

template <class S>
int where_largest(const S* const* rows, int count, int column) {
    int at = 0;
    for (int k = 1; k < count; ++k) {
        if (rows[k][column] > rows[at][column]) at = k;
    }
    return at;
}

}  // namespace

template <class S>
void largest(const S* const* rows, int count, S* y, int columns) {
    for (int c = 0; c < columns; ++c) y[c] = rows[where_largest(rows, count, c)][c];
}
namespace {

template <class S>
void at_largest(const S* const* rows, const S* const* others, int count, S* y, int columns) {
    for (int c = 0; c < columns; ++c) y[c] = others[where_largest(rows, count, c)][c];
}
}  // namespace

template <class S>
void give_largest(const S* const* rows, S* const* into, int count, const S* d, int columns) {
    for (int c = 0; c < columns; ++c) into[where_largest(rows, count, c)][c] += d[c];
}

template <class S>
void add_scaled_rows(const S* w, std::ptrdiff_t step, Columns<const S> X, Columns<S> Y, int rows, int columns) {
    for (int r = 0; r < rows; ++r) {
        const S* const x = X.row(r);
        S* const y = Y.row(r);
        for (int c = 0; c < columns; ++c) y[c] = portable::fma(w[r * step], x[c], y[c]);
    }
}
template <class S>
void add_row_products(Columns<const S> X, Columns<const S> D, S* sums, std::ptrdiff_t step, int rows, int columns) {
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) sums[r * step] = portable::fma(X.row(r)[c], D.row(r)[c], sums[r * step]);
    }
}

namespace {

#include "core/kernels/cells.inc"

template <class Scalar>
struct Number {
    using S = Scalar;
    using T = Scalar;
    static constexpr int lanes = 1;
    static T load(const S* p) { return *p; }
    static void store(S* p, T x) { *p = x; }
    static T number(int x) { return T(x); }
    static T tanh(T x) { return portable::tanh(x); }
};

template <class S>
constexpr LayerKernels<S> table{affine_parts<S>, accumulate_parts<S>, activate<S>,         times_slope<S>,
                                times_slopes<S>, add_scaled_rows<S>,  add_row_products<S>, largest<S>,
                                at_largest<S>,   give_largest<S>,     gru_cell<Number<S>>, lstm_cell<Number<S>>};

}  // namespace

template void affine_parts<float>(const ProductPart<float>*, int, const float*, Columns<float>, int, int,
                                  Activation);
template void accumulate_parts<float>(const ProductPart<float>*, int, Columns<float>, int, int);
template void add_scaled_rows<float>(const float*, std::ptrdiff_t, Columns<const float>, Columns<float>, int, int);
template void add_row_products<float>(Columns<const float>, Columns<const float>, float*, std::ptrdiff_t, int, int);
template void largest<float>(const float* const*, int, float*, int);
template void give_largest<float>(const float* const*, float* const*, int, const float*, int);

namespace {

/// One sample whose numbers are next to each other: the cells' arithmetic without their addresses.
bool next_to_each_other(Columns<const float> y, Columns<const float> before, int columns) {
    return columns == 1 && y.stride == 1 && (before.data == nullptr || before.stride == 1);
}
void gru_forward_one(float* y, const float* was, int units) {
    float *const n = y + gru_n * units, *const h = y + gru_h * units;
    const float *const z = y + gru_z * units, *const r = y + gru_r * units, *const q = y + gru_q * units;
#ifdef DUNLIN_VFP
    if (units % 4 == 0 && was != nullptr) {
        vfp::gru_candidate(n, r, q, units);
        activate_one(n, units, Activation::tanh);
        return vfp::gru_state(n, z, was, h, units);
    }
#endif
    for (int u = 0; u < units; ++u) n[u] += r[u] * q[u];
    activate_one(n, units, Activation::tanh);
    for (int u = 0; u < units; ++u) h[u] = n[u] + z[u] * ((was != nullptr ? was[u] : 0.0f) - n[u]);
}
void gru_backward_one(const float* y, const float* before, float* d, float* handed, int units) {
#ifdef DUNLIN_VFP
    if (units % 4 == 0 && before != nullptr && handed != nullptr)
        return vfp::gru_back(y, before + gru_h * units, d, handed + gru_h * units, units);
#endif
    const float* const is = y;
    for (int u = 0; u < units; ++u, ++y, ++d) {
        const float n = y[gru_n * units], z = y[gru_z * units], r = y[gru_r * units], q = y[gru_q * units],
                    was = before != nullptr ? before[gru_h * units + (y - is)] : 0.0f, dh = d[gru_h * units];
        const float dn = dh * (1.0f - z) * (1.0f - n * n);
        d[gru_n * units] = dn;
        d[gru_z * units] = dh * (was - n) * z * (1.0f - z);
        d[gru_q * units] = dn * r;
        d[gru_r * units] = dn * q * r * (1.0f - r);
        if (handed != nullptr) handed[gru_h * units + (y - is)] += dh * z;
    }
}

}  // namespace

void gru_forward_step(Columns<float> y, Columns<const float> before, int units, int columns) {
    if (next_to_each_other(y, before, columns))
        return gru_forward_one(y.data, before.data != nullptr ? before.data + gru_h * units : nullptr, units);
    gru_forward<Number<float>>(y, before, units, columns);
}
void gru_backward_step(Columns<const float> y, Columns<const float> before, Columns<float> d, Columns<float> handed,
                       int units, int columns) {
    if (next_to_each_other(y, before, columns) && next_to_each_other(d, handed, columns))
        return gru_backward_one(y.data, before.data, d.data, handed.data, units);
    gru_backward<Number<float>>(y, before, d, handed, units, columns);
}
void lstm_forward_step(Columns<float> y, Columns<const float> before, int units, int columns) {
    lstm_forward<Number<float>>(y, before, units, columns);
}
void lstm_backward_step(Columns<const float> y, Columns<const float> before, Columns<float> d,
                        Columns<float> handed, int units, int columns) {
    lstm_backward<Number<float>>(y, before, d, handed, units, columns);
}

}  // namespace reference

constexpr LayerKernels<float> reference_layer_kernels = reference::table<float>;

const LayerKernels<double>& layer_kernels(const Kernels<double>&) {
    static constexpr LayerKernels<double> only = reference::table<double>;
    return only;
}

}  // namespace dunlin

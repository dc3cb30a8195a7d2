// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/layer_kernels.hpp"

/// The reference's inner loops one by one, so that a firmware whose network is a constant (core/network/fixed_network.hpp) links
/// those that its layers need. What each does is said at LayerKernels.
namespace dunlin::reference {

template <class S>
void affine_parts(const ProductPart<S>* parts, int count, const S* b, Columns<S> Y, int outputs, int columns,
                  Activation activation);
template <class S>
void accumulate_parts(const ProductPart<S>* parts, int count, Columns<S> Y, int outputs, int columns);
template <class S>
void add_scaled_rows(const S* w, std::ptrdiff_t step, Columns<const S> X, Columns<S> Y, int rows, int columns);
template <class S>
void add_row_products(Columns<const S> X, Columns<const S> D, S* sums, std::ptrdiff_t step, int rows, int columns);
template <class S>
void largest(const S* const* rows, int count, S* y, int columns);
template <class S>
void give_largest(const S* const* rows, S* const* into, int count, const S* d, int columns);

extern template void affine_parts<float>(const ProductPart<float>*, int, const float*, Columns<float>, int, int,
                                         Activation);
extern template void accumulate_parts<float>(const ProductPart<float>*, int, Columns<float>, int, int);
extern template void add_scaled_rows<float>(const float*, std::ptrdiff_t, Columns<const float>, Columns<float>, int,
                                            int);
extern template void add_row_products<float>(Columns<const float>, Columns<const float>, float*, std::ptrdiff_t,
                                             int, int);
extern template void largest<float>(const float* const*, int, float*, int);
extern template void give_largest<float>(const float* const*, float* const*, int, const float*, int);

void gru_forward_step(Columns<float> y, Columns<const float> before, int units, int columns);
void gru_backward_step(Columns<const float> y, Columns<const float> before, Columns<float> d, Columns<float> handed,
                       int units, int columns);
void lstm_forward_step(Columns<float> y, Columns<const float> before, int units, int columns);
void lstm_backward_step(Columns<const float> y, Columns<const float> before, Columns<float> d,
                        Columns<float> handed, int units, int columns);

}  // namespace dunlin::reference

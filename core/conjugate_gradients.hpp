// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"

#include <cstddef>

namespace dunlin {

/// Solves A x = b by at most `steps` conjugate gradients from zero, A being symmetric and known by its products alone:
/// multiply(v, out) writes A v. Where a direction's curvature v'Av is below `least_curvature` |v|^2 the solve ends with
/// what it has, at the first direction (and with no steps at all) with b itself. `residual` holds b and is written to, as are
/// `direction` and `product`; all are as long as b. Returns the number of products. Nothing allocates.
///
/// Source: Hestenes and Stiefel 1952.
template <class S, class Multiply>
int conjugate_gradients(int steps, S least_curvature, Vector<S> x, Vector<S> residual, Vector<S> direction,
                        Vector<S> product, Multiply&& multiply) {
    const std::size_t d = x.size();
    for (std::size_t k = 0; k < d; ++k) {
        direction[k] = residual[k];
        x[k] = steps > 0 ? S(0) : residual[k];
    }
    const auto square = [](ConstVector<S> v) { return dot(v, v); };
    S left = square(residual);
    const S enough = left * S(1e-12);
    int products = 0;
    for (int step = 0; step < steps && !(left <= enough); ++step) {  // a NaN goes on to the caller
        multiply(ConstVector<S>(direction), product);
        ++products;
        const S curvature = dot(ConstVector<S>(direction), ConstVector<S>(product));
        if (!(curvature >= least_curvature * square(direction))) {
            for (std::size_t k = 0; step == 0 && k < d; ++k) x[k] = residual[k];
            break;
        }
        const S length = left / curvature;
        for (std::size_t k = 0; k < d; ++k) {
            x[k] += length * direction[k];
            residual[k] -= length * product[k];
        }
        const S before = left;
        left = square(residual);
        for (std::size_t k = 0; k < d; ++k) direction[k] = residual[k] + left / before * direction[k];
    }
    return products;
}

}  // namespace dunlin

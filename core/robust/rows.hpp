// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace dunlin {

/// `count` vectors of `dimension` numbers, one after the other: what members sent. The memory is the caller's.
struct Rows {
    float* data = nullptr;
    std::size_t count = 0, dimension = 0;

    Vector<float> row(std::size_t i) const { return {data + i * dimension, dimension}; }
};

/// The sum of `term(0)` to `term(count - 1)` in double: in eight sums side by side, which a processor adds at once.
template <class Term>
double sum_of(std::size_t count, Term term) {
    constexpr std::size_t lanes = 8;
    double sums[lanes] = {};
    const std::size_t whole = count / lanes * lanes;
    for (std::size_t k = 0; k < whole; k += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += term(k + lane);
    }
    for (std::size_t k = whole; k < count; ++k) sums[0] += term(k);
    double sum = 0;
    for (double lane : sums) sum += lane;
    return sum;
}

inline double squared_distance(ConstVector<float> a, ConstVector<float> b) {
    return sum_of(a.size(), [&](std::size_t k) {
        const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
        return difference * difference;
    });
}

inline double squared_norm(ConstVector<float> a) {
    return sum_of(a.size(), [&](std::size_t k) {
        const double value = a[k];
        return value * value;
    });
}

/// Writes the mean of some rows, `at(0)` to `at(count - 1)`, to `out`, which is none of them.
template <class At>
void mean_of(const Rows& rows, std::size_t count, At at, Vector<float> out) {
    std::fill(out.begin(), out.end(), 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
        const Vector<float> row = rows.row(at(i));
        for (std::size_t k = 0; k < out.size(); ++k) out[k] += row[k];
    }
    for (float& value : out) value /= static_cast<float>(count);
}

/// Fills distances[i * count + j] with squared distances between rows.
inline void pairwise_distances(const Rows& rows, double* distances) {
    for (std::size_t i = 0; i < rows.count; ++i) {
        distances[i * rows.count + i] = 0;
        for (std::size_t j = 0; j < i; ++j) {
            distances[i * rows.count + j] = distances[j * rows.count + i] =
                squared_distance(rows.row(i), rows.row(j));
        }
    }
}

/// Scratch memory of the robust sums for `count` rows: of doubles and of indices.
struct RobustScratch {
    Rows rows;                       ///< as many and as long as those that are summed
    double* distances = nullptr;     ///< count * count
    double* values = nullptr;        ///< count
    std::size_t* indices = nullptr;  ///< count

    /// Puts the indices of all rows in the order of `key`, the smallest first, ties by index.
    template <class Key>
    void sort_by(std::size_t count, Key key) const {
        for (std::size_t i = 0; i < count; ++i) indices[i] = i;
        std::sort(indices, indices + count,
                  [&](std::size_t a, std::size_t b) { return key(a) != key(b) ? key(a) < key(b) : a < b; });
    }
};

}  // namespace dunlin

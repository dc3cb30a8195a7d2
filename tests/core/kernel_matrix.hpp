// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "core/random.hpp"

#include <cstdlib>
#include <memory>
#include <type_traits>

#include <catch2/catch.hpp>

namespace dunlin::testing {

inline constexpr Activation activations[] = {Activation::identity, Activation::relu, Activation::tanh,
                                             Activation::sigmoid};
inline constexpr int gap = 16;  ///< a stride is this much longer than the columns
inline constexpr double sentinel = 12345.0;

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

/// Rows x columns on a cache line's boundary, no longer than it must be; the gap between rows holds a sentinel.
template <class S>
struct Matrix {
    Matrix(int rows_, int columns_)
        : rows(rows_),
          columns(columns_),
          stride(columns_ + gap),
          data(static_cast<S*>(std::aligned_alloc(64, sizeof(S) * static_cast<std::size_t>(rows_ * stride)))) {
        for (int k = 0; k < rows * stride; ++k) data.get()[k] = k % stride < columns ? S(0) : S(sentinel);
    }
    Matrix(const Matrix<double>& other) requires(!std::is_same_v<S, double>) : Matrix(other.rows, other.columns) {
        for (int k = 0; k < rows * stride; ++k) data.get()[k] = static_cast<S>(other.data.get()[k]);
    }
    void fill(Stream& random) {
        for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < columns; ++c) at(r, c) = static_cast<S>(random.normal() * 0.5f);
        }
    }
    S& at(int r, int c) { return data.get()[r * stride + c]; }
    Columns<S> view() const { return {data.get(), stride}; }
    Columns<const S> constant() const { return view(); }
    bool gap_untouched() const {
        for (int k = 0; k < rows * stride; ++k) {
            if (k % stride >= columns && data.get()[k] != S(sentinel)) return false;
        }
        return true;
    }

    int rows, columns, stride;
    std::unique_ptr<S, Free> data;
};

/// Calls body(kernels) for every set that this processor has.
template <class Body>
void each_set(Body body) {
    for (auto set = available_kernels(); *set != nullptr; ++set) {
        INFO("kernels " << (*set)->name);
        body(**set);
    }
}

}  // namespace dunlin::testing

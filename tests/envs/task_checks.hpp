// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/task.hpp"

#include <cmath>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin {

/// An arena of `size` bytes with memory of its own.
struct TestMemory {
    struct Line {
        alignas(Arena::alignment) std::byte bytes[Arena::alignment];
    };
    std::vector<Line> lines;
    Arena arena;

    explicit TestMemory(std::size_t size)
        : lines(size / Arena::alignment + 1), arena({lines.front().bytes, lines.size() * Arena::alignment}) {}
};

inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        difference += (a[k] - b[k]) * (a[k] - b[k]);
        size += b[k] * b[k];
    }
    return std::sqrt(difference / size);
}

/// Compares a task's gradient on the batch in `slot` with differences of its value, and its Hessian-vector product
/// with differences of its gradient, to 1e-6.
template <Task<double> T>
void check_derivatives(T& task, int slot, const std::vector<double>& w, const std::vector<double>& direction) {
    const double h = 1e-5;
    std::vector<double> g(w.size()), numeric(w.size()), product(w.size()), up = w, down = w;
    task.gradient(slot, w, g);
    for (std::size_t k = 0; k < w.size(); ++k) {
        up[k] += h;
        down[k] -= h;
        numeric[k] = (task.value(slot, up) - task.value(slot, down)) / (2 * h);
        up[k] = down[k] = w[k];
    }
    CHECK(relative_error(g, numeric) < 1e-6);

    task.hessian_vector(slot, w, direction, product);
    std::vector<double> high(w.size()), low(w.size());
    for (std::size_t k = 0; k < w.size(); ++k) {
        up[k] = w[k] + h * direction[k];
        down[k] = w[k] - h * direction[k];
    }
    task.gradient(slot, up, high);
    task.gradient(slot, down, low);
    for (std::size_t k = 0; k < w.size(); ++k) numeric[k] = (high[k] - low[k]) / (2 * h);
    CHECK(relative_error(product, numeric) < 1e-6);
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/task.hpp"

#include <cstddef>

namespace dunlin {

/// No personalisation: F(w) = f(w). PersA-FL, Algorithm 2, option A; PARS-Push with u = 0.
struct Plain {
    static constexpr std::size_t scratch(std::size_t) { return 0; }
    static constexpr int slots() { return 1; }

    /// Writes dF(w) on a fresh batch to `out`. Returns the number of task gradients taken.
    template <class S, Task<S> T>
    int gradient(T& task, ConstVector<S> w, Stream& random, Vector<S> out, Vector<S> /*scratch*/) const {
        task.draw(0, w, random);
        task.gradient(0, w, out);
        return 1;
    }
};

}  // namespace dunlin

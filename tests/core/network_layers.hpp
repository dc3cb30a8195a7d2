// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

/// Layers in short, and networks of them.
namespace dunlin::test {

inline LayerSpec dense(int outputs, Activation activation = Activation::identity) {
    return {.kind = LayerKind::dense, .activation = activation, .outputs = outputs};
}
inline LayerSpec convolution(int height, int width, int channels, Activation activation, int stride = 1,
                             int pad = 0, int groups = 1) {
    return {.kind = LayerKind::convolution,
            .activation = activation,
            .outputs = channels,
            .kernel_height = height,
            .kernel_width = width,
            .stride_height = height == 1 ? 1 : stride,
            .stride_width = stride,
            .pad_height = height == 1 ? 0 : pad,
            .pad_width = pad,
            .groups = groups};
}
inline LayerSpec pool(LayerKind kind, int side, int stride) {
    return {
        .kind = kind, .kernel_height = side, .kernel_width = side, .stride_height = stride, .stride_width = stride};
}
inline LayerSpec recurrent(LayerKind kind, int units, bool every_step, bool both_ways) {
    return {.kind = kind, .outputs = units, .every_step = every_step, .both_ways = both_ways};
}
inline LayerSpec normalise(int groups, Activation activation = Activation::identity) {
    return {.kind = LayerKind::normalise, .activation = activation, .groups = groups};
}

inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        difference += (a[k] - b[k]) * (a[k] - b[k]);
        size += b[k] * b[k];
    }
    return std::sqrt(difference / (size + 1e-12));
}

inline NetworkShape shape_of(Extent input, const std::vector<LayerSpec>& specs, bool tokens = false) {
    const auto shape = NetworkShape::make(input, tokens, specs);
    if (!shape) FAIL("layer " << shape.error().first << ": fault " << shape.error().second);
    return *shape;
}

}  // namespace dunlin::test

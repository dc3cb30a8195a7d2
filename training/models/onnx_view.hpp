// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dunlin::onnx {

/// Where a tensor's numbers lie among those of a layer: an axis is some runs of numbers that are `stride` apart in the
/// layer's own order, the first run the slowest. One axis is the batch, and has none. Reshaping and transposing move
/// runs about and copy nothing.
struct Run {
    std::int64_t size, stride;
    friend bool operator==(const Run&, const Run&) = default;
};
using Axis = std::vector<Run>;

struct View {
    int layer = -1;  ///< whose output this is; -1: what comes in
    std::vector<Axis> axes;
    std::size_t batch = 0;
    int scalings = 0;  ///< of what comes in, before any layer
    bool cut = false;  ///< to whole numbers, which only a table of rows may be asked for

    static std::int64_t size_of(const Axis& axis);
    /// Numbers of a sample.
    std::int64_t size() const;
    std::size_t rank() const { return axes.size(); }
    std::int64_t size(std::size_t axis) const { return size_of(axes[axis]); }
    /// An axis from the front, or as -1 from the end.
    std::optional<std::size_t> axis(std::int64_t number) const;

    /// A tensor whose numbers follow one another in this order of axes.
    static View plain(int layer, const std::vector<std::int64_t>& sizes, std::size_t batch);
    /// Axes (height, width, channels) of an extent, in any order: "nchw", "twnc"...; n is the batch.
    static View of(int layer, Extent extent, const char* axes);

    /// As sizes say, with 0 (as it is) and -1 (what is left); `any` stands for the batch. Nothing: the batch would not stay an
    /// axis of its own, or runs would have to be cut where they do not divide.
    std::optional<View> reshaped(const std::vector<std::int64_t>& sizes, std::int64_t any) const;
    /// Without size 1 and with runs that continue each other made one.
    static Axis simple(const Axis& axis);
    /// For each number of a sample, in the tensor's order, its place in the layer's.
    std::vector<std::int32_t> order() const;
};

}  // namespace dunlin::onnx

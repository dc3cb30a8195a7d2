// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace dunlin {

/// Row-major numbers as 32-bit ones. A column that varies by less than a thousandth of its size (Unix time,
/// pressure in Pa), which 32 bits would blur, is given as differences from its smallest number: that is its
/// `origin`, which is 0 for the others. NaN stays NaN and does not count.
std::vector<float> to_floats(std::span<const double> cells, std::size_t width, std::vector<double>& origin);

/// Zero mean and unit variance for every column, in double and in two passes over the same rows. NaN does not
/// count. A column is constant where its smallest number is its largest.
class ColumnScaling {
public:
    explicit ColumnScaling(std::size_t width) : columns_(width) {}

    void see(const float* row);      ///< first pass
    void measure(const float* row);  ///< second pass

    bool constant(std::size_t column) const { return !(columns_[column].least < columns_[column].most); }
    double mean(std::size_t column) const { return columns_[column].count > 0.0 ? columns_[column].mean() : 0.0; }
    /// What a difference from the mean is multiplied by; 0 for what is constant.
    double factor(std::size_t column) const;
    /// A number of the column on its new scale; the mean, 0, for NaN and for what is constant.
    float scaled(std::size_t column, float value) const;

private:
    struct Column {
        double least = 0.0, most = 0.0, sum = 0.0, count = 0.0, square = 0.0;
        double mean() const { return least + sum / count; }
        double range() const { return most - least; }
    };
    std::vector<Column> columns_;
};

}  // namespace dunlin

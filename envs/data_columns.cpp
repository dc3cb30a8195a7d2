// SPDX-License-Identifier: Apache-2.0
#include "envs/data_columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {

std::vector<float> to_floats(std::span<const double> cells, std::size_t width, std::vector<double>& origin) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    std::vector<double> least(width, infinity), most(width, -infinity);
    for (std::size_t at = 0; at < cells.size(); ++at) {
        if (std::isnan(cells[at])) continue;
        least[at % width] = std::min(least[at % width], cells[at]);
        most[at % width] = std::max(most[at % width], cells[at]);
    }
    origin.assign(width, 0.0);
    for (std::size_t k = 0; k < width; ++k) {
        const double size = std::max(std::abs(least[k]), std::abs(most[k]));
        if (most[k] > least[k] && most[k] - least[k] < 1e-3 * size) origin[k] = least[k];
    }
    std::vector<float> floats(cells.size());
    for (std::size_t at = 0; at < cells.size(); ++at)
        floats[at] = static_cast<float>(cells[at] - origin[at % width]);
    return floats;
}

void ColumnScaling::see(const float* row) {
    for (Column& column : columns_) {
        const double value = *row++;
        if (std::isnan(value)) continue;
        if (column.count == 0.0) column.least = column.most = value;
        if (value < column.least) {  // the sum is of differences from the least
            column.sum += column.count * (column.least - value);
            column.least = value;
        }
        column.most = std::max(column.most, value);
        column.sum += value - column.least;
        column.count += 1.0;
    }
}

void ColumnScaling::measure(const float* row) {
    for (Column& column : columns_) {
        const double value = *row++;
        if (std::isnan(value) || column.range() == 0.0) continue;
        const double part = (value - column.mean()) / column.range();  // within [-1, 1]: no square underflows
        column.square += part * part;
    }
}

double ColumnScaling::factor(std::size_t k) const {
    const Column& column = columns_[k];
    return constant(k) ? 0.0 : 1.0 / (column.range() * std::sqrt(column.square / column.count));
}

float ColumnScaling::scaled(std::size_t k, float value) const {
    const Column& column = columns_[k];
    if (std::isnan(value) || constant(k)) return 0.0f;
    const double part = (static_cast<double>(value) - column.mean()) / column.range();
    constexpr double most = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(part / std::sqrt(column.square / column.count), -most, most));
}

}  // namespace dunlin

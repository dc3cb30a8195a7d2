// SPDX-License-Identifier: Apache-2.0
#include "envs/data_table.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {

void DataTable::standardise(std::span<const std::uint32_t> fit) {
    const auto width = static_cast<std::size_t>(features);
    struct Scaling {
        std::size_t column;
        double mean, scale;
    };
    std::vector<Scaling> kept;
    for (std::size_t f = 0; f < width; ++f) {
        double sum = 0.0, square = 0.0, count = 0.0;
        for (std::uint32_t row : fit) {
            const double value = values[row * width + f];
            if (std::isnan(value)) continue;
            sum += value;
            square += value * value;
            count += 1.0;
        }
        const double mean = count > 0.0 ? sum / count : 0.0;
        const double variance = count > 0.0 ? square / count - mean * mean : 0.0;
        if (variance > 1e-9 * mean * mean && variance > 1e-12) kept.push_back({f, mean, 1.0 / std::sqrt(variance)});
    }
    std::vector<float> scaled;
    scaled.reserve(rows() * kept.size());
    for (std::size_t row = 0; row < rows(); ++row) {
        for (const Scaling& s : kept) {
            const double value = values[row * width + s.column];
            scaled.push_back(std::isnan(value) ? 0.0f : static_cast<float>((value - s.mean) * s.scale));
        }
    }
    values = std::move(scaled);
    features = static_cast<int>(kept.size());
}

}  // namespace dunlin

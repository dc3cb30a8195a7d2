// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <nlohmann/json.hpp>

namespace dunlin::app {

/// JSON has no NaN and no infinity: what is not a number is null.
inline nlohmann::ordered_json number_or_null(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

}  // namespace dunlin::app

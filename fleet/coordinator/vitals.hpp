// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// What a node says of its machine, by the names that people read; without what it does not say, or what cannot be.
inline std::vector<std::pair<std::string_view, double>> vitals_of(const Vitals& vitals) {
    std::vector<std::pair<std::string_view, double>> known;
    const auto say = [&known](std::string_view name, float value, float least, float most) {
        // A member can say anything. What it says is shown in tenths, so that what wavers is not news.
        if (std::isfinite(value) && value >= least && value <= most)
            known.emplace_back(name, std::round(static_cast<double>(value) * 10) / 10);
    };
    say("temperature", vitals.temperature, -273.15f, 1000);
    say("load", vitals.load, 0, 1e6f);
    say("battery", vitals.battery, 0, 100);
    say("disk", vitals.disk, 0, 100);
    return known;
}

}  // namespace dunlin

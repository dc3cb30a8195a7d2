// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// How a node's machine is, by its last report about no job; what it does not say, or what cannot be, is not known.
class MachineVitals {
public:
    /// Names that are known, what they are in, and what can be.
    struct Kind {
        std::string_view name, help;
        double least, most;
    };
    static constexpr std::array<Kind, 4> kinds{{
        {"temperature", "Of a node's hottest sensor, in degrees Celsius.", -273.15, 1000},
        {"load", "Of a node's last minute, a processor.", 0, 1e6},
        {"battery", "Per cent that a node's battery has left.", 0, 100},
        {"disk", "Per cent that are free where a node's state lies.", 0, 100},
    }};

    void take(std::span<const Metric> metrics) {
        values_.fill(unknown);
        for (const Metric& metric : metrics) {
            for (std::size_t k = 0; k < kinds.size(); ++k) {
                const bool can_be = metric.value >= kinds[k].least && metric.value <= kinds[k].most;
                // In tenths, so that what wavers is not news.
                if (metric.name == kinds[k].name && can_be) values_[k] = std::round(metric.value * 10) / 10;
            }
        }
    }
    /// In the order of `kinds`; not a number where it is not known.
    const std::array<double, kinds.size()>& values() const { return values_; }
    /// Those that are known, by name.
    std::vector<std::pair<std::string_view, double>> known() const {
        std::vector<std::pair<std::string_view, double>> all;
        for (std::size_t k = 0; k < kinds.size(); ++k) {
            if (!std::isnan(values_[k])) all.emplace_back(kinds[k].name, values_[k]);
        }
        return all;
    }

private:
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    std::array<double, kinds.size()> values_{unknown, unknown, unknown, unknown};
};

}  // namespace dunlin

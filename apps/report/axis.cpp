// SPDX-License-Identifier: Apache-2.0
#include "apps/report/axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

#include <fmt/format.h>

namespace dunlin::report {
namespace {

constexpr double tiny = 1e-290;  // below it a difference cannot be cut into ticks
constexpr double huge = 1e290;

std::string superscript(int number) {
    constexpr std::array<std::string_view, 10> digits{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string out = number < 0 ? "⁻" : "";
    for (const char c : fmt::format("{}", std::abs(number))) out += digits[static_cast<std::size_t>(c - '0')];
    return out;
}

std::string with_minus_sign(std::string number) {
    if (number.starts_with('-')) number.replace(0, 1, "−");
    return number;
}

std::string power_of_ten(double value, int mantissa_decimals) {
    int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
    double mantissa = value / std::pow(10.0, exponent);
    if (std::abs(mantissa) > 9.9999999) mantissa /= 10.0, ++exponent;
    if (std::abs(mantissa) < 0.9999999) mantissa *= 10.0, --exponent;
    const std::string shown = with_minus_sign(fmt::format("{:.{}f}", mantissa, mantissa_decimals));
    if (shown == "1") return "10" + superscript(exponent);
    return shown + "×10" + superscript(exponent);
}

/// The decimals that tell numbers apart which lie `step` from each other.
int decimals_for(double step) {
    for (int decimals = 0; decimals < 12; ++decimals) {
        const double scaled = step * std::pow(10.0, decimals);
        if (scaled > 0.9 && std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) return decimals;
    }
    return 12;
}

struct Unit {
    double size;
    std::string_view letter;
};

Unit unit_for(double largest) {
    if (largest < 1e4) return {1.0, ""};
    if (largest < 1e6) return {1e3, "k"};
    if (largest < 1e9) return {1e6, "M"};
    if (largest < 1e12) return {1e9, "G"};
    return {1e12, "T"};
}

bool is_plain(double largest) {
    return largest >= 1e-3 && largest < 1e15;
}

/// Room around data that would otherwise have none: a constant, or numbers too close to tell apart.
void widen(double& low, double& high) {
    const double size = std::max(std::abs(low), std::abs(high));
    if (high - low > 1e-11 * size && high - low > tiny) return;
    const double room = size < tiny ? 1.0 : 0.1 * size;
    low -= room;
    high += room;
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
    const double raw = (high - low) / std::max(count, 1);
    const double magnitude = std::pow(10.0, std::floor(std::log10(raw)));
    const double share = raw / magnitude;
    const double step = magnitude * (share < 1.4142 ? 1.0 : share < 3.1623 ? 2.0 : share < 7.0711 ? 5.0 : 10.0);
    // Rounding noise must not add a whole tick.
    const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
    std::vector<double> ticks;
    for (double k = first; k <= last; k += 1.0) {
        // Below one the step's inverse is whole, and dividing by it gives 0.3 where 3 * 0.1 gives its neighbour.
        ticks.push_back(step < 1.0 ? k / std::round(1.0 / step) : k * step);
    }
    return ticks;
}

std::vector<double> logarithmic_ticks(double low, double high, int count) {
    const auto inside = [&](std::initializer_list<double> factors, int stride) {
        std::vector<double> ticks;
        const int first = static_cast<int>(std::floor(std::log10(low))),
                  last = static_cast<int>(std::log10(high)) + 1;
        for (int k = first; k <= last; ++k) {
            if (k % stride != 0) continue;
            for (const double factor : factors) {
                const double tick = factor * std::pow(10.0, k);
                if (tick >= low * (1.0 - 1e-9) && tick <= high * (1.0 + 1e-9)) ticks.push_back(tick);
            }
        }
        return ticks;
    };
    const double decades = std::log10(high / low);
    std::vector<double> ticks = inside({1.0}, 1 + static_cast<int>(decades / std::max(count, 1)));
    if (ticks.size() < 3) ticks = inside({1.0, 2.0, 5.0}, 1);
    if (ticks.size() < 3) {
        ticks = nice_ticks(low, high, count);
        std::erase_if(ticks, [&](double tick) { return tick < low || tick > high; });
    }
    return ticks;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool logarithmic) {
    std::vector<std::string> labels;
    if (ticks.empty()) return labels;
    double largest = 0.0, smallest = std::numeric_limits<double>::infinity();
    for (const double tick : ticks) {
        largest = std::max(largest, std::abs(tick));
        if (tick != 0.0) smallest = std::min(smallest, std::abs(tick));
    }
    const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : largest;
    const Unit unit = unit_for(largest);
    const int decimals = decimals_for(step / unit.size);
    for (const double tick : ticks) {
        if (tick == 0.0) {
            labels.emplace_back("0");
        } else if (logarithmic && (smallest < 0.9e-3 || largest > 1.1e4)) {
            labels.push_back(power_of_ten(tick, 0));
        } else if (logarithmic) {
            labels.push_back(fmt::format("{:.4g}", tick));
        } else if (!is_plain(largest)) {
            const double top = std::pow(10.0, std::floor(std::log10(std::abs(tick))));
            labels.push_back(power_of_ten(tick, std::min(decimals_for(step / top), 3)));
        } else {
            labels.push_back(with_minus_sign(fmt::format("{:.{}f}{}", tick / unit.size, decimals, unit.letter)));
        }
    }
    return labels;
}

std::string short_number(double value, int digits) {
    if (!std::isfinite(value)) return std::isnan(value) ? "–" : value > 0 ? "∞" : "−∞";
    if (value == 0.0) return "0";
    const double size = std::abs(value);
    if (!is_plain(size)) return power_of_ten(value, std::max(digits - 1, 0));
    const Unit unit = unit_for(size);
    const double scaled = value / unit.size;
    const int whole = std::max(0, 1 + static_cast<int>(std::floor(std::log10(std::abs(scaled)))));
    return with_minus_sign(fmt::format("{:.{}f}{}", scaled, std::max(0, digits - whole), unit.letter));
}

Focus focus(const std::vector<std::vector<double>>& groups) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    struct Extent {
        double low, high;
    };
    const auto quantile = [](const std::vector<double>& sorted, double share) {
        return sorted[static_cast<std::size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)))];
    };
    std::vector<Extent> extents;
    std::vector<double> centres, reaches;
    Focus all{infinity, -infinity};
    for (const std::vector<double>& group : groups) {
        std::vector<double> sorted;
        std::ranges::copy_if(group, std::back_inserter(sorted), [](double value) { return std::isfinite(value); });
        if (sorted.empty()) continue;
        std::ranges::sort(sorted);
        const double tail = sorted.size() >= 20 ? 0.05 : 0.0;
        extents.push_back({quantile(sorted, tail), quantile(sorted, 1.0 - tail)});
        centres.push_back(quantile(sorted, 0.5));
        all.low = std::min(all.low, sorted.front());
        all.high = std::max(all.high, sorted.back());
    }
    if (extents.empty()) return all;
    std::ranges::sort(centres);
    const double middle = quantile(centres, 0.5);
    for (const Extent& extent : extents)
        reaches.push_back(std::max(std::abs(extent.low - middle), std::abs(extent.high - middle)));
    std::ranges::sort(reaches);
    const double usual = quantile(reaches, 0.5);

    Focus near{infinity, -infinity, true}, cores = near;
    for (const Extent& extent : extents) {
        cores.low = std::min(cores.low, extent.low);
        cores.high = std::max(cores.high, extent.high);
        if (extents.size() >= 3 && std::max(extent.low - middle, middle - extent.high) > 10.0 * usual) continue;
        near.low = std::min(near.low, extent.low);
        near.high = std::max(near.high, extent.high);
    }
    // Whole curves are cut off only where they leave nothing of the others to see; single numbers sooner.
    const Focus& kept = cores.high - cores.low > 50.0 * (near.high - near.low) ? near : cores;
    const double span = kept.high - kept.low;
    if (!(span > 0.0) || !(all.high - all.low > 10.0 * span)) return all;
    return {std::max(all.low, kept.low - 0.15 * span), std::min(all.high, kept.high + 0.15 * span), true};
}

double Scale::share(double value) const {
    if (!logarithmic) return (value - low) / (high - low);
    if (!(value > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    return std::log(value / low) / std::log(high / low);
}

Scale make_scale(const Axis& axis, double low, double high, int tick_count, bool cover) {
    Scale scale;
    scale.logarithmic = axis.logarithmic;
    if (!(low <= high) || !std::isfinite(low) || !std::isfinite(high)) {  // no data
        low = axis.logarithmic ? 0.1 : 0.0;
        high = 1.0;
    }
    low = std::clamp(axis.low.value_or(low), -huge, huge);
    high = std::clamp(axis.high.value_or(high), -huge, huge);
    if (low > high) std::swap(low, high);
    if (axis.logarithmic) {
        high = std::max(high, tiny);
        low = low > 0.0 ? std::max(low, tiny) : high / 10.0;
        if (high < 1.01 * low) low /= 2.0, high *= 2.0;
        if (cover && !axis.low) low /= std::pow(high / low, 0.03);
        if (cover && !axis.high) high *= std::pow(high / low, 0.03);
        scale.ticks = logarithmic_ticks(low, high, tick_count);
    } else {
        widen(low, high);
        scale.ticks = nice_ticks(low, high, tick_count);
        // To the next tick, unless that would leave much of the plot empty.
        const double near = 0.5 * (scale.ticks[1] - scale.ticks[0]), room = 0.06 * (high - low);
        if (cover && !axis.low) low = low - scale.ticks.front() <= near ? scale.ticks.front() : low - room;
        if (cover && !axis.high) high = scale.ticks.back() - high <= near ? scale.ticks.back() : high + room;
        const double slack = 1e-9 * (high - low);
        std::erase_if(scale.ticks, [&](double tick) { return tick < low - slack || tick > high + slack; });
        if (axis.whole) std::erase_if(scale.ticks, [](double tick) { return tick != std::round(tick); });
    }
    scale.low = low;
    scale.high = high;
    scale.labels = tick_labels(scale.ticks, axis.logarithmic);
    return scale;
}

}  // namespace dunlin::report

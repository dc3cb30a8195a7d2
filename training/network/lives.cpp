// SPDX-License-Identifier: Apache-2.0
#include "training/network/lives.hpp"

#include "core/math.hpp"

#include <algorithm>
#include <cassert>

namespace dunlin {

using simulation::Time;
using simulation::time_limit;

Result<void> LifeSettings::check() const {
    constexpr Time longest = Time{1} << 53;
    if (!(pace_sigma >= 0.0f && pace_sigma <= 10.0f)) return fail(Code::bad_setting, 0);
    const Time means[] = {awake_mean, asleep_mean, up_mean, down_mean};
    for (std::int64_t k = 0; k < 4; ++k) {
        if (means[k] < 0 || means[k] > longest) return fail(Code::bad_setting, 1 + k);
    }
    for (const float pace : paces) {
        if (!(pace > 0.0f && pace <= 1e15f)) return fail(Code::bad_setting, 5);
    }
    return {};
}

Windows::Windows(Time gap_mean, Time length_mean, Stream random)
    : gap_mean_(static_cast<double>(gap_mean)), length_mean_(static_cast<double>(length_mean)), random_(random) {
    if (gap_mean > 0) current_ = draw(0);
}

Windows::Window Windows::draw(Time after) {
    const auto exponential = [this](double mean) {
        const double ticks = -static_cast<double>(portable::log(1.0f - random_.uniform())) * mean + 0.5;
        return std::max(Time{1}, static_cast<Time>(std::min(ticks, 0x1p60)));
    };
    const Time from = after + exponential(gap_mean_);
    const Time until = from + exponential(length_mean_);
    return until < time_limit ? Window{from, until} : Window{};
}

Windows::Window Windows::at(Time time) {
    while (current_.until <= time) current_ = draw(current_.until);
    return current_;
}

Life::Life(const LifeSettings& settings, std::uint64_t seed, std::uint32_t node) {
    const Stream own(seed, node, Purpose::lives);
    Stream first = own.lane(0);
    if (settings.pace_sigma > 0.0f) pace = portable::exp(settings.pace_sigma * first.normal());
    if (!settings.paces.empty()) {
        assert(node < settings.paces.size());
        pace *= settings.paces[node];
    }
    sleeps = Windows(settings.awake_mean, settings.asleep_mean, own.lane(1));
    crashes = Windows(settings.up_mean, settings.down_mean, own.lane(2));
    choices = own.lane(3);
}

Time Life::duration(Time median) const {
    const double ticks = static_cast<double>(median) * static_cast<double>(pace) + 0.5;
    return std::max(Time{1}, static_cast<Time>(std::min(ticks, 0x1p53)));
}

Time Life::awake_from(Time time) {
    const Windows::Window sleep = sleeps.at(time);
    return sleep.holds(time) ? sleep.until : time;
}

}  // namespace dunlin

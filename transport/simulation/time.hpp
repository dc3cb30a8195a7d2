// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dunlin::simulation {

/// Simulated time: an integer number of ticks since the start. The simulator only adds and compares them, so one
/// engine serves two readings: *rounds*, where a tick is a round of PARS-Push and delays are 1 ... Gamma_d, and
/// *seconds*, where a tick is a nanosecond.
using Time = std::int64_t;

/// No event may lie later: far enough (146 years of nanoseconds) that sums of two times cannot overflow.
inline constexpr Time time_limit = Time{1} << 62;

inline constexpr Time ticks_per_second = 1'000'000'000;

/// To the nearest tick; negative and NaN become 0, and what is beyond `time_limit` becomes that.
constexpr Time seconds(double value) {
    const double ticks = value * static_cast<double>(ticks_per_second) + 0.5;
    if (!(ticks >= 1.0)) return 0;
    return ticks < static_cast<double>(time_limit) ? static_cast<Time>(ticks) : time_limit;
}

constexpr double to_seconds(Time time) {
    return static_cast<double>(time) / static_cast<double>(ticks_per_second);
}

}  // namespace dunlin::simulation

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/math.hpp"

#include <algorithm>
#include <cstdint>

namespace dunlin {

/// theta(r), the step size that belongs to one tick: constant, or scale / (r + offset).
struct StepSchedule {
    double scale = 0.01;
    double offset = 0.0;           ///< 0: constant; 50 to 100 keeps the first steps of a decaying schedule small
    std::int64_t longest_gap = 0;  ///< Gamma_w: most ticks that one step makes up for; 0: no cap

    /// Errors: bad_setting for what is negative or not finite.
    Result<void> check() const {
        if (!(scale >= 0.0 && scale < 0x1p62)) return fail(Code::bad_setting, 0);
        if (!(offset >= 0.0 && offset < 0x1p62)) return fail(Code::bad_setting, 1);
        if (longest_gap < 0) return fail(Code::bad_setting, 2);
        return {};
    }

    constexpr double at(std::int64_t tick) const {
        return offset > 0.0 ? scale / (static_cast<double>(tick) + offset) : scale;
    }

    /// The sum of theta(r) for r = first..last. Beyond a thousand terms 1/x is integrated instead of summed, by the
    /// midpoint rule, which errs by less than 1e-7 of the sum.
    double sum(std::int64_t first, std::int64_t last) const {
        if (last < first) return 0.0;
        if (!(offset > 0.0)) return scale * static_cast<double>(last - first + 1);
        const std::int64_t summed = last - first < terms ? last : first + terms - 1;
        double total = 0.0;
        for (std::int64_t r = first; r <= summed; ++r) total += at(r);
        if (summed == last) return total;
        return total + scale * log_ratio(static_cast<double>(last) + 0.5 + offset,
                                         static_cast<double>(summed) + 0.5 + offset);
    }

    /// eta(t), the step size of a wake-up at `tick` after one at `last`, -1 for none.
    float after(std::int64_t last, std::int64_t tick) const {
        const std::int64_t first = longest_gap > 0 ? std::max(last + 1, tick - longest_gap + 1) : last + 1;
        return static_cast<float>(sum(first, tick));
    }

private:
    static constexpr std::int64_t terms = 1000;

    /// log(a / b) for a > b: by a series where the quotient is near one and a float could not tell it from one.
    static double log_ratio(double a, double b) {
        const double u = (a - b) / (a + b), s = u * u;
        if (u > 0.25) return static_cast<double>(portable::log(static_cast<float>(a / b)));
        return 2.0 * u * (1.0 + s * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s / 9))));
    }
};

}  // namespace dunlin

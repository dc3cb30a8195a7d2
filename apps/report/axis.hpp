// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace dunlin::report {

/// What a caller says about an axis. Without limits the data decide.
struct Axis {
    std::string title;  ///< with the unit: "time (s)"
    bool logarithmic = false;
    std::optional<double> low{};
    std::optional<double> high{};
    bool whole = false;  ///< ticks at whole numbers alone, for what is counted
};

/// Equidistant round numbers (1, 2 or 5 times a power of ten apart), about `count` of them, the first at or below
/// `low` and the last at or above `high`. Needs finite low < high with a finite difference.
std::vector<double> nice_ticks(double low, double high, int count);

/// Powers of ten in [low, high], thinned to about `count`; where they are too few, also 2 and 5 times a power of
/// ten, and at last equidistant numbers. Needs 0 < low < high.
std::vector<double> logarithmic_ticks(double low, double high, int count);

/// A label for each tick: plain numbers, from 10,000 on with the SI letters k, M, G, T, beyond that and below
/// one thousandth in powers of ten.
std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool logarithmic);

/// `value` with `digits` digits (below one, decimals), as a person would write it beside a bar or in a table.
std::string short_number(double value, int digits = 3);

/// What a plot of several groups of numbers (curves, bars) shows on a linear axis.
struct Focus {
    double low = 0.0, high = 0.0;  ///< low > high: no finite numbers
    bool cut = false;              ///< some numbers lie outside
};

/// All finite numbers of all groups, unless a few would flatten the rest: then a window around the rest, and whoever
/// draws says what lies beyond it. "A few" is the most extreme twentieth of a group of at least twenty numbers, where
/// the rest becomes ten times larger without it; and of at least three groups one that lies ten times further out than
/// groups usually do, where the rest becomes fifty times larger.
Focus focus(const std::vector<std::vector<double>>& groups);

/// An axis made ready: data limits, ticks inside them, labels.
struct Scale {
    double low = 0.0;
    double high = 1.0;
    bool logarithmic = false;
    std::vector<double> ticks{};
    std::vector<std::string> labels{};

    /// 0 at `low`, 1 at `high`; NaN for what has no place on a logarithmic axis.
    double share(double value) const;
};

/// The scale for data in [low, high] (in any order, equal, or not finite when there are none). `cover` widens it
/// towards the next ticks.
Scale make_scale(const Axis& axis, double low, double high, int tick_count, bool cover);

}  // namespace dunlin::report

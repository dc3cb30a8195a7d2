// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace dunlin {

/// When models are judged: `evaluations` times on the way and at the beginning; or after the first round, every so
/// many after it, and after the last; or after rounds that are named.
struct EvaluationSchedule {
    int evaluations = 1;
    double length = 0;
    int next = 0;  ///< the row to come
    std::int64_t every = 0;
    std::vector<std::int64_t> moments = {};

    static EvaluationSchedule of_rounds(std::int64_t rounds, std::int64_t every,
                                        std::vector<std::int64_t> moments) {
        const std::int64_t last = moments.empty() ? (rounds - 1 + every - 1) / every : std::ssize(moments) - 1;
        return {.evaluations = static_cast<int>(last),
                .length = static_cast<double>(rounds),
                .every = every,
                .moments = std::move(moments)};
    }

    double share(int row) const {
        if (!moments.empty()) return static_cast<double>(moments[static_cast<std::size_t>(row)]) / length;
        if (every == 0) return static_cast<double>(row) / evaluations;
        return std::min(static_cast<double>(row) * static_cast<double>(every) + 1.0, length) / length;
    }
    template <class Archive>
    void fields(Archive& archive) {
        archive(evaluations, length, next);
    }

    /// The row to come of a run that has come so far (a share of this length) by the schedule `before`: the same one,
    /// or where that was another the first that lies ahead of both its last row and what it lived through. `last_round`
    /// is that of its last row, -1 where there is none; of a clock's it is not looked at.
    int after(const EvaluationSchedule& before, double reached, std::int64_t last_round) const {
        constexpr double rounding = 1e-9;
        int row = 0;
        if (every > 0) {
            while (row <= evaluations && share(row) <= reached * (1 + rounding)) ++row;
            return row;
        }
        if (before.evaluations == evaluations && before.length == length) return before.next;
        const double last = !moments.empty()  ? static_cast<double>(last_round + 1) / length
                            : before.next > 0 ? before.share(before.next - 1) * before.length / length
                                              : -1.0;
        while (row <= evaluations && (share(row) <= last * (1 + rounding) || share(row) < reached * (1 - rounding)))
            ++row;
        return row;
    }
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin {

/// When models are judged: `evaluations` times on the way and at the beginning.
struct EvaluationSchedule {
    int evaluations = 1;
    double length = 0;
    int next = 0;  ///< the row to come

    double share(int row) const { return static_cast<double>(row) / evaluations; }
    template <class Archive>
    void fields(Archive& archive) {
        archive(evaluations, length, next);
    }

    /// The row to come of a run that has come so far (a share of this length) by the schedule `before`: the same one,
    /// or where that was another the first that lies ahead of both its last row and what it lived through.
    int after(const EvaluationSchedule& before, double reached) const {
        if (before.evaluations == evaluations && before.length == length) return before.next;
        const double last = before.next > 0 ? before.share(before.next - 1) * before.length / length : -1.0;
        constexpr double rounding = 1e-9;
        int row = 0;
        while (row <= evaluations && (share(row) <= last * (1 + rounding) || share(row) < reached * (1 - rounding)))
            ++row;
        return row;
    }
};

}  // namespace dunlin

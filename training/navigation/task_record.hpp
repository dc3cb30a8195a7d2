// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <limits>
#include <string>
#include <vector>

namespace dunlin {

/// How well a policy does on a task. NaN where a value does not exist: there is no exact planning for the point
/// world.
struct TaskOutcome {
    static constexpr double none = std::numeric_limits<double>::quiet_NaN();
    double expected_return =
        none;  ///< grid: exact by dynamic programming, discounted; point: mean over D trajectories
    double optimal_return = none;
    double success = none;         ///< probability of reaching the goal within the horizon
    double sampled_return = none;  ///< mean of 10 trajectories, as the paper plots
    double ratio() const { return expected_return / optimal_return; }
};

/// One trajectory, for pictures and export: positions are (row, column) or (x, y), one more than the actions.
struct RecordedTrajectory {
    std::vector<std::array<double, 2>> positions;
    std::vector<std::array<float, 2>> actions;  ///< grid: the number of the action, and 0
    std::vector<float> rewards;
    bool success = false;
};

struct TaskRecord {
    std::string name;
    TaskOutcome outcome;
    int rows = 0, columns = 0;  ///< of a grid
    std::vector<bool> walls;
    std::array<double, 2> goal{};
    std::vector<std::array<double, 3>> discs;  ///< obstacles of the plane: x, y, radius
    std::vector<RecordedTrajectory> trajectories;
};

}  // namespace dunlin

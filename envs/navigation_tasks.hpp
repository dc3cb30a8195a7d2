// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/random.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/map_file.hpp"

#include <optional>
#include <span>
#include <vector>

namespace dunlin {

/// A grid task with its memory, for hosts. `environment()` is a view into it: it outlives moves of the task, and
/// dies with it.
class GridTask {
public:
    /// Errors: GridNavigation::make's.
    static Result<GridTask> make(StoredMap map, const GridTaskSettings& settings);

    GridTask(GridTask&&) = default;
    GridTask& operator=(GridTask&&) = default;

    const StoredMap& map() const { return map_; }  ///< with the task's own walls
    const GridTaskSettings& settings() const { return settings_; }
    const GridNavigation& environment() const { return environment_; }

private:
    struct alignas(Arena::alignment) Line {
        std::byte bytes[Arena::alignment];
    };
    GridTask() = default;

    StoredMap map_;
    GridTaskSettings settings_;
    std::vector<Line> memory_;
    GridNavigation environment_;
};

/// Whether one of `tasks` is the same as `task`: map and walls, goal, start, moves, wind, slip, reward, horizon and
/// discount.
bool contains(std::span<const GridTask> tasks, const GridTask& task);
/// How many different ones there are.
int distinct_tasks(std::span<const GridTask> tasks);

/// The map with more walls. Errors: map_size, wall_outside, map_no_free_cell.
Result<StoredMap> add_walls(StoredMap map, std::span<const GridCell> walls);

/// A goal, uniform over the free cells with a free neighbour; with a fixed start, over those that it can reach.
/// `taken` are avoided while others are left. Errors: map_size, start_in_wall, map_no_free_cell (no cell fits).
Result<GridCell> draw_goal(const GridMap& map, const std::optional<GridCell>& start,
                           std::span<const GridCell> taken, Stream& random);

/// The three tasks of the navigation experiment, on any map of N x M cells; start, reward, horizon, discount and
/// slip are those of `common`:
///
///  1. goal (N-1, 0); nothing else;
///  2. goal (0, M-1); left and right exchanged; column M/2 is a wall but for its first and last cell. Where cells
///     of that wall would cut a free cell off from the goal (or are the start), they stay free;
///  3. goal (N/2, M/2 - 1); actions rotated by a quarter turn (up does right, right down, down left, left up); wind
///     of 10 % towards the right.
///
/// A goal that does not fit the map (outside, in a wall, cut off, or the start) is drawn anew, unlike the others
/// while cells are left; nothing is drawn otherwise. Errors: GridNavigation::make's, for the settings and for maps
/// on which no goal fits.
Result<std::vector<GridTask>> three_tasks(const StoredMap& map, const GridTaskSettings& common, Stream& random);

/// Random tasks on one map.
struct GridTaskDistribution {
    GridTaskSettings common;       ///< of every task; its goal is not used
    bool permute_actions = false;  ///< each task has a uniformly drawn permutation instead of `common.moves`
    float wind_limit = 0.0f;       ///< above 0: wind uniform in [0, limit) from a uniform direction of four
    float slip_limit = 0.0f;       ///< above 0: slip uniform in [0, limit)
};

struct GridTaskSplit {
    std::vector<GridTask> training;
    std::vector<GridTask> held_out;
};

/// At most this many tasks are drawn at once.
inline constexpr int grid_task_limit = 100'000;

/// Draws tasks with goals as `draw_goal` does. As long as the map has a goal for each, all goals differ. If not,
/// its goals are divided among training and held-out tasks in proportion and repeat within each, so that no
/// held-out goal is a training goal; only a map with a single goal shares it. No two held-out tasks are the same,
/// and none is a training task: where moves, wind and slip cannot tell them apart, there are fewer than `held_out`.
/// Training tasks may repeat (`distinct_tasks`). Errors: out_of_range (counts negative
/// or above the limit in total; limits of wind and slip not in [0, 1]), map_no_free_cell (no cell fits) and
/// GridNavigation::make's.
Result<GridTaskSplit> sample_tasks(const StoredMap& map, const GridTaskDistribution& distribution, int training,
                                   int held_out, Stream& random);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#include "envs/navigation_tasks.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace dunlin {
namespace {

constexpr std::array<std::uint8_t, diagonal_move_count> mirrored = {0, 1, 3, 2, 4, 6, 5, 8, 7};
constexpr std::array<std::uint8_t, diagonal_move_count> rotated = {3, 2, 0, 1, 4, 6, 8, 5, 7};

/// The cells that can be a goal, in the order of their numbers.
Result<std::vector<GridCell>> possible_goals(const GridMap& map, const std::optional<GridCell>& start) {
    if (!map.valid()) return fail(Code::map_size, map.rows(), map.columns());
    std::vector<GridCell> goals;
    if (start) {
        if (!map.free(*start)) return fail(Code::start_in_wall, start->row, start->column);
        // Moves lead both ways: what reaches the start is what the start reaches.
        GridTaskSettings towards_start;
        towards_start.goal = start;
        auto task = GridTask::make({std::string(map.text()), map.rows(), map.columns()}, towards_start);
        if (!task) return tl::unexpected(task.error());
        for (const int cell : task->environment().starts()) goals.push_back(map.cell(cell));
        std::sort(goals.begin(), goals.end(), [&](GridCell a, GridCell b) { return map.index(a) < map.index(b); });
    } else {
        for (int index = 0; index < map.cells(); ++index) {
            const GridCell at = map.cell(index);
            const bool neighbour =
                map.free(GridCell{at.row - 1, at.column}) || map.free(GridCell{at.row + 1, at.column}) ||
                map.free(GridCell{at.row, at.column - 1}) || map.free(GridCell{at.row, at.column + 1});
            if (map.free(at) && neighbour) goals.push_back(at);
        }
    }
    if (goals.empty()) return fail(Code::map_no_free_cell);
    return goals;
}

template <class Items>
void shuffle(Items&& items, Stream& random) {
    for (std::size_t left = items.size(); left > 1; --left) {
        std::swap(items[left - 1], items[random.below(static_cast<std::uint32_t>(left))]);
    }
}

bool is_about_the_goal(Code code) {
    return code == Code::goal_outside || code == Code::goal_in_wall || code == Code::goal_unreachable ||
           code == Code::start_is_goal;
}

/// Whether all free neighbours of a cell reach each other without it. `seen` holds a number a cell, none of them
/// `mark`. Looks no further than the last of them, so that a short way round is found quickly.
bool bypassed(const GridMap& map, GridCell cell, std::vector<int>& seen, int mark) {
    const auto around = [](GridCell at) {
        return std::array<GridCell, 4>{GridCell{at.row - 1, at.column}, GridCell{at.row + 1, at.column},
                                       GridCell{at.row, at.column - 1}, GridCell{at.row, at.column + 1}};
    };
    std::vector<int> wanted;
    for (const GridCell at : around(cell)) {
        if (map.free(at)) wanted.push_back(map.index(at));
    }
    if (wanted.size() < 2) return true;
    std::vector<int> queue{wanted.front()};
    seen[static_cast<std::size_t>(queue.front())] = seen[static_cast<std::size_t>(map.index(cell))] = mark;
    std::size_t missing = wanted.size() - 1;
    for (std::size_t done = 0; done < queue.size(); ++done) {
        for (const GridCell at : around(map.cell(queue[done]))) {
            if (!map.free(at)) continue;
            const int index = map.index(at);
            if (std::exchange(seen[static_cast<std::size_t>(index)], mark) == mark) continue;
            if (std::find(wanted.begin(), wanted.end(), index) != wanted.end() && --missing == 0) return true;
            queue.push_back(index);
        }
    }
    return false;
}

/// Walls in the middle column, none of which cuts a cell off.
Result<StoredMap> add_wall_column(StoredMap map, const GridTaskSettings& settings) {
    GridTaskSettings from_anywhere = settings;
    from_anywhere.start.reset();
    const auto task = GridTask::make(map, from_anywhere);
    if (!task) return tl::unexpected(task.error());
    std::size_t left = task->environment().starts().size();
    std::vector<int> seen(map.text.size(), -1);
    for (int row = 1; row + 1 < map.rows; ++row) {
        const GridCell at{row, map.columns / 2};
        const GridMap view = map;
        if (!view.free(at) || at == settings.goal || at == settings.start) continue;
        if (left < 2 || !task->environment().connected(view.index(at)) || !bypassed(view, at, seen, row)) continue;
        map.text[static_cast<std::size_t>(view.index(at))] = '#';
        --left;
    }
    return map;
}

/// The goals of training tasks, then of held-out ones.
std::vector<GridCell> divide_goals(std::vector<GridCell> goals, int training, int held_out, Stream& random) {
    shuffle(goals, random);
    const auto wanted = static_cast<std::size_t>(training) + static_cast<std::size_t>(held_out);
    if (wanted <= goals.size() || training == 0 || held_out == 0 || goals.size() == 1) {
        std::vector<GridCell> given(wanted);
        for (std::size_t k = 0; k < wanted; ++k) given[k] = goals[k % goals.size()];
        return given;
    }
    const double share = static_cast<double>(goals.size()) * training / static_cast<double>(wanted);
    const std::size_t own =
        std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(share)), 1, goals.size() - 1);
    std::vector<GridCell> given;
    for (std::size_t k = 0; k < static_cast<std::size_t>(training); ++k) given.push_back(goals[k % own]);
    for (std::size_t k = 0; k < static_cast<std::size_t>(held_out); ++k) {
        given.push_back(goals[own + k % (goals.size() - own)]);
    }
    return given;
}

GridTaskSettings draw_settings(const GridTaskDistribution& distribution, GridCell goal, Stream& random) {
    GridTaskSettings settings = distribution.common;
    settings.goal = goal;
    if (distribution.permute_actions) {
        settings.moves = GridTaskSettings{}.moves;
        shuffle(std::span(settings.moves).first(static_cast<std::size_t>(settings.action_count())), random);
    }
    if (distribution.wind_limit > 0.0f) {
        settings.wind = random.uniform() * distribution.wind_limit;
        settings.wind_direction = static_cast<Move>(random.below(4));
    }
    if (distribution.slip_limit > 0.0f) settings.slip = random.uniform() * distribution.slip_limit;
    return settings;
}

/// Whether two tasks are the same one: wherever no wind blows, its direction is none.
bool same_task(const GridTask& a, const GridTask& b) {
    GridTaskSettings first = a.settings(), second = b.settings();
    if (first.wind <= 0.0f && second.wind <= 0.0f) first.wind_direction = second.wind_direction;
    return first == second && a.map() == b.map();
}

}  // namespace

bool contains(std::span<const GridTask> tasks, const GridTask& task) {
    return std::any_of(tasks.begin(), tasks.end(), [&](const GridTask& other) { return same_task(other, task); });
}

int distinct_tasks(std::span<const GridTask> tasks) {
    int count = 0;
    for (std::size_t k = 0; k < tasks.size(); ++k) count += contains(tasks.first(k), tasks[k]) ? 0 : 1;
    return count;
}

Result<GridTask> GridTask::make(StoredMap map, const GridTaskSettings& settings) {
    const GridMap view = map;
    if (!view.valid()) return fail(Code::map_size, map.rows, map.columns);
    GridTask task;
    task.memory_.resize(GridNavigation::bytes(view.cells()) / sizeof(Line));
    Arena arena(std::as_writable_bytes(std::span(task.memory_)));
    const auto environment = GridNavigation::make(view, settings, arena);
    if (!environment) return tl::unexpected(environment.error());
    task.environment_ = *environment;
    task.settings_ = settings;
    task.map_ = std::move(map);
    return task;
}

Result<StoredMap> add_walls(StoredMap map, std::span<const GridCell> walls) {
    if (!GridMap(map).valid()) return fail(Code::map_size, map.rows, map.columns);
    for (const GridCell wall : walls) {
        const GridMap view = map;
        if (!view.inside(wall)) return fail(Code::wall_outside, wall.row, wall.column);
        map.text[static_cast<std::size_t>(view.index(wall))] = '#';
    }
    if (map.text.find('.') == std::string::npos) return fail(Code::map_no_free_cell);
    return map;
}

Result<GridCell> draw_goal(const GridMap& map, const std::optional<GridCell>& start,
                           std::span<const GridCell> taken, Stream& random) {
    auto goals = possible_goals(map, start);
    if (!goals) return tl::unexpected(goals.error());
    std::vector<GridCell> left = *goals;
    std::erase_if(left, [&](GridCell goal) { return std::find(taken.begin(), taken.end(), goal) != taken.end(); });
    if (!left.empty()) goals = std::move(left);
    return (*goals)[random.below(static_cast<std::uint32_t>(goals->size()))];
}

Result<std::vector<GridTask>> three_tasks(const StoredMap& map, const GridTaskSettings& common, Stream& random) {
    const std::array<GridCell, 3> goals = {GridCell{map.rows - 1, 0}, GridCell{0, map.columns - 1},
                                           GridCell{map.rows / 2, map.columns / 2 - 1}};
    std::vector<GridTask> tasks;
    for (std::size_t k = 0; k < goals.size(); ++k) {
        GridTaskSettings settings = common;
        settings.goal = goals[k];
        settings.moves = k == 0 ? GridTaskSettings{}.moves : k == 1 ? mirrored : rotated;
        settings.wind = k == 2 ? 0.1f : 0.0f;
        settings.wind_direction = Move::right;

        auto task = GridTask::make(map, settings);
        if (!task && is_about_the_goal(task.error().code)) {
            std::vector<GridCell> taken(goals.begin(), goals.end());
            for (const GridTask& earlier : tasks) taken.push_back(*earlier.settings().goal);
            const auto drawn = draw_goal(map, settings.start, taken, random);
            if (!drawn) return tl::unexpected(drawn.error());
            settings.goal = *drawn;
            task = GridTask::make(map, settings);
        }
        if (task && k == 1) {
            const auto walled = add_wall_column(map, settings);
            if (!walled) return tl::unexpected(walled.error());
            task = GridTask::make(*walled, settings);
        }
        if (!task) return tl::unexpected(task.error());
        tasks.push_back(*std::move(task));
    }
    return tasks;
}

Result<GridTaskSplit> sample_tasks(const StoredMap& map, const GridTaskDistribution& distribution, int training,
                                   int held_out, Stream& random) {
    for (const int count : {training, held_out}) {
        if (count < 0 || count > grid_task_limit) return fail(Code::out_of_range, count, grid_task_limit);
    }
    if (training + held_out > grid_task_limit) {
        return fail(Code::out_of_range, training + held_out, grid_task_limit);
    }
    for (const float limit : {distribution.wind_limit, distribution.slip_limit}) {
        if (!(limit >= 0.0f && limit <= 1.0f)) return fail(Code::out_of_range, 0, 1);
    }
    auto possible = possible_goals(map, distribution.common.start);
    if (!possible) return tl::unexpected(possible.error());
    const auto goals = divide_goals(*std::move(possible), training, held_out, random);
    GridTaskSplit split;
    for (std::size_t k = 0; k < goals.size(); ++k) {
        const bool trains = k < static_cast<std::size_t>(training);
        // Where nothing but the goal is drawn, drawing again changes nothing.
        const bool varies =
            distribution.permute_actions || distribution.wind_limit > 0.0f || distribution.slip_limit > 0.0f;
        for (int attempt = 0; attempt < (varies ? 100 : 1); ++attempt) {
            auto task = GridTask::make(map, draw_settings(distribution, goals[k], random));
            if (!task) return tl::unexpected(task.error());
            if (!trains && (contains(split.training, *task) || contains(split.held_out, *task))) continue;
            (trains ? split.training : split.held_out).push_back(*std::move(task));
            break;
        }
    }
    return split;
}

}  // namespace dunlin

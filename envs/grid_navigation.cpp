// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_navigation.hpp"

namespace dunlin {
namespace {

constexpr float unreached = -1.0f;

/// Rows down and columns right of each move, in its order.
constexpr std::int8_t down[] = {-1, 1, 0, 0, 0, -1, -1, 1, 1};
constexpr std::int8_t right[] = {0, 0, -1, 1, 0, -1, 1, -1, 1};

/// How far on in the numbers of cells a move leads, where it is open.
int offset(const GridMap& map, unsigned move) {
    return down[move] * map.columns() + right[move];
}

/// Whether a move leads to another free cell. Diagonal ones cut no corner.
bool open(const GridMap& map, GridCell at, unsigned move) {
    const int rows = down[move], columns = right[move];
    if (rows == 0 && columns == 0) return false;
    return map.free({at.row + rows, at.column}) && map.free({at.row, at.column + columns}) &&
           map.free({at.row + rows, at.column + columns});
}

/// Its bit among those of a cell. To stay has none of its own: it leads nowhere.
constexpr unsigned bit_of(unsigned move) {
    return move < static_cast<unsigned>(Move::stay) ? move : move - 1;
}

/// Breadth first from the goal: `distance` gets each cell's shortest path to it, `queue` the cells that have one,
/// by distance, the goal first. Returns their number. Moves lead both ways, so "to" and "from" are the same.
std::size_t measure(const GridMap& map, int goal, unsigned moves, std::span<float> distance,
                    std::span<GridNavigation::State> queue) {
    for (float& d : distance) d = unreached;
    std::size_t count = 0;
    queue[count++] = goal;
    distance[static_cast<std::size_t>(goal)] = 0.0f;
    for (std::size_t done = 0; done < count; ++done) {
        const int cell = queue[done];
        for (unsigned move = 0; move < moves; ++move) {
            if (!open(map, map.cell(cell), move)) continue;
            const int next = cell + offset(map, move);
            if (distance[static_cast<std::size_t>(next)] != unreached) continue;
            distance[static_cast<std::size_t>(next)] = distance[static_cast<std::size_t>(cell)] + 1.0f;
            queue[count++] = next;
        }
    }
    return count;
}

Result<void> check_cells(const GridMap& map, const GridTaskSettings& settings) {
    if (!map.valid()) return fail(Code::map_size, map.rows(), map.columns());
    const GridCell goal = settings.goal.value_or(GridCell{-1, -1});
    if (!map.inside(goal)) return fail(Code::goal_outside, goal.row, goal.column);
    if (!map.free(goal)) return fail(Code::goal_in_wall, goal.row, goal.column);
    if (settings.start) {
        const GridCell start = *settings.start;
        if (!map.free(start)) return fail(Code::start_in_wall, start.row, start.column);
        if (start == goal) return fail(Code::start_is_goal, start.row, start.column);
    }
    return {};
}

Result<void> check_numbers(const GridTaskSettings& settings) {
    unsigned seen = 0;
    const int actions = settings.action_count();
    for (int action = 0; action < actions; ++action) {
        const unsigned move = settings.moves[static_cast<std::size_t>(action)];
        if (move >= static_cast<unsigned>(actions) || (seen >> move & 1u) != 0)
            return fail(Code::not_a_permutation, action);
        seen |= 1u << move;
    }
    for (const float probability : {settings.wind, settings.slip}) {
        if (!(probability >= 0.0f && probability <= 1.0f)) return fail(Code::out_of_range, 0, 1);
    }
    if (settings.horizon < 1 || settings.horizon > grid_horizon_limit) {
        return fail(Code::out_of_range, settings.horizon, grid_horizon_limit);
    }
    if (!(settings.discount > 0.0f && settings.discount <= 1.0f)) return fail(Code::out_of_range, 0, 1);
    return {};
}

}  // namespace

Result<GridNavigation> GridNavigation::make(const GridMap& map, const GridTaskSettings& settings, Arena& arena) {
    if (const auto checked = check_cells(map, settings); !checked) return tl::unexpected(checked.error());
    if (const auto checked = check_numbers(settings); !checked) return tl::unexpected(checked.error());
    const auto cells = static_cast<std::size_t>(map.cells());
    if (bytes(map.cells()) > arena.capacity() - arena.used()) {
        return fail(Code::too_little_memory, static_cast<std::int64_t>(arena.capacity() - arena.used()),
                    static_cast<std::int64_t>(bytes(map.cells())));
    }
    const auto ways = arena.take<std::uint8_t>(cells);
    const auto reward = arena.take<float>(cells);
    const auto queue = arena.take<State>(cells);

    const GridCell goal = *settings.goal;
    const int goal_index = map.index(goal);
    const auto actions = static_cast<std::size_t>(settings.action_count());
    const std::size_t reached = measure(map, goal_index, static_cast<unsigned>(actions), reward, queue);
    if (reached < 2) return fail(Code::goal_unreachable, goal.row, goal.column);
    auto starts = queue.subspan(1, reached - 1);
    if (settings.start) {
        const int start = map.index(*settings.start);
        if (reward[static_cast<std::size_t>(start)] == unreached) {
            return fail(Code::goal_unreachable, goal.row, goal.column);
        }
    }

    const float farthest = reward[static_cast<std::size_t>(starts.back())];
    const bool sparse = settings.reward == GridReward::sparse;
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const int index = static_cast<int>(cell);
        const bool reachable = reward[cell] != unreached;
        const float distance = reachable ? reward[cell] : farthest;
        reward[cell] = sparse ? (index == goal_index ? 1.0f : 0.0f) : 1.0f - distance / farthest;
        const GridCell at = map.cell(index);
        unsigned bits = 0;
        for (unsigned move = 0; reachable && move < diagonal_move_count; ++move)
            bits |= static_cast<unsigned>(open(map, at, move)) << bit_of(move);
        ways[cell] = static_cast<std::uint8_t>(bits);
    }
    if (settings.start) {
        starts = starts.first(1);
        starts[0] = map.index(*settings.start);
    }

    GridNavigation task;
    task.open_ = ways.data();
    for (std::size_t way = 0; way < way_count; ++way) {
        const unsigned move = way < actions ? settings.moves[way] : static_cast<unsigned>(settings.wind_direction);
        task.offset_[way] = static_cast<std::int16_t>(offset(map, move));
        task.bit_[way] = static_cast<std::uint8_t>(bit_of(move));
    }
    task.reward_ = reward.data();
    task.starts_ = starts;
    task.rows_ = map.rows();
    task.columns_ = map.columns();
    task.reciprocal_ = ((std::uint64_t{1} << reciprocal_bits) + static_cast<std::uint64_t>(task.columns_) - 1) /
                       static_cast<std::uint64_t>(task.columns_);
    task.goal_ = goal_index;
    task.terminal_ = sparse ? goal_index : -1;
    task.horizon_ = settings.horizon;
    task.actions_ = settings.action_count();
    task.discount_ = settings.discount;
    task.wind_ = settings.wind;
    task.slip_ = settings.slip;
    if (task.rows_ > 1) {
        task.row_scale_ = 2.0f / static_cast<float>(task.rows_ - 1);
        task.row_offset_ = -1.0f;
    }
    if (task.columns_ > 1) {
        task.column_scale_ = 2.0f / static_cast<float>(task.columns_ - 1);
        task.column_offset_ = -1.0f;
    }
    return task;
}

}  // namespace dunlin

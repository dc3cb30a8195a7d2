// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "envs/grid_map.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace dunlin {

/// Where a move leads; also the order of actions when a task does not permute them.
enum class Move : std::uint8_t { up, down, left, right, stay, up_left, up_right, down_left, down_right };
inline constexpr int move_count = 5;           ///< between neighbours of four directions
inline constexpr int diagonal_move_count = 9;  ///< of eight

enum class GridReward : std::uint8_t {
    sparse,  ///< 1 for a step that ends on the goal, which ends the trajectory; else 0
    dense  ///< 1 - d / D for every step; never ends. d: length of the shortest path over free cells from where the
           ///< step ends to the goal; D: the largest d of any cell that can reach the goal. In [0, 1]
};

/// Horizons longer than this are refused.
inline constexpr int grid_horizon_limit = 10'000;

/// One task on a map: a Markov decision process of its own. Walls of its own are a map of its own.
struct GridTaskSettings {
    std::optional<GridCell> goal;     ///< none: to be drawn (navigation_tasks.hpp) before the task is made
    std::optional<GridCell> start{};  ///< none: uniform over the free cells, but the goal, that can reach the goal
    bool diagonal = false;  ///< also diagonal moves, which cut no corner: both cells beside the way are free
    /// Action a does Move{moves[a]}; a permutation of the moves that there are, the first action_count().
    std::array<std::uint8_t, diagonal_move_count> moves = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    float wind = 0.0f;                  ///< probability in [0, 1] that a step is pushed one cell further
    Move wind_direction = Move::right;  ///< as seen on the map, not permuted
    float slip = 0.0f;  ///< probability in [0, 1] that a uniform action of the five is taken instead
    GridReward reward = GridReward::sparse;
    int horizon = 20;        ///< H: steps of a trajectory at most, in [1, grid_horizon_limit]
    float discount = 0.99f;  ///< gamma in (0, 1]: the reward of step l = 0, 1, ... counts gamma^l

    constexpr int action_count() const { return diagonal ? diagonal_move_count : move_count; }

    friend bool operator==(const GridTaskSettings&, const GridTaskSettings&) = default;
};

/// Navigation on a grid. A step is: with probability `slip` the action is replaced; its move is made; with
/// probability `wind` one more cell follows downwind. A move into a wall or off the map stays. Only the cell where
/// a step ends counts: who is blown over the goal has not reached it.
///
/// A view of tables in the caller's memory, cheap to copy, valid as long as that memory. A step is a look-up; it
/// draws random numbers only when the task has slip or wind.
class GridNavigation {
public:
    using State = std::int32_t;  ///< the number of a cell of the map, walls counted
    struct Step {
        float reward;
        bool ended;  ///< no further step belongs to this trajectory
    };

    /// Bytes of arena that a task takes on a map of `cells` cells: 9 a cell.
    static constexpr std::size_t bytes(int cells) {
        const auto count = static_cast<std::size_t>(cells);
        return Arena::bytes<std::uint8_t>(count) + Arena::bytes<float>(count) + Arena::bytes<State>(count);
    }

    /// Fills the tables, in `arena`, which must have bytes(map.cells()) left; the map is not needed afterwards.
    /// Errors: map_size (the view's sizes disagree or break the limits); goal_outside (also: no goal given, as -1,
    /// -1), goal_in_wall, goal_unreachable (no other free cell, or not the fixed start, leads there);
    /// start_in_wall, start_is_goal; not_a_permutation; out_of_range (wind, slip, horizon, discount).
    static Result<GridNavigation> make(const GridMap& map, const GridTaskSettings& settings, Arena& arena);

    int action_count() const { return actions_; }
    int horizon() const { return horizon_; }
    float discount() const { return discount_; }

    State reset(Stream& random) const {
        return starts_.size() == 1 ? starts_[0] : starts_[random.below(static_cast<std::uint32_t>(starts_.size()))];
    }

    /// `action` in [0, action_count()).
    Step step(State& state, int action, Stream& random) const {
        if (slip_ > 0.0f && random.uniform() < slip_)
            action = static_cast<int>(random.below(static_cast<std::uint32_t>(actions_)));
        state = after_action(state, action);
        if (wind_ > 0.0f && random.uniform() < wind_) state = after_wind(state);
        return {reward_[state], state == terminal_};
    }

    int observation_size() const { return 2; }
    /// Row and column, each scaled to [-1, 1] (0 on a map with one of them): out[0] and out[stride].
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        const auto row =
            static_cast<std::int32_t>(static_cast<std::uint64_t>(state) * reciprocal_ >> reciprocal_bits);
        out[0] = static_cast<float>(row) * row_scale_ + row_offset_;
        out[stride] = static_cast<float>(state - row * columns_) * column_scale_ + column_offset_;
    }

    /// All cells of the map, walls too: tasks of one map that differ in walls share their states.
    int state_count() const { return rows_ * columns_; }
    int index(const State& state) const { return state; }
    State state(int index) const { return index; }  ///< the other way round

    // What exact planning and pictures need to know.
    int rows() const { return rows_; }
    int columns() const { return columns_; }
    State goal() const { return goal_; }
    /// Whether standing there is what the task asks for; with dense reward a trajectory goes on.
    bool reached(State state) const { return state == goal_; }
    bool ends_at_goal() const { return terminal_ == goal_; }
    float wind() const { return wind_; }
    float slip() const { return slip_; }
    float reward_at(State state) const { return reward_[state]; }  ///< of a step that ends there
    std::span<const State> starts() const { return starts_; }      ///< a trajectory starts in each as likely
    /// Whether a trajectory can be there: free, and connected with the goal.
    bool connected(State state) const { return open_[state] != 0; }
    State after_action(State state, int action) const { return after(state, action); }
    State after_wind(State state) const { return after(state, wind_way); }

private:
    static constexpr int wind_way = diagonal_move_count;  ///< behind those of all actions
    static constexpr int way_count = wind_way + 1;
    static constexpr int reciprocal_bits = 40;

    /// The neighbour, where the way is open; or else the state itself.
    State after(State state, int way) const { return state + (offset_[way] & -(open_[state] >> bit_[way] & 1)); }

    const std::uint8_t* open_ = nullptr;  ///< a bit a direction; none where no way leads to the goal
    const float* reward_ = nullptr;
    std::span<const State> starts_;
    std::array<std::int16_t, way_count> offset_{};  ///< at most a row and a cell
    std::array<std::uint8_t, way_count> bit_{};
    /// ceil(2^40 / columns): cell * reciprocal >> 40 is its row, exact: cell < 2^22 times an excess < 2^11 is <
    /// 2^40.
    std::uint64_t reciprocal_ = 0;
    State goal_ = 0;
    State terminal_ = 0;  ///< the goal, or -1 when nothing ends a trajectory
    int rows_ = 0;
    int columns_ = 0;
    int horizon_ = 0;
    int actions_ = 0;  ///< until a task is made, so that a static one costs a device no flash
    float discount_ = 0.0f;
    float wind_ = 0.0f;
    float slip_ = 0.0f;
    float row_scale_ = 0.0f;
    float row_offset_ = 0.0f;
    float column_scale_ = 0.0f;
    float column_offset_ = 0.0f;
};

}  // namespace dunlin

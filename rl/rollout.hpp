// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/kernels.hpp"

#include <cstdint>
#include <span>

namespace dunlin {

/// A batch of trajectories as it was sampled: time step after time step. Step h holds the `active(h)` trajectories
/// that had not ended before it, in adjacent columns, padded to a multiple of column_multiple, so that the policy
/// sees full vectors however many trajectories ended early. All memory is an arena's.
template <class S>
class Rollout {
public:
    Rollout() = default;

    /// For `trajectories` (D) of at most `horizon` (H) steps. A is an Arena, or ArenaSize to learn the bytes.
    template <class A>
    constexpr Rollout(int trajectories, int horizon, A& arena)
        : offset_(arena.template take<std::int32_t>(static_cast<std::size_t>(horizon) + 1)),
          active_(arena.template take<std::int32_t>(static_cast<std::size_t>(horizon))),
          trajectory_(arena.template take<std::int32_t>(capacity(trajectories, horizon))),
          index_(arena.template take<std::int32_t>(capacity(trajectories, horizon))),
          action_(arena.template take<std::int32_t>(capacity(trajectories, horizon))),
          reward_(arena.template take<float>(capacity(trajectories, horizon))),
          weight_(arena.template take<S>(capacity(trajectories, horizon))),
          to_go_(arena.template take<S>(static_cast<std::size_t>(trajectories))),
          trajectories_(trajectories),
          horizon_(horizon) {}

    static constexpr std::size_t capacity(int trajectories, int horizon) {
        return static_cast<std::size_t>(pad_columns(trajectories)) * static_cast<std::size_t>(horizon);
    }

    void clear() { length_ = 0; }

    /// Opens the next time step for `active` trajectories and returns its first column.
    int open(int active) {
        const int first = length_ == 0 ? 0 : offset_[static_cast<std::size_t>(length_)];
        offset_[static_cast<std::size_t>(length_)] = first;
        active_[static_cast<std::size_t>(length_)] = active;
        offset_[static_cast<std::size_t>(++length_)] = first + pad_columns(active);
        for (int c = first + active; c < first + pad_columns(active); ++c) {
            index(c) = action(c) = 0;
            weight(c) = S(0);
        }
        return first;
    }

    int trajectories() const { return trajectories_; }
    int horizon() const { return horizon_; }
    int length() const { return length_; }  ///< time steps with any trajectory running
    int first(int h) const { return offset_[static_cast<std::size_t>(h)]; }
    int active(int h) const { return active_[static_cast<std::size_t>(h)]; }
    int width(int h) const { return pad_columns(active(h)); }
    std::int64_t steps() const {
        std::int64_t sum = 0;
        for (int h = 0; h < length_; ++h) sum += active(h);
        return sum;
    }

    // By column. `index` is a finite environment's state before the step.
    std::int32_t& trajectory(int c) { return trajectory_[static_cast<std::size_t>(c)]; }
    std::int32_t& index(int c) { return index_[static_cast<std::size_t>(c)]; }
    std::int32_t& action(int c) { return action_[static_cast<std::size_t>(c)]; }
    float& reward(int c) { return reward_[static_cast<std::size_t>(c)]; }
    S& weight(int c) { return weight_[static_cast<std::size_t>(c)]; }
    std::int32_t trajectory(int c) const { return trajectory_[static_cast<std::size_t>(c)]; }
    std::int32_t index(int c) const { return index_[static_cast<std::size_t>(c)]; }
    std::int32_t action(int c) const { return action_[static_cast<std::size_t>(c)]; }
    float reward(int c) const { return reward_[static_cast<std::size_t>(c)]; }
    S weight(int c) const { return weight_[static_cast<std::size_t>(c)]; }
    const std::int32_t* indices(int h) const { return index_.data() + first(h); }
    const S* weights(int h) const { return weight_.data() + first(h); }

    /// Sets every column's weight to its trajectory's reward to go, discounted from time 0 as the paper defines it,
    /// R^h = sum over l >= h of gamma^l r^l, and returns the mean return.
    S weigh_by_reward_to_go(float discount);

private:
    std::span<std::int32_t> offset_, active_, trajectory_, index_, action_;
    std::span<float> reward_;
    std::span<S> weight_, to_go_;
    int trajectories_ = 0;
    int horizon_ = 0;
    int length_ = 0;
};

extern template class Rollout<float>;
extern template class Rollout<double>;

}  // namespace dunlin

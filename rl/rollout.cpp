// SPDX-License-Identifier: Apache-2.0
#include "rl/rollout.hpp"

#include <algorithm>

namespace dunlin {

template <class S>
S Rollout<S>::weigh_by_reward_to_go(float discount) {
    std::fill(to_go_.begin(), to_go_.end(), S(0));
    // gamma^h from the front, so that it is the same number whatever the length.
    S factor = 1;
    for (int h = 0; h < length_; ++h, factor *= S(discount)) {
        for (int c = first(h); c < first(h) + active(h); ++c) weight(c) = factor * S(reward(c));
    }
    for (int h = length_ - 1; h >= 0; --h) {
        for (int c = first(h); c < first(h) + active(h); ++c) {
            weight(c) = to_go_[static_cast<std::size_t>(trajectory(c))] += weight(c);
        }
    }
    S sum = 0;
    for (S value : to_go_) sum += value;
    return sum / S(trajectories_);
}

template class Rollout<float>;
template class Rollout<double>;

}  // namespace dunlin

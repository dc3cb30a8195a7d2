// SPDX-License-Identifier: Apache-2.0
#include "rl/baseline.hpp"

namespace dunlin {

template <class S>
void subtract_leave_one_out(Rollout<S>& rollout) {
    for (int h = 0; h < rollout.length(); ++h) {
        const int n = rollout.active(h), first = rollout.first(h);
        if (n < 2) continue;
        S sum = 0;
        for (int c = first; c < first + n; ++c) sum += rollout.weight(c);
        for (int c = first; c < first + n; ++c) {
            rollout.weight(c) -= (sum - rollout.weight(c)) / S(n - 1);
        }
    }
}

template void subtract_leave_one_out(Rollout<float>&);
template void subtract_leave_one_out(Rollout<double>&);

}  // namespace dunlin

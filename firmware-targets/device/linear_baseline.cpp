// SPDX-License-Identifier: Apache-2.0
// A device has no linear baseline: `dunlin export --format header` refuses a run that has. The learner's table of
// baselines still names it.
#include "rl/baseline.hpp"

namespace dunlin {

template <>
void subtract_linear_fit(Rollout<float>&, const float*, int, float*) {
    __builtin_trap();
}

}  // namespace dunlin

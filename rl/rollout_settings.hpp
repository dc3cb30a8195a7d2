// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rl/advantage.hpp"
#include "rl/baseline.hpp"
#include "rl/surrogate.hpp"

#include <cstdint>

namespace dunlin {

/// How often a policy is evaluated while sampling; the trajectories are the same.
enum class Evaluation : std::uint8_t {
    automatic,  ///< per_state where the environment is finite and that costs less
    per_step,   ///< once for every step of every trajectory
    per_state   ///< once for every state; exact, and far cheaper where states are few
};

struct RolloutSettings {
    int trajectories = 20;  ///< D >= 1
    Baseline baseline = Baseline::leave_one_out;
    Evaluation evaluation = Evaluation::automatic;
    int slots = 1;             ///< batches kept at once; an adaptation's slots()
    bool second_order = true;  ///< room for hessian_vector, which exact MAML alone asks for
    /// A batch is asked under the parameters that it was drawn under and no others, as MEMRL does: then no copy of
    /// them is kept.
    bool as_drawn = false;
    RatioSurrogate surrogate{};   ///< what a batch says under other parameters than it was drawn under
    float entropy_weight = 0.0f;  ///< c_H >= 0: of the entropy bonus
    ValueSettings value{};        ///< of Baseline::value
};

/// The room that a task needs, whatever environment it is given.
struct RolloutLimits {
    int horizon = 0;
    int observations = 0;
    int states = 0;  ///< of a finite environment; 0 for others
};

}  // namespace dunlin

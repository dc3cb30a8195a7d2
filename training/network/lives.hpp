// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/random.hpp"
#include "transport/simulation/time.hpp"

#include <cstdint>
#include <vector>

namespace dunlin {

/// How the nodes of a simulated fleet live, in ticks of simulated time. What a node does while it sleeps or is down
/// is its driver's affair. Times are exponentially distributed, at least one tick.
struct LifeSettings {
    float pace_sigma = 0.0f;          ///< for its work a node takes exp(sigma N(0, 1)) times the median time
    std::vector<float> paces = {};    ///< of every node, times what it is drawn; empty: 1
    simulation::Time awake_mean = 0;  ///< between two sleeps; 0: it never sleeps
    simulation::Time asleep_mean = 0;
    simulation::Time up_mean = 0;  ///< between two crashes; 0: it never crashes
    simulation::Time down_mean = 0;

    /// Error: bad_setting.
    Result<void> check() const;
    bool crashes() const { return up_mean > 0; }
};

/// Stretches of time that do not touch, drawn one after the other.
class Windows {
public:
    struct Window {
        simulation::Time from = simulation::time_limit;
        simulation::Time until = simulation::time_limit;  ///< the first tick after it

        bool holds(simulation::Time time) const { return from <= time && time < until; }
    };

    Windows() = default;  ///< never
    Windows(simulation::Time gap_mean, simulation::Time length_mean, Stream random);

    /// The window that holds `time`, or else the next one. `time` never goes back.
    Window at(simulation::Time time);

private:
    Window draw(simulation::Time after);

    double gap_mean_ = 0, length_mean_ = 0;
    Stream random_;
    Window current_;
};

/// One node's life: the same for the same (seed, node), whatever else happens.
struct Life {
    float pace = 1.0f;
    Windows sleeps, crashes;
    Stream choices;  ///< for its driver: when to wake up, and the like

    Life() = default;
    Life(const LifeSettings& settings, std::uint64_t seed, std::uint32_t node);

    /// What takes `median` ticks at the median pace; at least one tick.
    simulation::Time duration(simulation::Time median) const;
    /// `time`, or when the sleep that holds it ends. `time` never goes back.
    simulation::Time awake_from(simulation::Time time);
};

}  // namespace dunlin

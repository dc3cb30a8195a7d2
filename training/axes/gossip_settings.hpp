// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/push_sum_settings.hpp"
#include "core/aggregate/step_schedule.hpp"
#include "core/fixed_point.hpp"
#include "training/network/lives.hpp"
#include "transport/graph.hpp"
#include "transport/mixing.hpp"
#include "transport/simulation/network.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace dunlin {

/// Nodes of PARS-Push that are killed together, while others push to them. Times are ticks.
struct AbsenceSettings {
    float share = 0.0f;  ///< part of the nodes that is killed at one instant, below 1; 0: none
    int at = 0;          ///< the instant; 0: drawn from 1 ... before
    int before = 1000;
    int times = 1;          ///< instants
    int longest = 0;        ///< each returns after 1 ... longest ticks, drawn; 0: none does
    float stays = 0.0f;     ///< chance that one stays away all the same
    float forgets = 0.0f;   ///< chance that one who returns has lost its memory
    int noticed = 20;       ///< another node knows after 1 ... noticed ticks that one went or returned, drawn
    int removal = 200;      ///< one who is away for so long is fenced, and its loss booked
    bool reclaims = false;  ///< take back what fenced nodes never confirmed
    float outstanding_limit = PushSumSettings{}.outstanding_limit;
    GraphRecipe graph = {};  ///< of the graph, to draw another among those who are left

    bool any() const { return share > 0.0f; }
    /// Error: bad_setting.
    Result<void> check() const;
};

class TracedNetwork;
class Settings;

struct GossipSettings {
    std::uint64_t seed = 1;
    StepSchedule theta = {};
    SeriesPlan series = {};  ///< of hgp
    FixedPoint format = {};
    float largest_value = 1000.0f;  ///< a node whose |z| goes beyond has diverged; n times it must fit the format
    float weight_floor = 0x1p-12f;  ///< y that a node never gives away
    Mixing mixing = Mixing::automatic;  ///< of the methods that mix by rounds
    double rho_over_tau = 0.2;          ///< the step of Mixing::laplacian
    simulation::LinkProfile link = {};
    simulation::Time wake_gap = 1;  ///< Gamma_w: from one wake-up to the next 1 ... wake_gap ticks, uniformly
    simulation::Time work = 0;      ///< if not 0: every gap is this at the median pace, instead
    LifeSettings lives = {};        ///< paces stretch the gaps, sleeps put wake-ups off
    std::shared_ptr<const TracedNetwork> trace = {};  ///< says more of each link than `link` does; null: nothing
    AbsenceSettings absences = {};                    ///< PARS-Push, on at most 1,000 nodes
    float step_ratio_limit = PushSumSettings{}.step_ratio_limit;  ///< largest eta/y of one step
    simulation::Time learn_from = 0;  ///< of nodes that agree with nobody: the tick of their first step
    /// From this tick on nodes take no steps and only agree, so that what they differ in settles.
    simulation::Time learn_until = simulation::time_limit;
    /// From this tick on links lose, delay and repeat nothing and nobody sleeps or crashes any more.
    simulation::Time calm_from = simulation::time_limit;
    bool audit = true;           ///< keep the sum of all steps, for mass_error
    bool trace_payloads = true;  ///< the trace covers what messages say
    std::size_t payload_limit_bytes = simulation::PayloadPool::usual_limit_bytes;

    /// From one wake-up of a node to its next, but for sleep.
    simulation::Time gap(Life& life) const;
    /// Gives the links what `trace` says of them.
    Result<void> shape(simulation::Network& network) const;
};

/// The keys network.gone*.
void add_absence_settings(Settings& list, AbsenceSettings& absences);

/// Lets a fleet without a server follow the trace. Of the link's own latency its minimum is kept, and added, where
/// `on_top` says so.
void follow(GossipSettings& settings, std::shared_ptr<const TracedNetwork> trace, bool on_top);

}  // namespace dunlin

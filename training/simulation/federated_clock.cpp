// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/federated_clock.hpp"

#include "training/network/traced_network.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {

GossipClock::GossipClock(const FederatedSettings& s) {
    const bool envelope = s.objective() == Objective::moreau;
    const int gradients = envelope ? s.moreau.step_limit : s.least_gradients() + s.following().steps;
    tick_s = static_cast<double>(s.clock.gradient_s) * gradients / median_ticks;
}

simulation::Time GossipClock::ticks(double seconds) const {
    return static_cast<simulation::Time>(std::min(std::ceil(seconds / tick_s), 1e12));
}

GossipSettings GossipClock::settings_of(const FederatedSettings& s, std::uint64_t seed, float weight_floor) const {
    GossipSettings fleet;
    fleet.seed = seed;
    const auto rate = static_cast<double>(s.rate());
    fleet.theta = {.scale = rate};
    if (!traits_of(s.method.aggregation).rounds)
        fleet.theta = {.scale = rate / median_ticks,
                       .longest_gap = std::int64_t{s.push.longest_gap} * median_ticks};
    fleet.series = s.series;
    fleet.weight_floor = weight_floor;
    fleet.format.fraction_bits = 38;  // tens of thousands of nodes fit then
    fleet.work = median_ticks;
    const simulation::Time least = s.traced != nullptr && s.traced->has_latency() ? 0 : 1;
    fleet.link.latency = simulation::Latency::constant(
        std::clamp<simulation::Time>(ticks(static_cast<double>(s.clock.upload_s)), least, longest_way));
    fleet.link.delay_limit = longest_way;
    fleet.link.loss = s.clock.loss;
    fleet.link.duplication = s.clock.duplication;
    fleet.lives.pace_sigma = s.clock.speed_spread;
    if (s.traced != nullptr) follow(fleet, s.traced, true);
    return fleet;
}

Outcome<void> follow_trace(FederatedSettings& s, std::uint32_t nodes, DataNotes* notes) {
    if (s.trace.empty()) return {};
    TracedFleet fleet{.nodes = nodes, .server = has_server(s.method.aggregation)};
    if (s.gossips()) fleet.tick_s = GossipClock(s).tick_s;
    auto traced = read_trace(s.trace, fleet, s.baseline() ? nullptr : notes);
    if (!traced) return tl::unexpected(traced.error());
    if (!s.baseline())
        s.traced = *std::move(traced);
    else if (notes != nullptr)
        notes->push_back(trace_is_unused(s.trace));
    return {};
}

DataNote trace_is_unused(const std::string& path) {
    return {"", 0, fmt::format("{}: not used, for nodes that learn alone say nothing and wait for nobody", path)};
}

}  // namespace dunlin

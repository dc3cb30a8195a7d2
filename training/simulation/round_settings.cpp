// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/round_settings.hpp"

#include "training/network/traced_network.hpp"

#include <algorithm>

namespace dunlin {

GraphRecipe RoundSettings::graph_recipe(std::uint32_t nodes) const {
    return {.kind = graph, .nodes = nodes, .probability = static_cast<double>(probability), .path = graph_file};
}

void RoundSettings::serve(FederatedSettings& learning, int nodes) const {
    learning.buffer_size = std::min(learning.buffer_size, nodes);
    learning.local_steps = local_steps;
    learning.server_rate = server_rate;
    learning.clock.loss = loss;
    learning.clock.duplication = duplication;
    learning.clock.patience_s = 100.0f;
}

FleetRecipe RoundSettings::recipe(const FederatedSettings& learning, std::uint32_t nodes, std::uint64_t seed,
                                  const StepSchedule& theta) const {
    GossipSettings gossip;
    gossip.seed = seed;
    gossip.theta = theta;
    gossip.series = learning.series;
    gossip.format.fraction_bits = fraction_bits;
    gossip.largest_value = largest_value;
    gossip.weight_floor = weight_floor;
    gossip.link = simulation::LinkProfile::rounds(
        delay_limit, loss_limit < 0 ? simulation::LinkProfile::unbounded : static_cast<std::uint32_t>(loss_limit),
        loss);
    gossip.link.duplication = duplication;
    gossip.wake_gap = wake_gap;
    gossip.lives.up_mean = crash_gap;
    gossip.lives.down_mean = downtime;
    gossip.absences = absences;
    gossip.absences.graph = graph_recipe(nodes);
    gossip.learn_until = rounds;
    return {.by = learning.method.aggregation,
            .graph = graph_recipe(nodes),
            .gossip = gossip,
            .federated = learning,
            .trace = trace,
            .tick_ms = tick_ms};
}

void add_round_network_settings(Settings& list, RoundSettings& s) {
    using Range = Settings::Range;
    list.add("network.graph", s.graph,
             "ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, or file");
    list.add("network.probability", s.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("network.file", s.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");
    list.add("network.wake_gap", s.wake_gap, "Gamma_w: most rounds from one wake-up to the next", Range{1, 10000});
    list.add("network.delay_limit", s.delay_limit, "Gamma_d: most rounds that a message takes", Range{1, 10000});
    list.add("network.loss", s.loss, "probability that a message is lost", Range{0, 1});
    list.add("network.loss_limit", s.loss_limit, "Gamma_f: most losses in a row on a link; -1: no bound",
             Range{-1, 1e9});
}

void add_mass_settings(Settings& list, RoundSettings& s) {
    using Range = Settings::Range;
    list.add("method.fraction_bits", s.fraction_bits, "of the fixed point in which mass is kept", Range{8, 60});
    list.add("method.largest_value", s.largest_value, "a node whose parameters go beyond has diverged",
             Range{0, 1e9, true});
    list.add("method.weight_floor", s.weight_floor,
             "push-sum weight that a node never gives away; 0.01 where nodes crash or losses have no bound",
             Range{0, 0.25});
}

void add_trace_settings(Settings& list, std::string& trace, float& tick_ms) {
    add_trace_setting(list, trace);
    list.add("network.tick_ms", tick_ms, "with a trace of round trips: milliseconds that a round lasts",
             Settings::Range{0.001, 1e6});
}

}  // namespace dunlin

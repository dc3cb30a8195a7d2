// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "aggregate_network.hpp"

#include <vector>

/// Fleets with faults of all kinds, drawn.
namespace dunlin::test {

inline std::vector<std::vector<float>> random_start(std::uint32_t nodes, std::size_t dimension, Stream& random) {
    std::vector<std::vector<float>> start(nodes, std::vector<float>(dimension));
    for (auto& z : start) {
        for (float& value : z) value = random.normal() * 2.0f;
    }
    return start;
}

inline ParsPushSettings settings_for(float largest_value = 100.0f) {
    ParsPushSettings settings;
    settings.network.largest_value = largest_value;
    settings.theta = {.scale = 0.05, .offset = 0, .longest_gap = 3};
    return settings;
}

struct Scenario {
    Graph graph;
    std::vector<std::vector<float>> start;
    Faults faults;
    Stream random;
};

inline Scenario random_scenario(std::uint32_t seed) {
    Stream random(2026, seed, Purpose::user);
    const std::uint32_t nodes = 2 + random.below(7);
    Scenario scenario{
        random_graph(nodes, 0.3f, random), random_start(nodes, 1 + random.below(3), random), {}, random};
    scenario.faults = {.sleep = 0.6f * random.uniform(),
                       .loss = 0.6f * random.uniform(),
                       .duplication = 0.3f * random.uniform(),
                       .longest_delay = 1 + random.below(6),
                       .crash = random.below(2) == 0 ? 0.0f : 0.1f};
    scenario.random = Stream(2026, seed, Purpose::links);
    return scenario;
}

template <class Node>
Network<Node> network_for(const Scenario& scenario) {
    return Network<Node>(scenario.graph, scenario.start, settings_for(), scenario.random);
}

/// A gradient that depends on the parameters, as in training, and differs between nodes.
inline void pull(std::uint32_t node, const std::vector<float>& z, std::vector<float>& out) {
    for (std::size_t k = 0; k < z.size(); ++k) out[k] = z[k] - static_cast<float>(node + k);
}

}  // namespace dunlin::test

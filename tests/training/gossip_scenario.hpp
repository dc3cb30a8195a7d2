// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/simulation/gossip_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace dunlin::test {

/// f_i(z) = |z - c_i|^2 / 2 with noise on every gradient; c_i = (i, i + 1, ...).
class Quadratic final : public Learner {
public:
    explicit Quadratic(std::size_t dimension) : dimension_(dimension) {}

    std::uint32_t node = 0;

    std::size_t dimension() const override { return dimension_; }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        random.next_epoch();
        for (std::size_t k = 0; k < w.size(); ++k) {
            out[k] = w[k] - static_cast<float>(node + k) + 0.1f * random.normal();
        }
        return 1;
    }
    /// Its Hessian is I, and nothing is its own.
    int answer(const Question& question, ConstVector<float> w, Stream& random, Vector<float> out) override {
        if (question.kind != Question::Kind::products) return gradient(w, random, out);
        random.next_epoch();
        return 2;
    }

private:
    std::size_t dimension_;
};

/// One learner a thread.
inline LearnerOf quadratics(std::size_t dimension, int threads) {
    auto all = std::make_shared<std::vector<Quadratic>>(static_cast<std::size_t>(threads), Quadratic(dimension));
    return [all](std::uint32_t node, int worker) -> Learner& {
        Quadratic& learner = (*all)[static_cast<std::size_t>(worker)];
        learner.node = node;
        return learner;
    };
}

/// A small fleet in a bad world, all drawn from one number.
struct Scenario {
    Graph graph;
    GossipSettings settings;
    std::vector<float> start;
    std::size_t dimension = 1;
};

/// A directed ring in random order, and every other edge with probability 0.3: strongly connected.
inline Graph random_graph(std::uint32_t nodes, Stream& random) {
    std::vector<std::uint32_t> ring(nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) ring[i] = i;
    for (std::uint32_t i = nodes - 1; i > 0; --i) std::swap(ring[i], ring[random.below(i + 1)]);
    std::vector<Edge> edges;
    for (std::uint32_t k = 0; k < nodes; ++k) edges.push_back({ring[k], ring[(k + 1) % nodes]});
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::uint32_t j = 0; j < nodes; ++j) {
            const Edge edge{i, j};
            if (i != j && random.uniform() < 0.3f && std::ranges::find(edges, edge) == edges.end())
                edges.push_back(edge);
        }
    }
    return *Graph::from_edges(nodes, edges);
}

/// Loss up to 60 %, delays that overtake each other, duplicates, idle and sleeping nodes, slow ones, and in two
/// scenarios of three nodes that crash and restart.
inline Scenario random_scenario(std::uint32_t seed) {
    Stream random(2026, seed, Purpose::user);
    Scenario scenario{random_graph(2 + random.below(7), random), {}, {}, 1 + random.below(3)};
    GossipSettings& s = scenario.settings;
    s.seed = seed;
    s.theta = {.scale = 0.02, .offset = 0, .longest_gap = 3};
    s.weight_floor = 0.01f;
    s.link = simulation::LinkProfile::rounds(1 + random.below(6), 1 + random.below(20), 0.6f * random.uniform());
    s.link.duplication = 0.3f * random.uniform();
    s.wake_gap = 1 + random.below(3);
    if (random.below(2) == 0) s.lives.pace_sigma = 0.5f;
    if (random.below(2) == 0) {
        s.lives.awake_mean = 20;
        s.lives.asleep_mean = 10;
    }
    if (random.below(3) > 0) {
        s.lives.up_mean = 5 + random.below(20);
        s.lives.down_mean = 1 + random.below(8);
    }
    for (std::size_t k = 0; k < scenario.graph.nodes() * scenario.dimension; ++k) {
        scenario.start.push_back(2.0f * random.normal());
    }
    return scenario;
}

template <class Node>
std::unique_ptr<SimulatedGossip<Node>> fleet_of(const Scenario& scenario, bool learns, int threads = 1) {
    LearnerOf learner_of;
    if (learns) learner_of = quadratics(scenario.dimension, threads);
    auto fleet =
        SimulatedGossip<Node>::make(scenario.graph, scenario.settings, scenario.start, learner_of, threads);
    REQUIRE(fleet);
    return *std::move(fleet);
}

/// The largest distance of any node's component from `mean`.
inline float distance(const GossipFleet& fleet, const std::vector<float>& mean) {
    float largest = 0;
    const std::vector<float> all = fleet.estimates();
    for (std::size_t k = 0; k < all.size(); ++k) {
        const float off = std::abs(all[k] - mean[k % mean.size()]);
        largest = std::isfinite(off) ? std::max(largest, off) : INFINITY;
    }
    return largest;
}

}  // namespace dunlin::test

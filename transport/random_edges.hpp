// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/random.hpp"

#include <cstdint>
#include <vector>

namespace dunlin {

/// A directed graph that is drawn anew in every round: each edge (i -> j) is there with a probability of its own,
/// independently of all others and of all other rounds. Every node can reach every other, sooner or later.
/// Source: Terashita and Hara 2023, section 2.1; Rezaienia et al. 2019.
class RandomEdges {
public:
    static constexpr std::uint32_t node_limit = 4096;

    /// Probabilities are uniform in [low, high]. Errors: graph_size; bad_probability unless 0 < low <= high <= 1.
    static Result<RandomEdges> make(std::uint32_t nodes, float low, float high, std::uint64_t seed) {
        if (nodes < 2 || nodes > node_limit) return fail(Code::graph_size, nodes, node_limit);
        if (!(low > 0.0f && low <= high && high <= 1.0f)) return fail(Code::bad_probability);
        RandomEdges edges;
        edges.nodes_ = nodes;
        edges.probability_.resize(static_cast<std::size_t>(nodes) * nodes);
        Stream random(seed, 0, Purpose::graph);
        for (float& probability : edges.probability_) probability = low + (high - low) * random.uniform();
        return edges;
    }

    std::uint32_t nodes() const { return nodes_; }
    float probability(std::uint32_t from, std::uint32_t to) const {
        return probability_[static_cast<std::size_t>(from) * nodes_ + to];
    }

    /// Who hears `from` in one round, ascending; `random`, the node's own stream, advances by one epoch.
    void draw(std::uint32_t from, Stream& random, std::vector<std::uint32_t>& hearers) const {
        random.next_epoch();
        hearers.clear();
        for (std::uint32_t to = 0; to < nodes_; ++to) {
            const float chance = random.uniform();
            if (to != from && chance < probability(from, to)) hearers.push_back(to);
        }
    }

private:
    std::uint32_t nodes_ = 0;
    std::vector<float> probability_;
};

}  // namespace dunlin

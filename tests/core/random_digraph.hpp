// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "aggregate_memory.hpp"
#include "core/random.hpp"

#include <cstdint>
#include <vector>

namespace dunlin::test {

/// A few nodes between which every edge is there in a round with a probability of its own.
struct RandomDigraph {
    std::uint32_t nodes;
    std::vector<double> probability;  ///< of i -> j at i n + j

    RandomDigraph(std::uint32_t count, double low, double high, Stream& random) : nodes(count) {
        for (std::uint32_t k = 0; k < count * count; ++k) {
            probability.push_back(low + (high - low) * random.uniform_double());
        }
    }
    double of(std::uint32_t i, std::uint32_t j) const { return probability[i * nodes + j]; }

    std::vector<std::uint32_t> neighbours(std::uint32_t i) const {
        std::vector<std::uint32_t> others;
        for (std::uint32_t j = 0; j < nodes; ++j) {
            if (j != i) others.push_back(j);
        }
        return others;
    }
    /// Who hears i in one round.
    std::vector<std::uint32_t> hearers(std::uint32_t i, Stream& random) const {
        std::vector<std::uint32_t> list;
        for (const std::uint32_t j : neighbours(i)) {
            if (random.uniform_double() < of(i, j)) list.push_back(j);
        }
        return list;
    }

    /// E[p_(i->j)], by going through all sets of hearers.
    double mean_share(std::uint32_t i, std::uint32_t j) const {
        const std::vector<std::uint32_t> others = neighbours(i);
        double sum = 0;
        for (std::uint32_t set = 0; set < 1u << others.size(); ++set) {
            double chance = 1, hearing = 1;
            bool hears = j == i;
            for (std::uint32_t k = 0; k < others.size(); ++k) {
                const bool in = set >> k & 1;
                chance *= in ? of(i, others[k]) : 1 - of(i, others[k]);
                hearing += in;
                hears = hears || (in && others[k] == j);
            }
            if (hears) sum += chance / hearing;
        }
        return sum;
    }

    /// w* = E[P] w*, normalised to n.
    std::vector<double> stationary() const {
        std::vector<double> w(nodes, 1.0);
        for (int repeat = 0; repeat < 1000; ++repeat) {
            std::vector<double> next(nodes);
            for (std::uint32_t i = 0; i < nodes; ++i) {
                for (std::uint32_t j = 0; j < nodes; ++j) next[j] += mean_share(i, j) * w[i];
            }
            w = next;
        }
        return w;
    }
};

}  // namespace dunlin::test

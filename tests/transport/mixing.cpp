// SPDX-License-Identifier: Apache-2.0
#include "transport/mixing.hpp"

#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("the spectrum of a mixing matrix is the one in closed form") {
    // Ring: the Laplacian has 2 - 2 cos(2 pi k / n).
    for (const std::uint32_t n : {3u, 5u, 8u, 40u}) {
        const Graph graph = *ring(n);
        double smallest = 1, second = -1;
        for (std::uint32_t k = 1; k < n; ++k) {
            const double value = 1 - 0.2 * (2 - 2 * std::cos(2 * M_PI * k / n));
            smallest = std::min(smallest, value);
            second = std::max(second, value);
        }
        const MixingSpectrum found = mixing_spectrum(graph, *laplacian_weights(graph, 0.2));
        CHECK(found.smallest == Approx(smallest).margin(1e-6));
        CHECK(found.second == Approx(second).margin(1e-6));
    }
    // Complete: n once, but for 0.
    const MixingSpectrum complete =
        mixing_spectrum(*complete_graph(7), *laplacian_weights(*complete_graph(7), 0.2));
    CHECK(complete.smallest == Approx(-0.4));
    CHECK(complete.second == Approx(-0.4));
    CHECK(mixing_spectrum(*complete_graph(4), *metropolis_weights(*complete_graph(4))).smallest ==
          Approx(0).margin(1e-9));
}

TEST_CASE("mixing rows sum to one and are symmetric") {
    Stream random(4, 0, Purpose::graph);
    const Graph graph = *erdos_renyi(12, {.probability = 0.4, .directed = false}, random);
    for (const Mixing kind : {Mixing::laplacian, Mixing::metropolis, Mixing::lazy_metropolis}) {
        const MixingWeights weights = choose_mixing(graph, kind, 0.1, -1)->weights;
        for (std::uint32_t i = 0; i < graph.nodes(); ++i) {
            double row = weights.self[i];
            for (std::size_t k = 0; k < graph.in(i).size(); ++k) row += weights.edge[graph.in_edges(i)[k]];
            CHECK(row == Approx(1));
        }
        for (std::uint32_t k = 0; k < graph.edges(); ++k)
            CHECK(weights.edge[k] == weights.edge[*graph.find(graph.target(k), graph.source(k))]);
    }
}

TEST_CASE("automatic mixing takes the first weights whose spectrum the primal-dual recursion can live with") {
    const auto kind = [](const Graph& graph) {
        const auto chosen = choose_mixing(graph, Mixing::automatic, 0.2, primal_dual_bound);
        CHECK(chosen->spectrum.smallest > primal_dual_bound);
        return chosen->kind;
    };
    CHECK(kind(*ring(10)) == Mixing::laplacian);
    CHECK(kind(*complete_graph(8)) == Mixing::metropolis);  // 1 - 0.2 * 8 = -0.6
    // Three and three, everybody linked to the other side: Laplacian 6, and Metropolis weights reach 1/4 - 3/4.
    std::vector<Edge> edges;
    for (std::uint32_t a = 0; a < 3; ++a) {
        for (std::uint32_t b = 3; b < 6; ++b) {
            edges.push_back({a, b});
            edges.push_back({b, a});
        }
    }
    const Graph bipartite = *Graph::from_edges(6, edges);
    CHECK(choose_mixing(bipartite, Mixing::metropolis, 0.2, -1)->spectrum.smallest == Approx(-0.5));
    CHECK(choose_mixing(bipartite, Mixing::automatic, 0.25, primal_dual_bound)->kind == Mixing::lazy_metropolis);
    CHECK(choose_mixing(*directed_ring(4), Mixing::automatic, 0.2, -1).error().code == Code::graph_not_undirected);
}

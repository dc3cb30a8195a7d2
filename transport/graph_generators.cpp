// SPDX-License-Identifier: Apache-2.0
#include "core/math.hpp"
#include "transport/graph.hpp"

namespace dunlin {
namespace {

bool fits(std::uint32_t nodes) {
    return nodes >= 1 && nodes <= Graph::node_limit;
}

tl::unexpected<Error> bad_size(std::uint32_t nodes) {
    return fail(Code::graph_size, nodes, Graph::node_limit);
}

void link_both(std::vector<Edge>& edges, std::uint32_t i, std::uint32_t j) {
    edges.push_back({i, j});
    edges.push_back({j, i});
}

/// log(1 - p), to double accuracy for small p and from plain arithmetic alone, so that a seed gives the same graph
/// on every platform: -2 artanh(p / (2 - p)).
double log_complement(double p) {
    if (p >= 0.5) return portable::log(static_cast<float>(1.0 - p));
    const double ratio = p / (2.0 - p);
    double sum = 0.0, power = ratio;
    for (int k = 1; power > 1e-18; k += 2, power *= ratio * ratio) sum += power / k;
    return -2.0 * sum;
}

/// Calls `take` with each of 0 ... count-1 that a coin of the given probability picks, in time proportional to the
/// picked ones: the gaps between them are geometric.
/// Source: Batagelj and Brandes 2005, "Efficient generation of large random networks".
template <class Take>
void pick(std::uint64_t count, double probability, Stream& random, Take take) {
    const double scale = probability < 1.0 ? 1.0 / log_complement(probability) : 0.0;
    for (std::uint64_t k = 0;; ++k) {
        const double gap = static_cast<double>(portable::log(1.0f - random.uniform())) * scale;
        if (gap >= static_cast<double>(count - k)) return;
        k += static_cast<std::uint64_t>(gap);
        if (k >= count) return;
        take(k);
    }
}

std::vector<Edge> draw_directed(std::uint32_t nodes, double probability, Stream& random) {
    std::vector<Edge> edges;
    const std::uint64_t others = nodes - 1;
    pick(nodes * others, probability, random, [&](std::uint64_t k) {
        const auto from = static_cast<std::uint32_t>(k / others), to = static_cast<std::uint32_t>(k % others);
        edges.push_back({from, to + (to >= from ? 1u : 0u)});
    });
    return edges;
}

std::vector<Edge> draw_undirected(std::uint32_t nodes, double probability, Stream& random) {
    std::vector<Edge> edges;
    std::uint64_t row = 1, row_start = 0;  // pair k of row i is (i, k - i (i - 1) / 2)
    pick(std::uint64_t{nodes} * (nodes - 1) / 2, probability, random, [&](std::uint64_t k) {
        while (k - row_start >= row) row_start += row++;
        link_both(edges, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(k - row_start));
    });
    return edges;
}

}  // namespace

Result<Graph> ring(std::uint32_t nodes) {
    if (!fits(nodes)) return bad_size(nodes);
    std::vector<Edge> edges;
    for (std::uint32_t i = 0; i + 1 < nodes; ++i) link_both(edges, i, i + 1);
    if (nodes > 2) link_both(edges, nodes - 1, 0);
    return Graph::from_edges(nodes, std::move(edges));
}

Result<Graph> directed_ring(std::uint32_t nodes) {
    if (!fits(nodes)) return bad_size(nodes);
    std::vector<Edge> edges;
    for (std::uint32_t i = 0; nodes > 1 && i < nodes; ++i) edges.push_back({i, (i + 1) % nodes});
    return Graph::from_edges(nodes, std::move(edges));
}

Result<Graph> exponential_graph(std::uint32_t nodes) {
    if (!fits(nodes)) return bad_size(nodes);
    std::vector<Edge> edges;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::uint32_t hop = 1; hop < nodes; hop *= 2) edges.push_back({i, (i + hop) % nodes});
    }
    return Graph::from_edges(nodes, std::move(edges));
}

Result<Graph> complete_graph(std::uint32_t nodes) {
    if (!fits(nodes)) return bad_size(nodes);
    const std::uint64_t count = std::uint64_t{nodes} * (nodes - 1);
    if (count > Graph::edge_limit)
        return fail(Code::graph_too_dense, static_cast<std::int64_t>(count), Graph::edge_limit);
    std::vector<Edge> edges;
    edges.reserve(static_cast<std::size_t>(count));
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::uint32_t j = 0; j < nodes; ++j) {
            if (i != j) edges.push_back({i, j});
        }
    }
    return Graph::from_edges(nodes, std::move(edges));
}

Result<Graph> star(std::uint32_t nodes) {
    if (!fits(nodes)) return bad_size(nodes);
    std::vector<Edge> edges;
    for (std::uint32_t i = 1; i < nodes; ++i) link_both(edges, 0, i);
    return Graph::from_edges(nodes, std::move(edges));
}

Result<Graph> erdos_renyi(std::uint32_t nodes, const ErdosRenyi& settings, Stream& random) {
    if (!fits(nodes)) return bad_size(nodes);
    if (!(settings.probability > 0.0 && settings.probability <= 1.0)) return fail(Code::bad_probability);
    if (settings.attempt_limit > ErdosRenyi::most_attempts)
        return fail(Code::out_of_range, settings.attempt_limit, ErdosRenyi::most_attempts);
    const double expected = settings.probability * nodes * (nodes - 1.0);
    if (expected > static_cast<double>(Graph::edge_limit))
        return fail(Code::graph_too_dense, static_cast<std::int64_t>(expected), Graph::edge_limit);
    for (int attempt = 0; attempt < settings.attempt_limit; ++attempt) {
        auto edges = settings.directed ? draw_directed(nodes, settings.probability, random)
                                       : draw_undirected(nodes, settings.probability, random);
        random.next_epoch();
        auto graph = Graph::from_edges(nodes, std::move(edges));
        if (!graph || strongly_connected(*graph)) return graph;
    }
    return fail(Code::graph_attempts, settings.attempt_limit);
}

Result<Graph> build_graph(const GraphRecipe& recipe, std::uint64_t seed, GraphRemarks* remarks) {
    if (recipe.kind == alone_graph) return Graph::from_edges(recipe.nodes, {});
    const auto make = [&]() -> Result<Graph> {
        if (recipe.kind == "ring") return ring(recipe.nodes);
        if (recipe.kind == "directed-ring") return directed_ring(recipe.nodes);
        if (recipe.kind == "exponential") return exponential_graph(recipe.nodes);
        if (recipe.kind == "complete") return complete_graph(recipe.nodes);
        if (recipe.kind == "star") return star(recipe.nodes);
        if (recipe.kind == "file") return load_graph(recipe.path, remarks);
        const bool directed = recipe.kind == "erdos-renyi";
        if (!directed && recipe.kind != "erdos-renyi-undirected") return fail(Code::unknown_graph);
        Stream random(seed, 0, Purpose::graph);
        return erdos_renyi(recipe.nodes, {recipe.probability, directed, recipe.attempt_limit}, random);
    };
    auto graph = make();
    if (!graph) return graph;
    if (recipe.nodes != 0 && graph->nodes() != recipe.nodes)
        return fail(Code::graph_mismatch, graph->nodes(), recipe.nodes);
    if (const auto checked = strongly_connected(*graph); !checked) return tl::unexpected(checked.error());
    return recipe.both_ways ? both_ways(*graph) : graph;
}

}  // namespace dunlin

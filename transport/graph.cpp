// SPDX-License-Identifier: Apache-2.0
#include "transport/graph.hpp"

#include <algorithm>
#include <numeric>

namespace dunlin {
namespace {

constexpr auto node_count_limit = static_cast<std::int64_t>(Graph::node_limit);

/// The first entry that is wrong by itself; repeats show up once the list is sorted.
Result<void> check_edges(std::uint32_t nodes, std::span<const Edge> edges) {
    for (std::size_t k = 0; k < edges.size(); ++k) {
        const auto [from, to] = edges[k];
        const auto place = static_cast<std::int64_t>(k);
        if (std::max(from, to) >= nodes) return fail(Code::graph_node, place, std::max(from, to));
        if (from == to) return fail(Code::graph_loop, place, from);
    }
    return {};
}

/// The place where `edge` stands for the second time.
std::int64_t second_place(std::span<const Edge> edges, Edge edge) {
    const auto first = std::find(edges.begin(), edges.end(), edge);
    return std::find(first + 1, edges.end(), edge) - edges.begin();
}

/// A node that node 0 does not reach along `next` (out- or in-neighbours), breadth first.
template <class Neighbours>
std::optional<std::uint32_t> unreached(std::uint32_t nodes, Neighbours next) {
    std::vector<bool> seen(nodes);
    std::vector<std::uint32_t> reached{0};
    reached.reserve(nodes);
    seen[0] = true;
    for (std::size_t k = 0; k < reached.size(); ++k) {
        for (const std::uint32_t neighbour : next(reached[k])) {
            if (seen[neighbour]) continue;
            seen[neighbour] = true;
            reached.push_back(neighbour);
        }
    }
    if (reached.size() == nodes) return std::nullopt;
    return static_cast<std::uint32_t>(std::find(seen.begin(), seen.end(), false) - seen.begin());
}

}  // namespace

Result<Graph> Graph::from_edges(std::uint32_t nodes, std::vector<Edge> edges) {
    if (nodes < 1 || nodes > node_limit) return fail(Code::graph_size, nodes, node_count_limit);
    if (edges.size() > edge_limit) return fail(Code::graph_too_dense, std::ssize(edges), edge_limit);
    if (const auto checked = check_edges(nodes, edges); !checked) return tl::unexpected(checked.error());
    if (!std::is_sorted(edges.begin(), edges.end())) {
        std::vector<Edge> sorted = edges;
        std::sort(sorted.begin(), sorted.end());
        edges.swap(sorted);
        if (const auto twin = std::adjacent_find(edges.begin(), edges.end()); twin != edges.end())
            return fail(Code::graph_repeated_edge, second_place(sorted, *twin));
    } else if (const auto twin = std::adjacent_find(edges.begin(), edges.end()); twin != edges.end()) {
        return fail(Code::graph_repeated_edge, twin - edges.begin() + 1);
    }

    Graph graph;
    graph.out_first_.assign(nodes + 1, 0);
    graph.in_first_.assign(nodes + 1, 0);
    graph.source_.resize(edges.size());
    graph.target_.resize(edges.size());
    for (std::size_t k = 0; k < edges.size(); ++k) {
        graph.source_[k] = edges[k].from;
        graph.target_[k] = edges[k].to;
        ++graph.out_first_[edges[k].from + 1];
        ++graph.in_first_[edges[k].to + 1];
    }
    std::partial_sum(graph.out_first_.begin(), graph.out_first_.end(), graph.out_first_.begin());
    std::partial_sum(graph.in_first_.begin(), graph.in_first_.end(), graph.in_first_.begin());

    graph.in_source_.resize(edges.size());
    graph.in_edge_.resize(edges.size());
    Numbers filled(graph.in_first_.begin(), graph.in_first_.end() - 1);
    for (std::uint32_t k = 0; k < edges.size(); ++k) {
        const std::uint32_t slot = filled[edges[k].to]++;
        graph.in_source_[slot] = edges[k].from;
        graph.in_edge_[slot] = k;
    }
    return graph;
}

std::optional<std::uint32_t> Graph::find(std::uint32_t from, std::uint32_t to) const {
    if (from >= nodes()) return std::nullopt;
    const auto neighbours = out(from);
    const auto place = std::lower_bound(neighbours.begin(), neighbours.end(), to);
    if (place == neighbours.end() || *place != to) return std::nullopt;
    return first_out(from) + static_cast<std::uint32_t>(place - neighbours.begin());
}

Result<void> strongly_connected(const Graph& graph) {
    if (const auto node = unreached(graph.nodes(), [&](std::uint32_t i) { return graph.out(i); }))
        return fail(Code::graph_not_connected, *node, 0);
    if (const auto node = unreached(graph.nodes(), [&](std::uint32_t i) { return graph.in(i); }))
        return fail(Code::graph_not_connected, *node, 1);
    return {};
}

/// Source: Tarjan 1972, with a stack of its own instead of recursion.
std::vector<std::uint32_t> strong_components(const Graph& graph, std::span<const std::uint8_t> present) {
    struct Visit {
        std::uint32_t node;
        std::size_t next;
    };
    const std::uint32_t count = graph.nodes();
    std::vector<std::uint32_t> component(count, absent), order(count, absent), lowest(count, absent), open;
    std::vector<Visit> path;
    std::uint32_t visited = 0, components = 0;
    for (std::uint32_t root = 0; root < count; ++root) {
        if (present[root] == 0 || order[root] != absent) continue;
        path.push_back({root, 0});
        while (!path.empty()) {
            auto& [node, next] = path.back();
            if (next == 0) {
                order[node] = lowest[node] = visited++;
                open.push_back(node);
            }
            const auto out = graph.out(node);
            while (next < out.size() && (present[out[next]] == 0 || order[out[next]] != absent)) {
                const std::uint32_t to = out[next++];
                if (present[to] != 0 && component[to] == absent) lowest[node] = std::min(lowest[node], order[to]);
            }
            if (next < out.size()) {
                const std::uint32_t to = out[next++];
                path.push_back({to, 0});
                continue;
            }
            const std::uint32_t done = node;
            path.pop_back();
            if (!path.empty()) lowest[path.back().node] = std::min(lowest[path.back().node], lowest[done]);
            if (lowest[done] != order[done]) continue;
            for (std::uint32_t member = absent; member != done;) {
                member = open.back();
                open.pop_back();
                component[member] = components;
            }
            ++components;
        }
    }
    return component;
}

Result<void> undirected(const Graph& graph) {
    for (std::uint32_t k = 0; k < graph.edges(); ++k) {
        if (!graph.find(graph.target(k), graph.source(k)))
            return fail(Code::graph_not_undirected, graph.source(k), graph.target(k));
    }
    return {};
}

Result<Graph> both_ways(const Graph& graph) {
    std::vector<Edge> edges;
    for (std::uint32_t k = 0; k < graph.edges(); ++k) {
        const Edge edge{graph.source(k), graph.target(k)};
        edges.push_back(edge);
        if (!graph.find(edge.to, edge.from)) edges.push_back({edge.to, edge.from});
    }
    return Graph::from_edges(graph.nodes(), std::move(edges));
}

Result<MixingWeights> metropolis_weights(const Graph& graph) {
    if (const auto checked = undirected(graph); !checked) return tl::unexpected(checked.error());
    MixingWeights weights{std::vector<double>(graph.edges()), std::vector<double>(graph.nodes(), 1.0)};
    for (std::uint32_t k = 0; k < graph.edges(); ++k) {
        const std::uint32_t i = graph.source(k);
        const auto degree = std::max(graph.out(i).size(), graph.out(graph.target(k)).size());
        weights.edge[k] = 1.0 / (1.0 + static_cast<double>(degree));
        weights.self[i] -= weights.edge[k];
    }
    return weights;
}

}  // namespace dunlin

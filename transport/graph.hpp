// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A directed edge: `from` sends, `to` receives.
struct Edge {
    std::uint32_t from = 0;
    std::uint32_t to = 0;

    friend constexpr auto operator<=>(const Edge&, const Edge&) = default;
};

/// Who sends to whom: a directed graph without loops or parallel edges, in compressed adjacency, fixed once made.
/// Nodes are numbered from 0; edges are numbered in the order of (from, to), so a node's outgoing edges are
/// consecutive, and any table with one entry per link is a plain array. A node is not its own neighbour: the share
/// that stays at home (1 / (out-degree + 1) in PARS-Push) is not an edge.
class Graph {
public:
    static constexpr std::uint32_t node_limit = 1'000'000;
    static constexpr std::size_t edge_limit = std::size_t{1} << 25;

    /// Errors, with a place in `edges` counted from 0: graph_size, graph_too_dense, graph_node, graph_loop,
    /// graph_repeated_edge.
    static Result<Graph> from_edges(std::uint32_t nodes, std::vector<Edge> edges);

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(out_first_.size()) - 1; }
    std::uint32_t edges() const { return static_cast<std::uint32_t>(target_.size()); }

    std::uint32_t source(std::uint32_t edge) const { return source_[edge]; }
    std::uint32_t target(std::uint32_t edge) const { return target_[edge]; }

    /// Out-neighbours in ascending order; the k-th is reached by edge first_out(node) + k.
    std::span<const std::uint32_t> out(std::uint32_t node) const { return slice(target_, out_first_, node); }
    std::uint32_t first_out(std::uint32_t node) const { return out_first_[node]; }
    /// In-neighbours in ascending order; the k-th sends on edge in_edges(node)[k].
    std::span<const std::uint32_t> in(std::uint32_t node) const { return slice(in_source_, in_first_, node); }
    std::span<const std::uint32_t> in_edges(std::uint32_t node) const { return slice(in_edge_, in_first_, node); }

    std::size_t largest_out_degree() const {
        std::size_t largest = 0;
        for (std::uint32_t node = 0; node < nodes(); ++node) largest = std::max(largest, out(node).size());
        return largest;
    }

    /// The number of the edge, if there is one; O(log out-degree).
    std::optional<std::uint32_t> find(std::uint32_t from, std::uint32_t to) const;

private:
    using Numbers = std::vector<std::uint32_t>;
    static std::span<const std::uint32_t> slice(const Numbers& all, const Numbers& first, std::uint32_t node) {
        return {all.data() + first[node], all.data() + first[node + 1]};
    }

    Numbers out_first_, source_, target_;
    Numbers in_first_, in_source_, in_edge_;
};

/// Nothing when every node reaches every other. Else graph_not_connected with a node and on which side it fails.
Result<void> strongly_connected(const Graph& graph);

/// For every node that is `present` (one flag each) the number of its strongly connected component among those that
/// are: two of them can both reach and be reached by each other exactly if their numbers are the same. `absent` for
/// the others.
inline constexpr std::uint32_t absent = 0xffffffffu;
std::vector<std::uint32_t> strong_components(const Graph& graph, std::span<const std::uint8_t> present);

/// Nothing when every edge has its reverse. Else graph_not_undirected with an edge that has none.
Result<void> undirected(const Graph& graph);

/// The graph with the reverse of every edge. Error: graph_too_dense.
Result<Graph> both_ways(const Graph& graph);

/// Symmetric and doubly stochastic: W_ij = 1 / (1 + max(degree_i, degree_j)), W_ii = 1 - sum of the others.
struct MixingWeights {
    std::vector<double> edge;  ///< by the number of the edge
    std::vector<double> self;  ///< by node; positive
};

/// Metropolis weights; error graph_not_undirected. Their spectrum lies in (-1, 1].
/// Source: Xiao, Boyd, Lall 2005, "A scheme for robust distributed sensor fusion", eq. 11.
Result<MixingWeights> metropolis_weights(const Graph& graph);

/// The generators: all errors are graph_size and graph_too_dense unless said otherwise.
Result<Graph> ring(std::uint32_t nodes);           ///< both ways round
Result<Graph> directed_ring(std::uint32_t nodes);  ///< i sends to i + 1
/// i sends to i + 2^k (mod nodes) for every 2^k < nodes. Source: Assran et al. 2019, section 5.
Result<Graph> exponential_graph(std::uint32_t nodes);
Result<Graph> complete_graph(std::uint32_t nodes);
Result<Graph> star(std::uint32_t nodes);  ///< node 0 exchanges with all others

struct ErdosRenyi {
    double probability = 0.15;  ///< of each edge, in (0, 1]
    bool directed = true;       ///< else each pair is drawn once and linked both ways
    /// A recipe may come from a damaged file, and must not keep its reader busy for hours.
    static constexpr int most_attempts = 10'000;
    int attempt_limit = most_attempts;
};

/// Every edge is there with the same probability; drawn anew until strongly connected, each time from the next
/// epoch of `random` (Purpose::graph). Errors also: bad_probability, graph_attempts, and out_of_range above
/// most_attempts.
Result<Graph> erdos_renyi(std::uint32_t nodes, const ErdosRenyi& settings, Stream& random);

/// What the reader of an edge list has to say to a person, besides its error and the graph.
struct GraphRemarks {
    std::string wrong;  ///< where, what stands there and what is expected; escaped; empty: the error says all
    std::int64_t weights = 0;  ///< edges with a weight or other data, which is not used
    bool from_one = false;     ///< nodes were numbered from 1
    bool named = false;        ///< nodes have names; numbered in the order in which they appear
    bool header = false;       ///< a line of titles was skipped
};

/// An edge list: "from to" per line, separated by blanks, tabs, commas or semicolons. What follows on the line, a
/// weight (numbers) or data in braces (networkx), is not used. Blank lines and what follows '#' or '%' are skipped.
/// Nodes are numbered from 0, or from 1 where no 0 appears; if the first edge has names, all are names. There are
/// as many nodes as the largest number says. Errors, with a line counted from 1: file_syntax (and column),
/// graph_node, graph_loop, graph_repeated_edge; also graph_size, graph_too_dense.
Result<Graph> parse_graph(std::string_view text, GraphRemarks* remarks = nullptr);
/// Errors also: file_missing, file_too_large (above 512 MB).
Result<Graph> load_graph(const std::string& path, GraphRemarks* remarks = nullptr);

/// The kind of graph in which nobody hears anybody. No setting takes it: it is what learning alone means to a fleet.
inline constexpr std::string_view alone_graph = "alone";

/// A graph as a configuration names it.
struct GraphRecipe {
    /// ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, file; or `alone_graph`
    std::string kind = "exponential";
    std::uint32_t nodes = 10;  ///< for a file: what it must hold, or 0
    double probability = 0.15;
    int attempt_limit = ErdosRenyi::most_attempts;
    std::string path;
    bool both_ways = false;  ///< with the reverse of every edge
};

/// The graph, checked for strong connectivity, unless it is `alone_graph`. Errors also: unknown_graph, graph_not_connected, and graph_mismatch
/// when a file holds another number of nodes.
Result<Graph> build_graph(const GraphRecipe& recipe, std::uint64_t seed, GraphRemarks* remarks = nullptr);

}  // namespace dunlin

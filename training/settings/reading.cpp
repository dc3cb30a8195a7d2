// SPDX-License-Identifier: Apache-2.0
#include "training/settings/reading.hpp"

#include <fmt/format.h>

namespace dunlin {

tl::unexpected<Failure> refuse(const FileFailure& error) {
    if (error.detail.empty()) return refuse(error.error, error.path);
    return refuse(fmt::format("{}: {}", error.path, error.detail));
}

Outcome<Graph> read_graph(const GraphRecipe& recipe, std::uint64_t seed, std::string_view section,
                          DataNotes* notes) {
    GraphRemarks remarks;
    Result<Graph> graph = build_graph(recipe, seed, &remarks);
    const bool file = recipe.kind == "file";
    if (!graph) {
        const std::string where = file ? fmt::format("{}.file: {}", section, recipe.path)
                                       : fmt::format("{}.graph: {}", section, recipe.kind);
        if (!remarks.wrong.empty()) return refuse(fmt::format("{}: {}", where, remarks.wrong));
        Failure said = describe(graph.error(), where);
        if (remarks.from_one && graph.error().code == Code::graph_not_connected)
            said.text += fmt::format(" (node {} of the file, whose numbers begin with 1)", graph.error().first + 1);
        if (remarks.named) said.text += " (nodes are numbered from 0 in the order in which their names appear)";
        return tl::unexpected(std::move(said));
    }
    if (!file || notes == nullptr) return *std::move(graph);
    const auto note = [&](bool there, std::string_view key, std::int64_t count, std::string text) {
        if (there) notes->push_back({std::string(key), count, fmt::format("{}: {}", recipe.path, std::move(text))});
    };
    note(remarks.from_one, "graph_first_node", 1,
         fmt::format("nodes 1 to {} of the file are nodes 0 to {} here", graph->nodes(), graph->nodes() - 1));
    note(remarks.named, "graph_named_nodes", graph->nodes(),
         fmt::format("{} nodes have names; they are numbered from 0 in the order in which they appear",
                     graph->nodes()));
    note(remarks.header, "", 0, "the first line is taken for titles");
    note(remarks.weights > 0, "graph_weights", remarks.weights,
         fmt::format("{} edges have a weight or other data, which is not used", remarks.weights));
    return *std::move(graph);
}

Outcome<Graph> take_both_ways(Graph graph, std::string_view where, std::string_view method, DataNotes* notes) {
    if (undirected(graph)) return graph;
    Result<Graph> both = both_ways(graph);
    if (!both) return refuse(both.error(), std::string(where));
    const std::int64_t added = std::int64_t{both->edges()} - std::int64_t{graph.edges()};
    if (notes != nullptr)
        notes->push_back({"graph_edges_added", added,
                          fmt::format("{}: {} wants every edge in both directions; {} edges were added to {}",
                                      where, method, added, graph.edges())});
    return *std::move(both);
}

}  // namespace dunlin

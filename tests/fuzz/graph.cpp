// SPDX-License-Identifier: Apache-2.0
// Any text as a list of edges.
#include "transport/graph.hpp"

#include "fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto graph = dunlin::parse_graph(dunlin::fuzz::text(data, size));
    if (graph) dunlin::fuzz::require(graph->nodes() > 0);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "fleet/any_fleet.hpp"

#include "fleet/alone_fleet.hpp"
#include "fleet/reading.hpp"
#include "fleet/served_fleet.hpp"

#include <fmt/format.h>

namespace dunlin {

Outcome<std::unique_ptr<GossipFleet>> make_any_fleet(const FleetRecipe& recipe, ConstVector<float> first,
                                                     std::uint32_t nodes, LearnerOf learner_of, Workers& workers,
                                                     DataNotes* notes) {
    const std::uint64_t seed = recipe.gossip.seed;
    if (has_server(recipe.by))
        return make_served_fleet(recipe.federated, seed, first, nodes, std::move(learner_of), workers);
    const bool together = has_one_model(recipe.by);
    std::vector<float> start;
    for (std::uint32_t i = 0; i < (together ? 1 : nodes); ++i)
        start.insert(start.end(), first.begin(), first.end());
    const std::optional<GossipMethod> method = gossip_of(recipe.by);
    if (!method)
        return make_alone_fleet(nodes, together, recipe.gossip, start, std::move(learner_of), workers.count());
    auto graph = read_graph(recipe.graph, seed, recipe.section, notes);
    if (graph && wants_both_ways(*method)) {
        const std::string where = fmt::format("{}.graph = \"{}\"", recipe.section, recipe.graph.kind);
        graph = take_both_ways(*std::move(graph), where, name_of(recipe.by), notes);
    }
    if (!graph) return tl::unexpected(graph.error());
    return make_gossip_fleet(*method, *graph, recipe.gossip, start, std::move(learner_of), workers.count());
}

}  // namespace dunlin

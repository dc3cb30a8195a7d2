// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/any_fleet.hpp"

#include "training/network/traced_network.hpp"
#include "training/settings/reading.hpp"
#include "training/simulation/alone_fleet.hpp"
#include "training/simulation/federated_clock.hpp"
#include "training/simulation/served_fleet.hpp"

#include <fmt/format.h>

namespace dunlin {
namespace {

Outcome<void> read_trace_of(FleetRecipe& recipe, std::uint32_t nodes, DataNotes* notes) {
    const bool server = has_server(recipe.by), alone = !server && !has_neighbours(recipe.by);
    const double tick_s = static_cast<double>(recipe.tick_ms) / 1000.0;
    const TracedFleet fleet{.nodes = nodes,
                            .server = server,
                            .fastest_is_one = !server,
                            .tick_s = server ? TracedFleet{}.tick_s : tick_s};
    auto trace = read_trace(recipe.trace, fleet, alone ? nullptr : notes);
    if (!trace) return tl::unexpected(trace.error());
    if (alone && notes != nullptr) notes->push_back(trace_is_unused(recipe.trace));
    recipe.trace.clear();
    if (server && (*trace)->has_latency()) {
        recipe.federated.clock.gradient_s = static_cast<float>(tick_s);
        recipe.federated.clock.download_s = recipe.federated.clock.upload_s = 0.0f;
    }
    recipe.federated.traced = *trace;
    follow(recipe.gossip, *std::move(trace), false);
    return {};
}

}  // namespace

Outcome<std::unique_ptr<GossipFleet>> make_any_fleet(const FleetRecipe& recipe, ConstVector<float> first,
                                                     std::uint32_t nodes, LearnerOf learner_of, Workers& workers,
                                                     DataNotes* notes) {
    if (!recipe.trace.empty()) {
        FleetRecipe traced = recipe;
        if (auto read = read_trace_of(traced, nodes, notes); !read) return tl::unexpected(read.error());
        return make_any_fleet(traced, first, nodes, std::move(learner_of), workers, notes);
    }
    const std::uint64_t seed = recipe.gossip.seed;
    if (!has_neighbours(recipe.by)) {
        if (recipe.gossip.absences.any())
            return refuse(
                fmt::format("network.gone: only for aggregation.name = pars-push; with {} no node is killed",
                            name_of(recipe.by)));
        if (recipe.gossip.lives.crashes())
            return refuse(
                fmt::format("network.crash_gap: nodes crash where they agree with neighbours; with "
                            "aggregation.name = {} none does, so set 0",
                            name_of(recipe.by)));
    }
    if (has_server(recipe.by))
        return make_served_fleet(recipe.federated, seed, first, nodes, std::move(learner_of), workers);
    const bool together = has_one_model(recipe.by);
    std::vector<float> start;
    for (std::uint32_t i = 0; i < (together ? 1 : nodes); ++i)
        start.insert(start.end(), first.begin(), first.end());
    if (!has_neighbours(recipe.by))
        return make_alone_fleet(nodes, together, recipe.gossip, start, std::move(learner_of), workers.count(),
                                workers.ranks());
    auto graph = read_graph(recipe.graph, seed, recipe.section, notes);
    if (graph && traits_of(recipe.by).undirected) {
        const std::string where = fmt::format("{}.graph = \"{}\"", recipe.section, recipe.graph.kind);
        graph = take_both_ways(*std::move(graph), where, name_of(recipe.by), notes);
    }
    if (!graph) return tl::unexpected(graph.error());
    return make_gossip_fleet(recipe.by, *graph, recipe.gossip, start, std::move(learner_of), workers.count(),
                             workers.ranks());
}

}  // namespace dunlin

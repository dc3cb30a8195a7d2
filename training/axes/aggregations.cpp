// SPDX-License-Identifier: Apache-2.0
#include "training/axes/aggregations.hpp"

#include "training/axes/machines.hpp"

#include <array>

namespace dunlin {
namespace {

template <class Rule>
constexpr AggregationTraits served() {
    return {.name = Rule::traits.name,
            .title = Rule::traits.title,
            .carries = Rule::traits.carries,
            .with = AgreesWith::server,
            .sent = Rule::traits.sent,
            .rounds = Rule::gathering == Gathering::participants,
            .state_bytes = [](std::size_t d, std::size_t) { return MachinesOf<Rule>::Client::memory(d); }};
}

template <FleetNode Node>
constexpr AggregationTraits gossiping() {
    return {.name = Node::traits.name,
            .title = Node::traits.title,
            .carries = Node::traits.carries,
            .with = AgreesWith::neighbours,
            .sent = Node::traits.sent,
            .rounds = Node::traits.rounds,
            .undirected = Node::traits.undirected,
            .holds_mass = Node::traits.holds_mass,
            .least_eigenvalue = Node::traits.least_eigenvalue,
            .state_bytes = [](std::size_t d, std::size_t in_degree) { return Node::memory(d, in_degree); }};
}

constexpr std::array<AggregationTraits, aggregation_count> all{
#define DUNLIN_SERVED(name, machine) served<machine>(),
#define DUNLIN_GOSSIPING(name, machine) gossiping<machine>(),
    DUNLIN_SERVER_RULES(DUNLIN_SERVED) DUNLIN_GOSSIP_NODES(DUNLIN_GOSSIPING)
#undef DUNLIN_SERVED
#undef DUNLIN_GOSSIPING
        AggregationTraits{.name = "local", .title = "each alone"},
    AggregationTraits{.name = "global", .title = "one model for all"}};

}  // namespace

const AggregationTraits& traits_of(AggregationName name) {
    return all[static_cast<std::size_t>(name)];
}

}  // namespace dunlin

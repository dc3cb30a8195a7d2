// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Every aggregation: its name in code, and the machine of core/aggregate that does it and states the rest of itself
/// (ServerTraits, GossipTraits). A new one is a line here, and the machine's header in training/axes/machines.hpp.
// clang-format off
#define DUNLIN_SERVER_RULES(X) \
    X(persafl, PersaflRule) \
    X(fedasync, FedAsyncRule) \
    X(fedbuff, FedBuffRule) \
    X(fedavg, FedAvgRule) \
    X(fedprox, FedProxRule) \
    X(scaffold, ScaffoldRule) \
    X(fedadam, FedAdamRule)
#define DUNLIN_GOSSIP_NODES(X) \
    X(pars_push, ParsPush<>) \
    X(sgp, StochasticGradientPush) \
    X(dpsgd, Dpsgd) \
    X(dsgd, SynchronousDescent<>) \
    X(spd, PrimalDual<>) \
    X(gnsd, GradientTracking<>) \
    X(push_pull, PushPull<>) \
    X(hgp, HyperGradientRounds<>)
// clang-format on

namespace dunlin {

/// How nodes agree: by a server, with neighbours, or not at all.
enum class AggregationName : std::uint8_t {
#define DUNLIN_NAME(name, machine) name,
    DUNLIN_SERVER_RULES(DUNLIN_NAME) DUNLIN_GOSSIP_NODES(DUNLIN_NAME)
#undef DUNLIN_NAME
        local,  ///< each node alone, from the same first parameters
    global      ///< one model, trained in one place on everybody's data
};
inline constexpr std::size_t aggregation_count = static_cast<std::size_t>(AggregationName::global) + 1;

/// Whom nodes agree with.
enum class AgreesWith : std::uint8_t { server, neighbours, nobody };

/// What an aggregation states about itself.
struct AggregationTraits {
    std::string_view name;          ///< on the command line
    std::string_view title;         ///< for people
    std::string_view carries = {};  ///< what messages hold besides the parameters
    AgreesWith with = AgreesWith::nobody;
    std::size_t sent = 0;     ///< vectors of d numbers in a message; of a server's, down
    bool rounds = false;      ///< waits for all who take part, or for all neighbours
    bool undirected = false;  ///< needs every edge in both directions
    bool holds_mass = false;
    /// By rounds without a server: above this must lie all eigenvalues of the mixing matrix.
    double least_eigenvalue = -1.0;
    /// Bytes of a node's state for d parameters and so many in-neighbours; null where there is no machine.
    std::size_t (*state_bytes)(std::size_t dimension, std::size_t in_degree) = nullptr;
};
const AggregationTraits& traits_of(AggregationName name);

/// Is there a server?
inline bool has_server(AggregationName name) {
    return traits_of(name).with == AgreesWith::server;
}
/// Do nodes agree among themselves?
inline bool has_neighbours(AggregationName name) {
    return traits_of(name).with == AgreesWith::neighbours;
}
/// Is there one model that all nodes share?
inline bool has_one_model(AggregationName name) {
    return has_server(name) || name == AggregationName::global;
}

}  // namespace dunlin

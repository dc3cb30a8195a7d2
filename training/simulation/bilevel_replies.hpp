// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/simulation/bilevel_fleet.cpp alone: what its nodes say, and what ranks tell each other of it.

#include "core/error.hpp"
#include "training/host/rank_group.hpp"
#include "transport/simulation/network.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dunlin {

/// What a node says in a round, and to whom.
struct BilevelReply {
    simulation::Payload payload;
    std::vector<std::uint32_t> hearers;
    std::optional<Error> error;
};

/// What each rank has of its own, in the order of ranks.
std::vector<RankGroup::Bytes> told(RankGroup& ranks, RankGroup::Bytes own);

/// Every rank has the replies of its block of nodes; then all have all. Errors: payloads that the network has no room for.
Result<void> exchange_replies(RankGroup& ranks, simulation::Network& network, std::span<BilevelReply> replies);
/// The same of errors alone.
void exchange_errors(RankGroup& ranks, std::span<BilevelReply> replies);

}  // namespace dunlin

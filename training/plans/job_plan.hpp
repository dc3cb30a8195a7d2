// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/defence.hpp"
#include "training/axes/aggregations.hpp"
#include "training/axes/machines.hpp"
#include "training/axes/update_limits.hpp"
#include "transport/graph.hpp"
#include "transport/messages.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace dunlin {

#define DUNLIN_RULE(name, rule) , rule
template <class, class... Rules>
using OneOf = std::variant<Rules...>;
/// A server's rule: one of the table, in its order.
using AnyServerRule = OneOf<void DUNLIN_SERVER_RULES(DUNLIN_RULE)>;
#undef DUNLIN_RULE
/// That of this name, which has a server.
AnyServerRule rule_of(AggregationName name, const RuleSettings& settings);

/// How the updates of a job are masked (fleet/masks/).
struct MaskPlan {
    std::uint32_t group = 0;  ///< most members of a group; 0: nothing is masked
    MaskTerms terms;

    bool enabled() const { return group > 0; }
};

/// What a round's sum may tell about one member (core/robust/private_sum.hpp).
struct PrivatePlan {
    float clip = 0.0f;      ///< C; 0: nothing is private
    float noise = 0.0f;     ///< sigma, in multiples of C
    float delta = 1e-5f;    ///< of the (epsilon, delta) that is stated
    float expected = 1.0f;  ///< members that a round invites in the mean, by whom its sum is divided

    bool enabled() const { return clip > 0.0f; }
};

/// How a coordinator treats the updates of a federated job.
struct ServerPlan {
    AnyServerRule rule;
    Defence defence;  ///< of what it gathers
    MaskPlan masks;
    PrivatePlan privacy;
    std::uint64_t staleness_limit = ServerSettings::unbounded;
    float component_limit = 1e6f;               ///< an update with a larger component is refused
    float norm_limit = 1e9f;                    ///< or with a larger Euclidean norm
    float norm_factor = UpdateLimits{}.factor;  ///< or one that is so many times the usual one; 0: not looked at
    float concurrency = 1.0f;                   ///< share of the members that a round invites
    /// After that a round ends without those that have not delivered; 0: after what they took before suggests.
    std::uint32_t patience_ms = 0;
};

/// When a job is done: at the first of these that is not 0. With none it lasts until it is stopped.
struct JobBudget {
    std::uint64_t updates = 0;  ///< federated: updates taken
    std::uint64_t rounds = 0;   ///< federated: versions of the model; else rounds, or ticks, of every member
    std::uint64_t seconds = 0;  ///< in which the job ran
};

/// An experiment made ready for real nodes: what the coordinator needs to run it, and what each node is told.
struct JobPlan {
    std::string name;            ///< of the experiment
    std::string experiment;      ///< a resolved config.toml
    JobTerms terms;              ///< what all members share; `member_terms` fills in the rest
    std::vector<float> samples;  ///< federated: weight of each member in a round's mean
    std::vector<float> first;    ///< the parameters that all start from; d of them
    ServerPlan server;           ///< federated
    GraphRecipe graph;           ///< push-sum; `nodes` is set to those who take part
    /// Push-sum: all edges of the graph, taken both ways, weigh the same (D-PSGD; JobTerms::least_parts).
    bool equal_shares = false;
    JobBudget budget;
    std::uint32_t removal_ms = 0;  ///< push-sum: a member that is away for longer is gone for good; 0: never
    std::uint32_t regroup_ms =
        0;  ///< push-sum: the others go on without one that is away for longer; 0: by the round

    std::uint32_t members() const { return terms.members; }
    /// Does each edge of the graph have its reverse?
    bool both_ways() const {
        return equal_shares || (says_floats(terms.aggregation) && terms.aggregation != Aggregation::push_pull);
    }

    /// What member i is told. The text is this plan's, the neighbours are the caller's (push-sum; else empty).
    JobTerms member_terms(std::uint32_t member, std::uint32_t epoch = 1,
                          std::span<const std::uint32_t> in_neighbours = {},
                          std::span<const std::uint32_t> out_neighbours = {}) const {
        JobTerms told = terms;
        told.epoch = epoch;
        told.member = member;
        told.experiment = experiment;
        if (member < samples.size()) told.samples = samples[member];
        told.in_neighbours = in_neighbours;
        told.out_neighbours = out_neighbours;
        return told;
    }
};

}  // namespace dunlin

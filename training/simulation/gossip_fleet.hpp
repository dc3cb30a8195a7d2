// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/aggregations.hpp"
#include "training/axes/gossip_settings.hpp"
#include "training/host/failure.hpp"
#include "training/host/rank_group.hpp"
#include "training/simulation/learner.hpp"
#include "transport/graph.hpp"
#include "transport/mixing.hpp"
#include "transport/simulation/network.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// What the nodes did so far.
struct GossipCounters {
    std::int64_t wake_ups = 0;
    std::int64_t waits = 0;      ///< wake-ups of a node whose y was too small to share
    std::int64_t gradients = 0;  ///< task gradients taken; a Hessian-vector product counts as two
    std::int64_t crashes = 0;
    std::int64_t withheld = 0;  ///< shares that stayed at home, because too much of a neighbour's was unconfirmed
    std::int64_t epochs = 0;    ///< that ended, because nodes went or joined

    GossipCounters& operator+=(const GossipCounters& other);

    template <class Archive>
    void fields(Archive& archive) {
        archive(wake_ups, waits, gradients, crashes, withheld, epochs);
    }
};

class Saver;
class Loader;

/// A fleet of nodes without a server on a simulated network: every node a learner (any task, any adaptation) and a
/// machine of core/aggregate. Nodes sleep, crash and restart from the state that they stored before their last
/// message left (invariant 4); a node that is down hears nothing.
///
/// A method that mixes by rounds goes on as soon as a node is awake and has heard all its neighbours; a node that
/// hears nothing for long says again what it said. Without faults every tick is one round.
///
/// The same seed gives the same run for any number of threads: nodes of one tick are served in parallel, and what
/// they say is sent afterwards in order.
///
/// And for any number of ranks: each has the whole network, and serves the nodes of its block alone; what they say is
/// told to the others after every tick. All ranks call the same functions, and get the same answers but from `estimate`
/// and `weight`, which know the nodes of `ranks().block(nodes())`.
class GossipFleet {
public:
    using Time = simulation::Time;

    virtual ~GossipFleet() = default;

    /// Lives through all ticks up to and including `until`. With one thread `after_event` is called after every
    /// wake-up, message, crash and restart. Error: a node that diverged, with its number and the tick; the fleet is
    /// then of no further use but to be looked at.
    virtual Outcome<void> run(Time until, const std::function<void()>& after_event = {}) = 0;

    virtual std::uint32_t nodes() const = 0;
    virtual std::size_t dimension() const = 0;
    /// The processes that its nodes are spread over.
    virtual RankGroup& ranks() const { return RankGroup::alone(); }
    /// Of the graph; 0 where there is none.
    virtual std::uint32_t edges() const { return 0; }
    /// z of a node; `out` holds dimension() floats.
    virtual void estimate(std::uint32_t node, Vector<float> out) const = 0;
    /// y of a node; 1 for methods without.
    virtual float weight(std::uint32_t node) const = 0;
    /// Does it take part now? One that was killed does until it is given up.
    virtual bool present(std::uint32_t) const { return true; }
    /// How far the total mass is from the initial one less all steps taken, in units of the fixed point, the
    /// largest of any component and of y: 0, or something is wrong (invariant 1). None for a method without mass,
    /// or without `audit`.
    virtual std::optional<std::uint64_t> mass_error() const = 0;
    /// Where consensus must come to rest: total x over total y. Empty for a method without mass.
    virtual std::vector<float> mean() const = 0;
    virtual GossipCounters counters() const = 0;
    virtual const simulation::Counters& messages() const = 0;
    /// Is shown every message from now on.
    virtual void set_tap(simulation::Network::Tap tap) = 0;
    virtual Time now() const = 0;
    /// A hash of all that happened (invariant 11).
    virtual std::uint64_t trace() const = 0;
    /// Memory of a node's machine in bytes, on average.
    virtual double bytes_per_node() const = 0;

    /// Writes what the fleet must remember to go on, between two calls of `run`.
    virtual void save(Saver& saver) const = 0;
    /// Goes on from there: of a fleet that was just made in the same way, for any number of threads. Errors: those of
    /// the machines and of the network, when it was another fleet's; the fleet is then of no further use. Where bytes
    /// are missing `loader` says so.
    virtual Result<void> restore(Loader& loader) = 0;

    /// All z, one after the other.
    std::vector<float> estimates() const;
    /// The largest distance of a node that is present from the mean of their z, relative to the mean's norm, or to
    /// that of the largest z if the mean is zero. 0 if all are the same; infinite if one of them is not finite.
    double consensus_error() const;
};

/// A fleet on `graph`, whose nodes start at the z in `start` (n d floats, one after the other). Without
/// `learner_of` the nodes only agree. Errors name the setting: a graph that is not strongly connected (methods that
/// mix: not undirected), a mixing matrix with an eigenvalue that makes the method diverge, a mass that does not fit
/// the fixed point, a setting out of range.
Outcome<std::unique_ptr<GossipFleet>> make_gossip_fleet(AggregationName method, const Graph& graph,
                                                        const GossipSettings& settings,
                                                        std::span<const float> start, LearnerOf learner_of,
                                                        int threads, RankGroup& ranks = RankGroup::alone());

/// The weights that a method by rounds gets on this graph. Errors: not undirected; an eigenvalue out of bounds,
/// with the figure and what to do.
Outcome<ChosenMixing> mixing_of(AggregationName method, const Graph& graph, Mixing kind, double rho_over_tau);

/// "node 3, tick 512: ..."
Failure diverged(const Error& error, std::uint32_t node, simulation::Time tick, float largest_value);

}  // namespace dunlin

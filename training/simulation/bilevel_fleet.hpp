// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/bilevel_task.hpp"
#include "core/fixed_point.hpp"
#include "training/host/failure.hpp"
#include "training/host/workers.hpp"
#include "transport/random_edges.hpp"
#include "transport/simulation/network.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace dunlin {

/// What a node of a bilevel fleet computes with, whatever its task is: a BilevelTask that has the node's data.
class BilevelLearner {
public:
    virtual ~BilevelLearner() = default;
    /// df/dx on a fresh batch.
    virtual void gradient(ConstVector<float> x, ConstVector<float> lambda, Stream& random, Vector<float> out) = 0;
    /// (d2f/dx2) s and (d2f/dlambda dx) s on a fresh batch.
    virtual void products(ConstVector<float> x, ConstVector<float> lambda, ConstVector<float> s, Stream& random,
                          Vector<float> hessian, Vector<float> mixed) = 0;
    /// dF/dx and dF/dlambda. Returns the batches' worth of gradients that it cost.
    virtual int outer_gradient(ConstVector<float> x, ConstVector<float> lambda, Vector<float> inner,
                               Vector<float> outer) = 0;
};

/// The learner that stands in for a node on thread `worker` until the same thread asks for another.
using BilevelLearnerOf = std::function<BilevelLearner&(std::uint32_t node, int worker)>;

struct BilevelFleetSettings {
    std::uint64_t seed = 1;
    std::size_t outer_dimension = 0;
    FixedPoint format = {};
    float largest_value = 1000.0f;  ///< a node whose |z| goes beyond has diverged; n times it must fit the format
    bool trace_payloads = false;    ///< the trace covers what messages say
};

/// How a hyper-gradient is estimated.
struct HyperGradientSettings {
    int steps = 20;           ///< M, terms of the Neumann series; 0: the local outer gradient alone
    float inner_rate = 0.1f;  ///< eta of the push whose fixed point is differentiated
    bool one_sample = true;   ///< one graph and batch for both Jacobians of a step; false: two, as Algorithm 2
};

class Saver;
class Loader;

/// What all nodes together did so far. A Hessian-vector product, with the mixed one, counts as two gradients.
struct BilevelCounters {
    std::int64_t rounds = 0;        ///< of gradient push
    std::int64_t hyper_rounds = 0;  ///< of hyper-gradient push
    std::int64_t gradients = 0;
    std::uint64_t push_messages = 0, hyper_messages = 0;
    std::uint64_t push_bytes = 0, hyper_bytes = 0;

    /// What a node sends in a round, in bytes.
    template <class Archive>
    void fields(Archive& archive) {
        archive(rounds, hyper_rounds, gradients, push_messages, hyper_messages, push_bytes, hyper_bytes);
    }
    double push_bytes_per_round(std::uint32_t nodes) const {
        return rounds > 0 ? static_cast<double>(push_bytes) / static_cast<double>(rounds * nodes) : 0.0;
    }
    double hyper_bytes_per_round(std::uint32_t nodes) const {
        return hyper_rounds > 0 ? static_cast<double>(hyper_bytes) / static_cast<double>(hyper_rounds * nodes)
                                : 0.0;
    }
};

/// A fleet of nodes on a random directed graph that solves a bilevel problem: gradient push for x, hyper-gradient
/// push for the derivatives by each node's lambda, in rounds that all nodes take together. lambda belongs to the
/// caller (n outer_dimension() floats, one node after the other) and never enters a message (invariant 10).
///
/// The same seed gives the same run for any number of threads, and of ranks: each computes for the nodes of its block, and
/// tells the others what they say. All ranks call the same functions, and get the same answers but from `estimate` and
/// `weight`, which know the nodes of `ranks().block(nodes())`.
class BilevelFleet {
public:
    virtual ~BilevelFleet() = default;

    virtual std::uint32_t nodes() const = 0;
    virtual std::size_t dimension() const = 0;
    /// The processes that its nodes are spread over.
    virtual RankGroup& ranks() const = 0;

    /// A round of gradient push with steps of size `rate`; without `talk` every node steps alone. Error: a node
    /// that diverged, with its number and the round; the fleet is then of no further use.
    virtual Outcome<void> push(std::span<const float> lambda, float rate, bool talk) = 0;
    /// Estimates d(sum of F)/dlambda_i into each node's part of `out`. Error: a node whose series diverged.
    virtual Outcome<void> hyper_gradient(std::span<const float> lambda, const HyperGradientSettings& settings,
                                         std::span<float> out) = 0;

    /// z of a node; `out` holds dimension() floats.
    virtual void estimate(std::uint32_t node, Vector<float> out) const = 0;
    /// y of a node.
    virtual float weight(std::uint32_t node) const = 0;
    virtual const BilevelCounters& counters() const = 0;
    virtual const simulation::Counters& messages() const = 0;
    /// Is shown every message from now on.
    virtual void set_tap(simulation::Network::Tap tap) = 0;
    /// Total mass, exact: of all x and of y.
    virtual void mass(std::vector<Mass>& x, Mass& y) const = 0;
    /// A hash of all that arrived (invariant 11).
    virtual std::uint64_t trace() const = 0;

    /// Writes what the fleet must remember to go on, between two calls of `push` and `hyper_gradient`; goes on from
    /// there, as GossipFleet::restore.
    virtual void save(Saver& saver) const = 0;
    virtual Result<void> restore(Loader& loader) = 0;
};

/// All nodes start at `start`. `workers` belongs to the caller. Errors: a mass that does not fit the fixed point, a
/// start that is not finite.
Outcome<std::unique_ptr<BilevelFleet>> make_bilevel_fleet(const RandomEdges& edges,
                                                          const BilevelFleetSettings& settings,
                                                          ConstVector<float> start, BilevelLearnerOf learner_of,
                                                          Workers& workers);

/// Bytes that such a fleet takes, but for what its learners need.
std::size_t bilevel_fleet_bytes(std::uint32_t nodes, std::size_t dimension, std::size_t outer_dimension);

}  // namespace dunlin

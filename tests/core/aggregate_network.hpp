// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "aggregate_memory.hpp"
#include "core/aggregate/pars_push.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dunlin::test {

/// in[i]: the in-neighbours of node i, ascending.
struct Graph {
    std::vector<std::vector<std::uint32_t>> in;

    std::uint32_t size() const { return static_cast<std::uint32_t>(in.size()); }
    std::uint32_t out_degree(std::uint32_t node) const {
        std::uint32_t degree = 0;
        for (const auto& sources : in) degree += std::count(sources.begin(), sources.end(), node) > 0;
        return degree;
    }
};

/// A directed ring in random order, and every other edge with probability `density`: strongly connected.
inline Graph random_graph(std::uint32_t nodes, float density, Stream& random) {
    std::vector<std::uint32_t> ring(nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) ring[i] = i;
    for (std::uint32_t i = nodes - 1; i > 0; --i) std::swap(ring[i], ring[random.below(i + 1)]);
    std::vector<std::uint32_t> before(nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) before[ring[(i + 1) % nodes]] = ring[i];
    Graph graph{std::vector<std::vector<std::uint32_t>>(nodes)};
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::uint32_t j = 0; j < nodes; ++j) {
            if (i != j && (before[i] == j || random.uniform() < density)) graph.in[i].push_back(j);
        }
    }
    return graph;
}

struct Faults {
    float sleep = 0;  ///< probability that a node sleeps through a tick
    float loss = 0;
    float duplication = 0;
    std::uint32_t longest_delay = 1;  ///< ticks, drawn from 1..longest_delay, so messages overtake each other
    float crash = 0;                  ///< probability that a node loses everything since its last stored state
    float close = 0;                  ///< probability that an edge closes, or opens again, before a wake-up
};

/// A fleet of push-sum nodes on a faulty network, one tick at a time. `audit` is called after every single event: a
/// wake-up, a message taken in, a crash with its restart.
template <class Node>
class Network {
public:
    using Value = typename Node::Value;

    Network(const Graph& graph, const std::vector<std::vector<float>>& start, ParsPushSettings settings,
            Stream random)
        : graph_(graph), random_(random) {
        settings.network.nodes = graph.size();
        settings.network.dimension = start[0].size();
        expected_x_.resize(settings.network.dimension);
        for (std::uint32_t i = 0; i < graph.size(); ++i) {
            settings.network.node = i;
            settings.network.in_neighbours = graph.in[i];
            settings.network.out_degree = graph.out_degree(i);
            memory_.emplace_back(Node::memory(start[0].size(), graph.in[i].size(), settings.network.closable()));
            Arena arena = memory_.back().arena();
            auto node = Node::make(settings, start[i], arena);
            REQUIRE(node);
            nodes_.push_back(std::move(*node));
            stored_.emplace_back();
            store(i);
        }
        for (const Node& node : nodes_) node.add_mass(expected_x_, expected_y_);
    }

    /// Invariant 1: is the mass of nodes and edges the initial mass less all gradient steps, to the bit?
    bool conserved() const {
        std::vector<Value> x(expected_x_.size());
        Value y{};
        for (const Node& node : nodes_) node.add_mass(x, y);
        return x == expected_x_ && y == expected_y_;
    }

    /// Every node in turn. gradient(i, z, out) fills `out`; null takes no steps.
    template <class Gradient, class Audit>
    void tick(const Faults& faults, Gradient&& gradient, Audit&& audit) {
        std::vector<float> z(expected_x_.size()), step(expected_x_.size());
        for (std::uint32_t i = 0; i < graph_.size(); ++i) {
            if (random_.uniform() < faults.crash) {
                REQUIRE(nodes_[i].restore(stored_[i]));
                audit(*this);
            }
            deliver(i, audit);
            if (random_.uniform() < faults.sleep) continue;
            for (std::uint32_t edge = 0; faults.close > 0 && edge < graph_.out_degree(i); ++edge) {
                if (random_.uniform() >= faults.close) continue;
                nodes_[i].edge_closed(edge) ? nodes_[i].open_edge(edge) : nodes_[i].close_edge(edge);
            }
            nodes_[i].estimate(z);
            std::span<const float> given;
            if constexpr (!std::is_null_pointer_v<std::decay_t<Gradient>>) {
                gradient(i, z, step);
                given = step;
            }
            const auto woken = nodes_[i].wake(now_, given);
            if (!woken) {
                ++refusals;
                continue;
            }
            if (woken->step_size != 0) expect_step(woken->step_size, given);
            waits += woken->waited;
            store(i);
            audit(*this);
            send(i, faults);
        }
        ++now_;
    }

    /// Delivers all that is in flight.
    template <class Audit>
    void drain(Audit&& audit) {
        now_ += 1000;
        for (std::uint32_t i = 0; i < graph_.size(); ++i) deliver(i, audit);
    }

    std::vector<float> estimate(std::uint32_t i) const {
        std::vector<float> z(expected_x_.size());
        nodes_[i].estimate(z);
        return z;
    }

    /// Where consensus must come to rest: the total mass divided by n.
    std::vector<float> mean() const {
        std::vector<float> mean;
        for (const Value x : expected_x_) mean.push_back(static_cast<float>(x) / static_cast<float>(expected_y_));
        return mean;
    }

    /// Largest distance of any node's component from the mean.
    float distance(const std::vector<float>& mean) const {
        float largest = 0;
        for (std::uint32_t i = 0; i < graph_.size(); ++i) {
            const std::vector<float> z = estimate(i);
            for (std::size_t k = 0; k < z.size(); ++k) {
                largest = std::isfinite(z[k]) ? std::max(largest, std::abs(z[k] - mean[k])) : INFINITY;
            }
        }
        return largest;
    }

    Node& node(std::uint32_t i) { return nodes_[i]; }
    const Node& node(std::uint32_t i) const { return nodes_[i]; }
    std::uint32_t size() const { return graph_.size(); }

    int refusals = 0, waits = 0, stale = 0;

private:
    struct Message {
        std::int64_t due;
        std::uint32_t receiver, sender;
        std::int64_t kappa;
        std::vector<Value> values;
        Value weight;
    };

    void send(std::uint32_t sender, const Faults& faults) {
        std::vector<Value> scratch(expected_x_.size());
        std::uint32_t edge = 0;
        for (std::uint32_t i = 0; i < graph_.size(); ++i) {
            const auto& sources = graph_.in[i];
            if (std::find(sources.begin(), sources.end(), sender) == sources.end()) continue;
            const Share<Value> share = nodes_[sender].share_to(edge++, scratch);
            const int copies = random_.uniform() < faults.duplication ? 2 : 1;
            for (int copy = 0; copy < copies; ++copy) {
                if (random_.uniform() < faults.loss) continue;
                const std::int64_t due = now_ + 1 + random_.below(faults.longest_delay);
                flying_.push_back(
                    {due, i, share.sender, share.kappa, {share.values.begin(), share.values.end()}, share.weight});
            }
        }
    }

    template <class Audit>
    void deliver(std::uint32_t receiver, Audit&& audit) {
        for (std::size_t m = 0; m < flying_.size();) {
            if (flying_[m].receiver != receiver || flying_[m].due > now_) {
                ++m;
                continue;
            }
            const Message message = std::move(flying_[m]);
            flying_[m] = std::move(flying_.back());
            flying_.pop_back();
            const auto receipt =
                nodes_[receiver].receive({message.sender, message.kappa, message.values, message.weight});
            REQUIRE(receipt);
            stale += *receipt == Receipt::stale;
            audit(*this);
        }
    }

    void expect_step(float step_size, std::span<const float> gradient) {
        for (std::size_t k = 0; k < gradient.size(); ++k) {
            Value step{};
            nodes_[0].representation().from_float(step_size * gradient[k], step);
            expected_x_[k] = minus(expected_x_[k], step);
        }
    }
    static Value minus(Value a, Value b) {
        if constexpr (std::is_integral_v<Value>) return subtract_wrapped(a, b);
        return a - b;
    }

    void store(std::uint32_t i) {
        const auto state = nodes_[i].state();
        stored_[i].assign(state.begin(), state.end());
    }

    Graph graph_;
    Stream random_;
    std::vector<Memory> memory_;
    std::vector<Node> nodes_;
    std::vector<std::vector<std::byte>> stored_;
    std::vector<Message> flying_;
    std::vector<Value> expected_x_;
    Value expected_y_{};
    std::int64_t now_ = 0;
};

inline constexpr auto no_audit = [](const auto&) {};

}  // namespace dunlin::test

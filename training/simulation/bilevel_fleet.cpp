// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/bilevel_fleet.hpp"

#include "core/aggregate/gradient_push.hpp"
#include "core/aggregate/hyper_gradient_push.hpp"
#include "training/host/archive.hpp"
#include "training/host/host_memory.hpp"
#include "training/simulation/bilevel_replies.hpp"
#include "training/simulation/gossip_fleet.hpp"
#include "transport/simulation/network_state.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

std::size_t node_bytes(std::size_t dimension, std::size_t outer_dimension, std::size_t neighbours) {
    return GradientPush::memory(dimension, neighbours) +
           HyperGradientPush::memory(dimension, outer_dimension, neighbours);
}

class SimulatedBilevel final : public BilevelFleet {
public:
    static Outcome<std::unique_ptr<SimulatedBilevel>> make(const RandomEdges& edges,
                                                           const BilevelFleetSettings& settings,
                                                           ConstVector<float> start, BilevelLearnerOf learner_of,
                                                           Workers& workers) {
        const Result<Graph> graph = complete_graph(edges.nodes());
        if (!graph) return refuse(graph.error(), "data.agents");
        std::unique_ptr<SimulatedBilevel> fleet(
            new SimulatedBilevel(*graph, edges, settings, start.size(), std::move(learner_of), workers));
        auto network = simulation::Network::create(
            fleet->graph_, {}, {.seed = settings.seed, .trace_payloads = settings.trace_payloads});
        if (!network) return refuse(network.error(), "network");
        fleet->network_ = std::make_unique<simulation::Network>(*std::move(network));
        for (std::uint32_t i = 0; i < edges.nodes(); ++i) {
            if (Result<void> added = fleet->add(i, start); !added) {
                return refuse(added.error(), "network.fraction_bits, method.largest_value");
            }
        }
        return fleet;
    }

    std::uint32_t nodes() const override { return edges_.nodes(); }
    std::size_t dimension() const override { return dimension_; }
    void estimate(std::uint32_t node, Vector<float> out) const override { members_[node].push.estimate(out); }
    float weight(std::uint32_t node) const override { return members_[node].push.weight(); }
    const BilevelCounters& counters() const override { return counters_; }
    const simulation::Counters& messages() const override { return network_->counters(); }
    void set_tap(simulation::Network::Tap tap) override { network_->set_tap(std::move(tap)); }
    RankGroup& ranks() const override { return workers_.ranks(); }
    void mass(std::vector<Mass>& x, Mass& y) const override {
        std::vector<Mass> all(dimension_ + 1);
        ranks().in_turn(std::span(all), [&] {
            for (std::uint32_t i = own_.first; i < own_.last; ++i)
                members_[i].push.add_mass(std::span(all).first(dimension_), all.back());
        });
        y = all.back();
        all.pop_back();
        x = std::move(all);
    }
    std::uint64_t trace() const override { return network_->trace(); }

    Outcome<void> push(std::span<const float> lambda, float rate, bool talk) override {
        each_node([&](std::uint32_t i, int worker, Reply& reply) -> Result<void> {
            Member& member = members_[i];
            Desk& desk = desks_[static_cast<std::size_t>(worker)];
            member.push.estimate(desk.z);
            if (const std::size_t k = first_beyond(desk.z, settings_.largest_value); k < dimension_) {
                return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
            }
            learner_of_(i, worker).gradient(desk.z, own(lambda, i), member.batches, desk.gradient);
            reply.hearers.clear();
            if (talk) edges_.draw(i, member.edges, reply.hearers);
            if (auto opened = member.push.open(reply.hearers, rate); !opened) return opened;
            const auto woken = member.push.wake(counters_.rounds, desk.gradient);
            if (!woken) return tl::unexpected(woken.error());
            return woken->waited ? Result<void>{} : pack(woken->share, reply);
        });
        if (Outcome<void> sent = post(counters_.rounds, counters_.push_messages, counters_.push_bytes); !sent) {
            return sent;
        }
        Outcome<void> heard = hear();
        counters_.gradients += nodes();
        ++counters_.rounds;
        return heard;
    }

    Outcome<void> hyper_gradient(std::span<const float> lambda, const HyperGradientSettings& settings,
                                 std::span<float> out) override {
        std::vector<int> costs(nodes());
        in_series_ = true;
        each_node([&](std::uint32_t i, int worker, Reply&) -> Result<void> {
            Member& member = members_[i];
            Desk& desk = desks_[static_cast<std::size_t>(worker)];
            member.push.estimate(desk.z);
            costs[i] = learner_of_(i, worker).outer_gradient(desk.z, own(lambda, i), desk.gradient, desk.mixed);
            member.push.reverse_weights(desk.weights);
            return member.hyper.begin(hyper_round_, desk.gradient, desk.mixed,
                                      static_cast<float>(member.push.mean_weight()),
                                      static_cast<float>(member.push.kept_share()), desk.weights);
        });
        if (Outcome<void> begun = settle(); !begun) return begun;
        ranks().share(std::span(costs), nodes());
        counters_.gradients += std::accumulate(costs.begin(), costs.end(), std::int64_t{0});
        for (int m = 0; m < settings.steps; ++m) {
            if (Outcome<void> done = neumann_step(lambda, settings); !done) return done;
        }
        ++hyper_round_;
        in_series_ = false;
        for (std::uint32_t i = own_.first; i < own_.last; ++i) {
            const ConstVector<float> gradient = members_[i].hyper.gradient();
            std::copy(gradient.begin(), gradient.end(),
                      out.begin() + i * std::ptrdiff_t(settings_.outer_dimension));
        }
        ranks().share(out, nodes());
        return {};
    }

    // A series begins anew with every hyper-gradient: between two of them nothing of it counts.
    void save(Saver& saver) const override {
        saver(counters_, hyper_round_, network_->save());
        Saver own;
        for (std::uint32_t i = own_.first; i < own_.last; ++i) {
            const auto state = members_[i].push.state();
            own(std::vector<std::byte>(state.begin(), state.end()), members_[i].batches, members_[i].edges);
        }
        for (const RankGroup::Bytes& part : told(ranks(), own.take())) saver.append(part);
    }
    Result<void> restore(Loader& loader) override {
        simulation::NetworkState network;
        loader(counters_, hyper_round_, network);
        if (!loader.ok()) return {};
        if (auto restored = network_->restore(network); !restored) return restored;
        for (Member& member : members_) {
            std::vector<std::byte> state;
            loader(state, member.batches, member.edges);
            if (!loader.ok()) return {};
            if (auto restored = member.push.restore(state); !restored) return restored;
        }
        return {};
    }

private:
    struct Member {
        HostMemory memory;
        GradientPush push;
        HyperGradientPush hyper;
        Stream batches, edges;
    };
    /// What a thread works with.
    struct Desk {
        std::vector<float> z, gradient, mixed, weights;
    };
    using Reply = BilevelReply;

    SimulatedBilevel(const Graph& graph, const RandomEdges& edges, const BilevelFleetSettings& settings,
                     std::size_t dimension, BilevelLearnerOf learner_of, Workers& workers)
        : graph_(graph),
          edges_(edges),
          settings_(settings),
          dimension_(dimension),
          learner_of_(std::move(learner_of)),
          workers_(workers),
          own_(workers.ranks().block(edges.nodes())),
          desks_(static_cast<std::size_t>(workers.count())),
          replies_(edges.nodes()) {
        for (Desk& desk : desks_) {
            desk.z.resize(dimension);
            desk.gradient.resize(dimension);
            desk.mixed.resize(settings.outer_dimension);
            desk.weights.resize(edges.nodes() - 1);
        }
        members_.reserve(edges.nodes());
    }

    Result<void> add(std::uint32_t i, ConstVector<float> start) {
        const std::span<const std::uint32_t> others = graph_.out(i);
        HostMemory memory(node_bytes(dimension_, settings_.outer_dimension, others.size()));
        Arena arena(memory.bytes());
        auto push = GradientPush::make({.node = i,
                                        .nodes = nodes(),
                                        .dimension = dimension_,
                                        .neighbours = others,
                                        .format = settings_.format,
                                        .largest_value = settings_.largest_value},
                                       start, arena);
        if (!push) return tl::unexpected(push.error());
        auto hyper = HyperGradientPush::make({i, nodes(), dimension_, settings_.outer_dimension, others}, arena);
        if (!hyper) return tl::unexpected(hyper.error());
        members_.push_back({std::move(memory), *std::move(push), *std::move(hyper),
                            Stream(settings_.seed, i, Purpose::samples),
                            Stream(settings_.seed, i, Purpose::links)});
        return {};
    }

    ConstVector<float> own(std::span<const float> lambda, std::uint32_t i) const {
        return lambda.subspan(i * settings_.outer_dimension, settings_.outer_dimension);
    }

    template <class Body>
    void each_node(const Body& body) {
        workers_.run(static_cast<int>(own_.size()), [&](int piece, int worker) {
            const std::uint32_t i = own_.first + static_cast<std::uint32_t>(piece);
            Reply& reply = replies_[i];
            reply.payload = {};
            reply.error.reset();
            if (Result<void> done = body(i, worker, reply); !done) reply.error = done.error();
        });
    }

    /// Steps 3 and 4 of Algorithm 2 for every node.
    Outcome<void> neumann_step(std::span<const float> lambda, const HyperGradientSettings& settings) {
        for (const bool outer : {true, false}) {
            if (!outer && settings.one_sample) break;
            if (Outcome<void> exchanged = exchange(); !exchanged) return exchanged;
            each_node([&](std::uint32_t i, int worker, Reply&) -> Result<void> {
                Member& member = members_[i];
                Desk& desk = desks_[static_cast<std::size_t>(worker)];
                member.push.estimate(desk.z);
                learner_of_(i, worker).products(desk.z, own(lambda, i), member.hyper.combined(), member.batches,
                                                desk.gradient, desk.mixed);
                if (outer) {
                    if (auto done = member.hyper.outer_step(desk.mixed, settings.inner_rate); !done) return done;
                    if (!settings.one_sample) member.hyper.next_round();
                }
                if (outer && !settings.one_sample) return {};
                return member.hyper.inner_step(desk.gradient, settings.inner_rate);
            });
            if (Outcome<void> done = settle(); !done) return done;
            counters_.gradients += 2 * std::int64_t{nodes()};
            ++hyper_round_;
            ++counters_.hyper_rounds;
        }
        return {};
    }

    /// Everybody says its u to whoever hears it.
    Outcome<void> exchange() {
        each_node([&](std::uint32_t i, int, Reply& reply) -> Result<void> {
            edges_.draw(i, members_[i].edges, reply.hearers);
            return reply.hearers.empty() ? Result<void>{} : pack(members_[i].hyper.share(), reply);
        });
        if (Outcome<void> sent = post(hyper_round_, counters_.hyper_messages, counters_.hyper_bytes); !sent) {
            return sent;
        }
        return deliver<float>(
            [](Member& member, const Share<float>& share) { return member.hyper.receive(share); });
    }

    /// A share as bytes: its values and, where it has mass, its weight.
    template <class V>
    Result<void> pack(const Share<V>& share, Reply& reply) {
        constexpr std::size_t extra = std::is_same_v<V, Mass> ? 1 : 0;
        Result<simulation::Payload> payload = network_->allocate((dimension_ + extra) * sizeof(V));
        if (!payload) return tl::unexpected(payload.error());
        const std::span<V> words = payload->template writable<V>();
        std::copy(share.values.begin(), share.values.end(), words.begin());
        if constexpr (extra > 0) words[dimension_] = share.weight;
        reply.payload = *std::move(payload);
        return {};
    }

    /// Sends what the nodes packed, in their order. Error: that of the first node that failed.
    Outcome<void> post(std::int64_t tag, std::uint64_t& messages, std::uint64_t& bytes) {
        if (auto known = exchange_replies(ranks(), *network_, replies_); !known)
            return refuse(known.error(), "network");
        if (Outcome<void> settled = settle(); !settled) return settled;
        for (std::uint32_t i = 0; i < nodes(); ++i) {
            const Reply& reply = replies_[i];
            if (reply.payload.size() == 0) continue;
            for (const std::uint32_t j : reply.hearers) {
                const std::uint32_t link = graph_.first_out(i) + (j < i ? j : j - 1);
                auto sent = network_->send(link, reply.payload, static_cast<std::uint64_t>(tag));
                if (!sent) return refuse(sent.error(), "network");
                ++messages;
                bytes += reply.payload.size();
            }
        }
        return {};
    }

    /// Hands out the round's shares of mass. With n nodes each is added to about n/2 others: block by block, so
    /// that a block of all shares stays in the cache.
    Outcome<void> hear() {
        Outcome<void> announced = deliver<Mass>([](Member& member, const Share<Mass>& share) -> Result<Receipt> {
            const Result<Receipt> receipt = member.push.announce(share);
            // Nothing repeats or overtakes here. If it did, what is added below would be added twice.
            if (receipt == Receipt::stale) return fail(Code::tick_not_newer, share.kappa, share.kappa);
            return receipt;
        });
        if (!announced) return announced;
        constexpr std::size_t block = 512;  // masses: 100 shares of 4 KB fit a second-level cache
        const std::size_t blocks = (dimension_ + block - 1) / block;
        std::vector<std::optional<std::uint32_t>> overflowed(blocks);
        workers_.run(static_cast<int>(blocks), [&](int piece, int) {
            const std::size_t first = static_cast<std::size_t>(piece) * block;
            const std::size_t count = std::min(block, dimension_ - first);
            for (const simulation::Batch::Group& group : batch_.groups) {
                if (!own_.holds(group.node)) continue;
                for (const simulation::Event& event : batch_.of(group)) {
                    const std::span<const Mass> values = event.payload.as<Mass>().first(dimension_);
                    if (!members_[group.node].push.add(values, first, count)) {
                        overflowed[static_cast<std::size_t>(piece)] = group.node;
                        return;
                    }
                }
            }
        });
        for (const std::optional<std::uint32_t>& node : overflowed) {
            if (node) replies_[*node].error = Error{Code::mass_overflow, *node};
        }
        return settle();
    }

    /// Hands out all messages of the round; a node's in the order of their senders.
    template <class V, class Receive>
    Outcome<void> deliver(const Receive& receive) {
        for (Reply& reply : replies_) reply.error.reset();
        if (!network_->pop_batch(batch_)) {  // nobody was heard
            batch_.groups.clear();
            return {};
        }
        workers_.run(static_cast<int>(batch_.groups.size()), [&](int piece, int) {
            const simulation::Batch::Group& group = batch_.groups[static_cast<std::size_t>(piece)];
            if (!own_.holds(group.node)) return;
            for (const simulation::Event& event : batch_.of(group)) {
                const std::span<const V> words = event.payload.as<V>();
                Share<V> share{event.from, static_cast<std::int64_t>(event.tag), words.first(dimension_), V{}};
                if constexpr (std::is_same_v<V, Mass>) share.weight = words[dimension_];
                if (auto receipt = receive(members_[group.node], share); !receipt) {
                    replies_[group.node].error = receipt.error();
                    return;
                }
            }
        });
        return settle();
    }

    /// Error: that of the first node that failed, on any rank.
    Outcome<void> settle() {
        exchange_errors(ranks(), replies_);
        for (std::uint32_t i = 0; i < nodes(); ++i) {
            if (!replies_[i].error) continue;
            if (in_series_ && replies_[i].error->code == Code::not_finite) {
                return refuse(
                    fmt::format("node {}, round {}: the hyper-gradient's series diverges: use fewer "
                                "method.neumann_steps or a smaller method.inner_rate",
                                i, counters_.rounds));
            }
            return tl::unexpected(diverged(*replies_[i].error, i, counters_.rounds, settings_.largest_value));
        }
        return {};
    }

    Graph graph_;
    RandomEdges edges_;
    BilevelFleetSettings settings_;
    std::size_t dimension_;
    BilevelLearnerOf learner_of_;
    Workers& workers_;
    RankGroup::Block own_;  ///< the nodes that this rank computes for; of others it knows what they say
    std::vector<Desk> desks_;
    std::vector<Member> members_;
    std::unique_ptr<simulation::Network> network_;
    simulation::Batch batch_;  ///< its payloads, and those of replies, go back to the network, so they die first
    std::vector<Reply> replies_;
    BilevelCounters counters_;
    std::int64_t hyper_round_ = 0;
    bool in_series_ = false;
};

}  // namespace

Outcome<std::unique_ptr<BilevelFleet>> make_bilevel_fleet(const RandomEdges& edges,
                                                          const BilevelFleetSettings& settings,
                                                          ConstVector<float> start, BilevelLearnerOf learner_of,
                                                          Workers& workers) {
    if (auto fits = settings.format.check(edges.nodes(), static_cast<double>(settings.largest_value)); !fits) {
        return refuse(fits.error(), "network.fraction_bits, method.largest_value");
    }
    auto fleet = SimulatedBilevel::make(edges, settings, start, std::move(learner_of), workers);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::unique_ptr<BilevelFleet>(*std::move(fleet));
}

std::size_t bilevel_fleet_bytes(std::uint32_t nodes, std::size_t dimension, std::size_t outer_dimension) {
    const std::size_t payloads = 2 * (dimension + 1) * sizeof(Mass);  // of a round and of the one before
    return nodes * (node_bytes(dimension, outer_dimension, nodes - 1) + payloads) +
           std::size_t{nodes} * nodes * 64;  // links and probabilities
}

}  // namespace dunlin

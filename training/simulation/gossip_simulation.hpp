// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/machines.hpp"
#include "training/host/workers.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace dunlin {

/// A GossipFleet of nodes of one type. A message is the machine's share as bytes, its values and then, where the
/// method has mass, its weight; the counter is its tag.
template <FleetNode Node>
class SimulatedGossip final : public GossipFleet {
public:
    using Value = typename Node::Value;
    static constexpr bool synchronous = Node::traits.rounds;
    static constexpr bool has_mass = Node::traits.holds_mass;
    static constexpr bool exact = has_mass && std::is_integral_v<Value>;

    /// Errors: those of the node's `make`, of LifeSettings and of LinkProfile; bad_setting (wake_gap);
    /// graph_not_undirected.
    static Result<std::unique_ptr<SimulatedGossip>> make(const Graph& graph, const GossipSettings& settings,
                                                         std::span<const float> start, LearnerOf learner_of,
                                                         int threads, RankGroup& ranks = RankGroup::alone()) {
        if (settings.wake_gap < 1) return fail(Code::bad_setting, 6);
        if (auto checked = settings.lives.check(); !checked) return tl::unexpected(checked.error());
        const std::size_t d = start.size() / graph.nodes();
        if (d == 0 || start.size() != d * graph.nodes()) return wrong_size(start.size(), d * graph.nodes());
        std::unique_ptr<SimulatedGossip> fleet(
            new SimulatedGossip(graph, settings, d, std::move(learner_of), threads, ranks));
        if constexpr (synchronous) {
            auto chosen = choose_mixing(graph, settings.mixing, settings.rho_over_tau, primal_dual_bound);
            if (!chosen) return tl::unexpected(chosen.error());
            fleet->mixing_ = std::move(chosen->weights);
        }
        auto network = simulation::Network::create(fleet->graph_, settings.link,
                                                   {.seed = settings.seed,
                                                    .payload_limit_bytes = settings.payload_limit_bytes,
                                                    .trace_payloads = settings.trace_payloads});
        if (!network) return tl::unexpected(network.error());
        fleet->network_ = std::make_unique<simulation::Network>(*std::move(network));
        if (auto shaped = settings.shape(*fleet->network_); !shaped) return tl::unexpected(shaped.error());
        for (std::uint32_t i = 0; i < graph.nodes(); ++i) {
            if (auto added = fleet->add(i, start.subspan(i * d, d)); !added) return tl::unexpected(added.error());
        }
        fleet->sum_mass(fleet->first_x_, fleet->first_y_);
        return fleet;
    }

    Outcome<void> run(Time until, const std::function<void()>& after_event) override {
        if (until >= settings_.calm_from && !calm_) {
            if (Outcome<void> lived = live(settings_.calm_from - 1, after_event); !lived) return lived;
            calm_down();
        }
        return live(until, after_event);
    }

    std::uint32_t nodes() const override { return graph_.nodes(); }
    std::uint32_t edges() const override { return graph_.edges(); }
    std::size_t dimension() const override { return dimension_; }
    RankGroup& ranks() const override { return workers_.ranks(); }
    void estimate(std::uint32_t node, Vector<float> out) const override { machine(node).estimate(out); }
    float weight(std::uint32_t node) const override {
        if constexpr (has_mass) return machine(node).weight();
        return 1.0f;
    }
    const Node& machine(std::uint32_t node) const { return members_[node - own_.first].node; }

    std::optional<std::uint64_t> mass_error() const override {
        if constexpr (exact) {
            if (!settings_.audit) return std::nullopt;
            std::vector<Value> x(dimension_);
            Value y{};
            sum_mass(x, y);
            std::uint64_t largest = distance(y, first_y_);
            const std::vector<Mass> applied = all_applied();
            for (std::size_t k = 0; k < dimension_; ++k)
                largest = std::max(largest, distance(x[k], subtract_wrapped(first_x_[k], applied[k])));
            return largest;
        }
        return std::nullopt;
    }

    std::vector<float> mean() const override {
        std::vector<float> mean;
        if constexpr (has_mass) {
            std::vector<Value> x(dimension_);
            Value y{};
            sum_mass(x, y);
            for (const Value mass : x) mean.push_back(static_cast<float>(mass) / static_cast<float>(y));
        }
        return mean;
    }

    GossipCounters counters() const override {
        GossipCounters total = own_counters();
        total += others_;
        return total;
    }
    const simulation::Counters& messages() const override { return network_->counters(); }
    void set_tap(simulation::Network::Tap tap) override { network_->set_tap(std::move(tap)); }
    void save(Saver& saver) const override;
    Result<void> restore(Loader& loader) override;
    Time now() const override { return network_->now(); }
    std::uint64_t trace() const override { return network_->trace(); }
    double bytes_per_node() const override {
        double bytes = 0;
        ranks().in_turn(std::span(&bytes, 1), [&] {
            for (const Member& member : members_)
                bytes +=
                    static_cast<double>(member.node.state().size() + member.stored.capacity() + sizeof(Member));
        });
        return bytes / static_cast<double>(nodes());
    }

private:
    enum Timer : std::uint64_t { wake_up, crash, restart, repeat };

    /// A node's state beside its machine's.
    struct Doings {
        Life life;
        Stream batches;
        std::vector<std::byte> stored = {};  ///< the durable state; kept only where nodes can crash
        Windows::Window crash{};             ///< the next one, or the one that goes on
        bool down = false;
        bool wake_up_set = false;
        bool awaits = false;  ///< awake, and waiting for its neighbours' round
        Time spoke = 0;       ///< when it last said something

        template <class Archive>
        void fields(Archive& archive) {
            archive(life, batches, stored, crash.from, crash.until, down, wake_up_set, awaits, spoke);
        }
    };
    struct Member : Doings {
        Node node;
    };

    /// What a thread works with, and what it counted.
    struct Desk {
        std::vector<float> z, gradient;
        std::vector<Mass> applied;  ///< the steps taken, as mass
        GossipCounters counters;
    };

    /// What is to be sent and set once all nodes of a tick were served. There are as many as nodes, so one fits a cache
    /// line, and what is rare lies apart.
    struct alignas(64) Reply {
        using Alarm = std::pair<Time, Timer>;
        struct Rest {
            std::vector<Alarm> alarms;
            std::optional<Error> error;
        };

        simulation::Payload share;
        std::int64_t counter = 0;
        std::array<Alarm, 2> first_alarms{};
        std::uint32_t alarms = 0;
        bool speaks = false;
        std::unique_ptr<Rest> rest;

        void clear() { *this = {}; }
        void set(Time time, Timer timer) {
            if (alarms < first_alarms.size())
                first_alarms[alarms] = {time, timer};
            else
                more().alarms.emplace_back(time, timer);
            ++alarms;
        }
        const Alarm& alarm(std::uint32_t k) const {
            return k < first_alarms.size() ? first_alarms[k] : rest->alarms[k - first_alarms.size()];
        }
        void fail(const Error& error) { more().error = error; }
        std::optional<Error> error() const { return rest != nullptr ? rest->error : std::nullopt; }

    private:
        Rest& more() {
            if (rest == nullptr) rest = std::make_unique<Rest>();
            return *rest;
        }
    };
    static_assert(sizeof(Reply) == 64);

    SimulatedGossip(const Graph& graph, const GossipSettings& settings, std::size_t d, LearnerOf learner_of,
                    int threads, RankGroup& ranks)
        : graph_(graph),
          settings_(settings),
          dimension_(d),
          learner_of_(std::move(learner_of)),
          workers_(threads, ranks),
          own_(ranks.block(graph.nodes())),
          memory_(memory_of_own()),
          arena_(memory_),
          desks_(static_cast<std::size_t>(workers_.count())),
          first_x_(has_mass ? d : 0) {
        for (Desk& desk : desks_) {
            desk.z.resize(d);
            desk.gradient.resize(d);
            if (exact && settings.audit) desk.applied.resize(d);
        }
        members_.reserve(own_.size());
    }

    void calm_down() {
        calm_ = true;
        for (std::uint32_t link = 0; link < graph_.edges(); ++link) (void)network_->set_profile(link, {});
    }

    Outcome<void> live(Time until, const std::function<void()>& after_event) {
        const bool audited = after_event != nullptr && workers_.count() == 1;
        while (network_->pop_batch(batch_, until)) {
            replies_.resize(std::max(replies_.size(), batch_.groups.size()));
            serve_all(audited ? &after_event : nullptr);
            if (ranks().spread()) exchange_replies();
            const std::size_t groups = batch_.groups.size();
            for (std::size_t g = 0; g < groups; ++g) {
                if (g + 8 < groups) network_->prefetch(batch_.groups[g + 8].node, replies_[g + 8].share);
                if (Outcome<void> sent = post(batch_.groups[g].node, replies_[g]); !sent) return sent;
                replies_[g].share = {};  // while it is at hand
            }
        }
        return {};
    }

    /// Serves the nodes that are here, in their order: a tick walks through memory as it lies.
    void serve_all(const std::function<void()>* after_event) {
        served_.clear();
        for (const std::uint32_t g : batch_.by_node) {
            if (own_.holds(batch_.groups[g].node)) served_.push_back(g);
        }
        workers_.run(static_cast<int>(served_.size()), [&](int piece, int worker) {
            const std::uint32_t group = served_[static_cast<std::size_t>(piece)];
            Reply& reply = replies_[group];
            reply.clear();
            prefetch(static_cast<std::size_t>(piece));
            for (simulation::Event& event : batch_.of(batch_.groups[group])) {
                if (const Result<void> served = serve(event, worker, reply); !served) {
                    reply.fail(served.error());
                    return;
                }
                event.payload = {};  // nobody else looks at it while it is at hand
                if (after_event != nullptr) (*after_event)();
            }
        });
    }

    /// Groups come in no order that a processor could foresee, and thousands of nodes fit no cache: what is needed
    /// soon is asked for early, in two stages, since a member says where its state lies.
    void prefetch(std::size_t piece) const {
        constexpr std::size_t near = 4, far = 8;
        const std::size_t most = std::min<std::size_t>(4096, (dimension_ + 1) * sizeof(Value));
        if (piece + far < served_.size()) {
            const simulation::Batch::Group& later = batch_.groups[served_[piece + far]];
            prefetch(&members_[later.node - own_.first], sizeof(Member));
            for (std::uint32_t k = 0; k < later.count; ++k) batch_.events[later.first + k].payload.prefetch(most);
        }
        if (piece + near < served_.size()) {
            __builtin_prefetch(&replies_[served_[piece + near]], 1);
            const std::span<const std::byte> state = machine(batch_.groups[served_[piece + near]].node).state();
            prefetch(state.data(), std::min<std::size_t>(state.size(), 4096));
        }
    }
    static void prefetch(const void* data, std::size_t bytes) {
        for (std::size_t k = 0; k < bytes; k += 64) __builtin_prefetch(static_cast<const std::byte*>(data) + k);
    }

    /// All states lie side by side, in the order of nodes.
    std::size_t memory_of_own() const {
        std::size_t bytes = 0;
        for (std::uint32_t i = own_.first; i < own_.last; ++i)
            bytes += Node::memory(dimension_, graph_.in(i).size());
        return bytes;
    }

    Result<Node> make_node(std::uint32_t i, std::span<const float> start) {
        std::vector<std::uint32_t> in_degrees;
        for (const std::uint32_t j : graph_.in(i))
            in_degrees.push_back(static_cast<std::uint32_t>(graph_.in(j).size()));
        std::vector<double> weights;
        if constexpr (synchronous) {
            for (const std::uint32_t edge : graph_.in_edges(i)) weights.push_back(mixing_.edge[edge]);
        }
        return Node::make(Node::settings_at({.node = i,
                                             .nodes = graph_.nodes(),
                                             .dimension = dimension_,
                                             .in_neighbours = graph_.in(i),
                                             .out_degree = static_cast<std::uint32_t>(graph_.out(i).size()),
                                             .in_degrees = in_degrees,
                                             .weights = weights,
                                             .theta = settings_.theta,
                                             .series = settings_.series,
                                             .format = settings_.format,
                                             .largest_value = settings_.largest_value,
                                             .weight_floor = settings_.weight_floor,
                                             .step_ratio_limit = settings_.step_ratio_limit}),
                          start, arena_);
    }

    Result<void> add(std::uint32_t i, std::span<const float> start) {
        Life life(settings_.lives, settings_.seed, i);
        const Windows::Window first_crash = life.crashes.at(0);
        // The first wake-up lies within one gap, like all others.
        const Time first_wake_up = settings_.gap(life) - 1;
        if (auto set = network_->set_timer(i, first_wake_up, wake_up); !set) return set;
        if (settings_.lives.crashes()) {
            if (auto set = network_->set_timer(i, first_crash.from, crash); !set) return set;
        }
        if (!own_.holds(i)) return {};
        Result<Node> node = make_node(i, start);
        if (!node) return tl::unexpected(node.error());
        members_.push_back(
            {{.life = std::move(life), .batches = Stream(settings_.seed, i, Purpose::samples)}, *std::move(node)});
        Member& member = members_.back();
        member.crash = first_crash;
        store(member, first_wake_up);
        member.wake_up_set = true;
        return {};
    }

    /// Keeps the durable state, if the node may crash before it stores the next: as a rule at `next`, its next wake-up;
    /// but one by rounds may wait longer.
    void store(Member& member, Time next) const;

    Result<void> serve(const simulation::Event& event, int worker, Reply& reply);
    /// A node by rounds that wakes up before its neighbours have spoken waits; messages will wake it.
    bool waits(Member& member, Reply& reply) const;
    bool goes_on(const Member& member) const;
    /// How long a node by rounds waits before it says its last messages again: a message's way and the answer's.
    Time patience() const;

    Result<void> hear(Member& member, const simulation::Event& event);
    Result<void> wake(Member& member, std::uint32_t i, int worker, Reply& reply);
    void count_step(Desk& desk, float step_size) const;
    Result<void> speak(const Share<Value>& share, Reply& reply);
    Outcome<void> post(std::uint32_t i, const Reply& reply);

    void sum_mass(std::vector<Value>& x, Value& y) const;
    std::vector<Mass> all_applied() const {
        std::vector<Mass> all(desks_.front().applied.size());
        ranks().in_turn(std::span(all), [&] {
            for (const Desk& desk : desks_) {
                for (std::size_t k = 0; k < all.size(); ++k) all[k] = add_wrapped(all[k], desk.applied[k]);
            }
        });
        return all;
    }
    GossipCounters own_counters() const {
        GossipCounters total;
        for (const Desk& desk : desks_) total += desk.counters;
        return total;
    }
    void exchange_replies();
    void fill_in(std::vector<std::vector<std::byte>>& payloads) const;

    static std::uint64_t distance(Mass a, Mass b) {
        const Mass difference = subtract_wrapped(a, b);
        return difference < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(difference)
                              : static_cast<std::uint64_t>(difference);
    }

    Graph graph_;
    GossipSettings settings_;
    std::size_t dimension_;
    LearnerOf learner_of_;
    Workers workers_;
    RankGroup::Block own_;                       ///< the nodes that are served here
    simulation::LargeVector<std::byte> memory_;  ///< of their machines
    Arena arena_;
    std::vector<Desk> desks_;
    GossipCounters others_;  ///< of the other ranks
    bool calm_ = false;
    std::vector<Value> first_x_;
    Value first_y_{};
    MixingWeights mixing_;
    simulation::LargeVector<Member> members_;  ///< of `own_`
    std::unique_ptr<simulation::Network> network_;
    simulation::Batch batch_;                 ///< its payloads go back to the network, so it dies first
    simulation::LargeVector<Reply> replies_;  ///< by group
    std::vector<std::uint32_t> served_;       ///< groups, as they are served here
};

}  // namespace dunlin

#include "training/simulation/gossip_ranks.hpp"
#include "training/simulation/gossip_saving.hpp"
#include "training/simulation/gossip_serving.hpp"

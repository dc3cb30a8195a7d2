// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/pars_push.hpp"
#include "training/host/host_memory.hpp"
#include "training/plans/mass_book.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace dunlin {

/// The largest difference of any component and of the weight, in units of the fixed point.
inline std::uint64_t units_apart(const Holding& a, const Holding& b) {
    const auto apart = [](Mass x, Mass y) {
        const Mass difference = subtract_wrapped(x, y);
        return difference < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(difference)
                              : static_cast<std::uint64_t>(difference);
    };
    std::uint64_t largest = apart(a.weight, b.weight);
    for (std::size_t k = 0; k < a.values.size(); ++k) largest = std::max(largest, apart(a.values[k], b.values[k]));
    return largest;
}

/// PARS-Push among nodes that are killed while others push to them, return with or without their memory or stay
/// away (`AbsenceSettings`), under the rules by which a coordinator keeps a job of real nodes going, without its
/// messages:
///
/// - A node confirms to its in-neighbours what it holds durably, with every wake-up, over links that lose and delay
///   as all do.
/// - Some ticks after a node went or returned each of the others knows, and keeps open the edges between nodes that
///   are there and can still reach each other (`strong_components`).
/// - Who is away for too long, or returns without memory, is fenced: its machine counts no more. Then all others
///   freeze, what is in flight between them is delivered, what fenced nodes never confirmed is taken back, the
///   epoch's books are closed (`MassBook`), and a graph of the same kind among those who are there begins the next.
///   Who lost its memory joins it at the mean, with weight 1.
///
/// One thread.
class AbsentGossip final : public GossipFleet {
public:
    /// Errors: those of the settings, of the machines and of the graph; start is n d floats.
    static Outcome<std::unique_ptr<AbsentGossip>> make(const Graph& graph, const GossipSettings& settings,
                                                       std::span<const float> start, LearnerOf learner_of);

    Outcome<void> run(Time until, const std::function<void()>& after_event = {}) override;

    std::uint32_t nodes() const override { return graph_.nodes(); }
    std::size_t dimension() const override { return plan_.first.size(); }
    /// Of one that has gone for good, or waits to join: its last.
    void estimate(std::uint32_t node, Vector<float> out) const override { members_[node].node->estimate(out); }
    float weight(std::uint32_t node) const override { return members_[node].node->weight(); }
    bool present(std::uint32_t node) const override { return members_[node].holds(); }
    /// Of the epoch, and of every closed epoch's books against what those who were gone held.
    std::optional<std::uint64_t> mass_error() const override;
    std::vector<float> mean() const override;
    GossipCounters counters() const override { return counters_; }
    const simulation::Counters& messages() const override { return network_->counters(); }
    void set_tap(simulation::Network::Tap tap) override { network_->set_tap(std::move(tap)); }
    Time now() const override { return network_->now(); }
    std::uint64_t trace() const override { return network_->trace(); }
    double bytes_per_node() const override;

    const MassBook& book() const { return *book_; }
    const ParsPush<>& machine(std::uint32_t node) const { return *members_[node].node; }
    bool up(std::uint32_t node) const { return members_[node].up; }

private:
    enum Timer : std::uint64_t { wake_up, kill, come_back, notice, give_up };

    struct Member {
        Life life;
        Stream batches;
        std::unique_ptr<HostMemory> memory = {};
        std::optional<ParsPush<>> node = {};
        std::vector<Mass> steps = {};         ///< since it joined
        std::vector<Mass> steps_before = {};  ///< of them, before this epoch
        std::vector<std::byte> stored = {};   ///< the durable state, and what `steps` was with it
        std::vector<Mass> stored_steps = {};
        bool up = true;
        bool in = true;       ///< in this epoch's graph
        bool fenced = false;  ///< in it, but its machine counts no more
        bool wake_up_set = false;
        std::uint32_t absences = 0;

        bool holds() const { return in && !fenced; }
        bool joins() const { return up && !holds(); }
    };

    AbsentGossip(const Graph& graph, const GossipSettings& settings, LearnerOf learner_of)
        : graph_(graph), settings_(settings), learner_of_(std::move(learner_of)) {}

    Outcome<void> set_up(std::span<const float> start);
    Outcome<void> draw_kills();
    Result<void> serve(const simulation::Event& event);
    Result<void> deliver(const simulation::Event& event);
    Result<void> wake(std::uint32_t i);
    Result<void> speak(std::uint32_t i);
    Result<void> say(std::uint32_t from, std::uint32_t to, std::uint64_t tag, std::span<const Mass> values,
                     Mass weight, std::int64_t kappa);
    Result<void> set_wake_up(std::uint32_t i);
    Result<void> kill_some();
    Result<void> put_out(std::uint32_t i);
    Result<void> bring_back(std::uint32_t i);
    Result<void> tell_all();
    void choose_edges(std::uint32_t i);
    Result<void> set_timer(std::uint32_t node, Time after, Timer kind, std::uint64_t argument = 0) {
        return network_->set_timer(node, network_->now() + after, kind | argument << 8);
    }
    bool turn_due() const;
    Outcome<void> turn();
    Result<void> drain();
    PushSumSettings network_settings(std::uint32_t i) const;
    Result<void> begin(std::uint32_t i, std::span<const Mass> held, Mass weight, std::int64_t tick, double owed);
    void store(std::uint32_t i);
    Holding all_mass() const;
    std::uint32_t edge(std::uint32_t from, std::uint32_t to) const;

    Graph graph_;  ///< of this epoch
    GossipSettings settings_;
    JobPlan plan_;
    std::optional<MassBook> book_;
    LearnerOf learner_of_;
    Graph everybody_;
    std::unique_ptr<simulation::Network> network_;
    Stream draws_;
    std::vector<Member> members_;
    std::vector<std::uint32_t> components_;  ///< of those who are there now; empty until asked for
    std::vector<float> z_, gradient_;
    std::vector<Mass> scratch_;
    Holding expected_;  ///< what this epoch began with, less all steps since
    std::uint64_t book_error_ = 0;
    bool closing_ = false, calm_ = false;
    GossipCounters counters_;
};

}  // namespace dunlin

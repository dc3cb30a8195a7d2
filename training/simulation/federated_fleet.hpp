// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/workers.hpp"
#include "training/simulation/attack.hpp"
#include "training/simulation/federated_machines.hpp"
#include "training/simulation/learner.hpp"
#include "transport/graph.hpp"
#include "transport/simulation/network.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace dunlin {

/// What happened in a fleet so far.
struct FleetCounters {
    std::uint64_t applied = 0;    ///< updates that reached the model, or its buffer
    std::uint64_t repeated = 0;   ///< updates that arrived again and were refused as such
    std::uint64_t refused = 0;    ///< updates refused for another reason
    std::uint64_t staleness = 0;  ///< sum over the applied ones
    std::int64_t gradients = 0;   ///< task gradients charged
    double busy_s = 0.0;          ///< time that clients spent computing, summed over clients
    Error last_refusal = {};

    template <class Archive>
    void fields(Archive& archive) {
        archive(applied, repeated, refused, staleness, gradients, busy_s, last_refusal.code, last_refusal.first,
                last_refusal.second);
    }
};

class Saver;
class Loader;

/// A server and n clients over simulated time: core's state machines, the network of transport/ as a star (node 0
/// is the server, client i is node i + 1), and a clock that charges every gradient.
///
/// The server keeps a share `concurrency` of the clients busy. An invitation carries the model; the client takes Q
/// local steps, which last (gradients charged) x (its time per gradient), and uploads. Without rounds a client
/// drawn from the idle ones is invited as soon as an update arrives; with rounds that many clients are drawn and
/// the slowest is waited for. An invitation that brings nothing within `patience_s` is repeated under its old
/// number where links lose messages: a client that has done it already repeats its update, which the server takes
/// once (invariant 7).
///
/// A client's computation depends on nothing that happens after its download, so computations wait until the first
/// of them might be due, and then run side by side: the numbers are the same for any number of threads. A client has
/// memory for parameters only while it computes; what it found waits as the message that it will be.
class FederatedFleet {
public:
    /// `first` are the parameters that the server starts from; `samples` has one weight per client; the trace covers
    /// what messages say, or only that they were sent. Errors: settings that do not fit (K larger than the fleet), and
    /// those of the machines.
    static Outcome<std::unique_ptr<FederatedFleet>> make(const FederatedSettings& settings, std::uint64_t seed,
                                                         ConstVector<float> first, std::span<const float> samples,
                                                         LearnerOf learner, Workers& workers,
                                                         bool trace_payloads = true);

    /// Lives until `until_s`, or until `stop` says so between two events. Error: a client's steps diverged.
    Outcome<void> advance(double until_s, const std::function<bool()>& stop);

    ConstVector<float> model() const;
    std::uint64_t version() const;
    std::uint64_t undefended() const { return server_->undefended(); }
    /// How many applied updates had staleness 0, 1, ...; the last entry counts all from there on.
    std::span<const std::uint64_t> staleness_counts() const { return staleness_counts_; }
    static constexpr std::size_t staleness_limit = 1 << 16;  ///< of entries
    const FleetCounters& counters() const { return counters_; }
    /// Seconds per task gradient of each client.
    std::span<const double> gradient_s() const { return gradient_s_; }
    /// Simulated seconds that it has come to: what happened so far would have happened with any later end.
    double reached_s() const { return simulation::to_seconds(std::max(network_->now(), computed_until_)); }
    /// Memory of a client's machine while it computes.
    std::size_t bytes_per_client() const { return client_bytes_; }
    /// Bytes that messages take which are under way or may have to be sent again.
    std::size_t payload_bytes() const { return network_->payload_bytes(); }
    std::uint32_t clients() const { return static_cast<std::uint32_t>(clients_.size()); }
    /// Equal for equal runs (invariant 11): every event, with the bytes of messages.
    std::uint64_t trace() const { return network_->trace(); }
    /// Is shown every message from now on.
    void set_tap(simulation::Network::Tap tap) { network_->set_tap(std::move(tap)); }
    /// What the links did.
    const simulation::Counters& traffic() const { return network_->counters(); }

    /// Writes what the fleet must remember to go on, between two calls of `advance` or in its `stop`.
    void save(Saver& saver) const;
    /// Goes on from there, as GossipFleet::restore.
    Result<void> restore(Loader& loader);

private:
    using Time = simulation::Time;

    struct Client {
        std::unique_ptr<AnyClient> machine;
        Stream random;
        simulation::Payload model{};   ///< that it is to compute from, once it does
        simulation::Payload update{};  ///< what it found; kept where it may have to be sent again
        std::uint64_t invitation = 0;  ///< the newest that the server sent
        bool awaited = false;          ///< the server waits for its update
        std::uint64_t accepted = 0;    ///< the newest invitation that reached the client
        bool computing = false;
        Time started = 0;
        std::int64_t gradients = 0;  ///< of this update
        Result<void> computed{};
    };

    FederatedFleet(const FederatedSettings& settings, LearnerOf learner, Workers& workers)
        : settings_(settings), learner_(std::move(learner)), workers_(workers) {}

    Result<void> begin();
    Result<std::vector<std::uint32_t>> draw_secretly();
    Result<void> invite_next();
    Result<void> invite(std::uint32_t client);
    Result<void> send_model(std::uint32_t client);
    Result<void> at_client(std::uint32_t client, const simulation::Event& event);
    Result<void> at_server(const simulation::Event& event);
    Result<void> upload(std::uint32_t client);
    Result<simulation::Payload> update_of(AnyClient& machine);
    std::vector<std::byte> state_of(const Client& client) const;
    Result<void> restore_client(Client& client, std::span<const std::byte> state, bool waits);
    /// Must a client be able to send its update again?
    bool unreliable() const { return settings_.clock.loss > 0.0f || settings_.clock.duplication > 0.0f; }
    Outcome<void> compute();
    void compute_one(std::uint32_t client, int worker);
    Result<void> lie();
    Result<void> take_steps(Client& client, Learner& learner, Vector<float> gradient);
    void exchange_computed();
    Result<void> take_computed(Client& client, std::span<const std::byte> state, std::span<const std::byte> update);
    Time earliest_finish() const;
    void count_busy(Time now);

    FederatedSettings settings_;
    LearnerOf learner_;
    Workers& workers_;
    std::unique_ptr<AnyServer> server_;
    std::vector<double> gradient_s_;
    std::unique_ptr<Attack> attack_;  ///< null: all are honest
    struct Bench {
        HostMemory gradient, machine;
    };
    std::vector<Bench> benches_;  ///< by worker
    std::size_t client_bytes_ = 0;
    std::unique_ptr<Graph> graph_;
    std::unique_ptr<simulation::Network> network_;
    std::vector<Client> clients_;      ///< they hold payloads of the network
    Stream draws_;                     ///< who is invited
    std::vector<std::uint32_t> idle_;  ///< clients without an invitation
    std::uint32_t awaited_ = 0;
    std::vector<std::uint32_t> waiting_;  ///< clients whose computation has not run yet
    simulation::Payload model_message_;   ///< of version message_version_
    std::uint64_t message_version_ = ~std::uint64_t{0};
    FleetCounters counters_;
    std::vector<std::uint64_t> staleness_counts_;
    std::uint32_t busy_ = 0;
    Time counted_until_ = 0;
    Time computed_until_ = 0;  ///< when the first of the last computations may be over
    bool begun_ = false;
};

}  // namespace dunlin

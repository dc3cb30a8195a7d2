// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "transport/graph.hpp"
#include "transport/simulation/event_queue.hpp"
#include "transport/simulation/large_pages.hpp"
#include "transport/simulation/link.hpp"
#include "transport/simulation/payload.hpp"
#include "transport/simulation/time.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace dunlin::simulation {

/// Something happens to a node: a message arrives, or a timer that was set for it rings.
struct Event {
    enum class Kind : std::uint8_t { delivery, timer };

    Time time = 0;
    Kind kind = Kind::timer;
    std::uint32_t node = 0;  ///< whom it happens to
    std::uint32_t from = 0;  ///< the sender; the node itself for a timer
    std::uint32_t link = 0;  ///< the edge that it came over; 0 for a timer
    std::uint64_t tag = 0;   ///< what `send` or `set_timer` was given
    Payload payload;         ///< keep a copy for as long as the bytes are needed
};

/// All events of one time, side by side for each node and in order within a node. Nodes may be served in parallel
/// when what they send is collected and sent afterwards in the order of `groups`: then any number of threads gives
/// the same run.
struct Batch {
    struct Group {
        std::uint32_t node;
        std::uint32_t first;
        std::uint32_t count;
    };

    Time time = 0;
    LargeVector<Event> events;
    std::vector<Group> groups;  ///< in the order of their first event
    std::vector<std::uint32_t>
        by_node;  ///< of `groups`, in ascending order of nodes, which is also that of `events`

    std::span<Event> of(const Group& group) { return {events.data() + group.first, group.count}; }
};

/// What happened so far. sent + duplicated = delivered + lost + cut + overflowed + under way.
struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t sent_bytes = 0;  ///< of payloads
    std::uint64_t duplicated = 0;
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;        ///< by chance
    std::uint64_t cut = 0;         ///< by a partition
    std::uint64_t overflowed = 0;  ///< by a full queue
    std::uint64_t timers = 0;

    template <class Archive>
    void fields(Archive& archive) {
        archive(sent, sent_bytes, duplicated, delivered, lost, cut, overflowed, timers);
    }
};

struct NetworkState;

struct NetworkSettings {
    std::uint64_t seed = 1;
    std::uint32_t event_limit = 1u << 24;  ///< messages and timers pending; 32 bytes each
    std::size_t payload_limit_bytes = PayloadPool::usual_limit_bytes;  ///< of all payloads together
    bool trace_payloads = false;  ///< `trace` covers the bytes, read once per payload
};

/// A simulated network: links with faults along the edges of a graph, and timers, in one total order of (time,
/// order of scheduling). It knows nodes by number and messages by their bytes; what a node does, and when it sleeps
/// or crashes, is its driver's affair:
///
///     while (network.next(event, end)) ... network.send(link, payload); network.set_timer(node, later);
///
/// What a link does to its k-th message depends on (seed, link, k) alone: the order in which links are used, and
/// what happens on others, change nothing. Set-up allocates; later the queues only grow to their peak.
///
/// Partitions and full queues override the hard bounds of a LinkProfile, which tame chance alone. They do count as
/// failures, so the first message after a partition heals is never lost when `loss_limit` was used up.
class Network {
public:
    /// All links get `profile`. The graph belongs to the caller and outlives the network, and the network outlives
    /// its payloads. Error: bad_link_setting.
    static Result<Network> create(const Graph& graph, const LinkProfile& profile, const NetworkSettings& settings);
    Network(Network&&) noexcept = default;
    ~Network();

    /// For messages sent from now on. Errors: unknown_link, bad_link_setting.
    Result<void> set_profile(std::uint32_t link, const LinkProfile& profile);
    /// A partition: messages that leave later, and whose way over one of these links touches [from, until), are
    /// lost. Errors: unknown_link; bad_time unless now() <= from < until; network_full above 2^24 windows.
    Result<void> cut(std::span<const std::uint32_t> links, Time from, Time until);
    /// The same for all links between these nodes and the others. Errors also: graph_node.
    Result<void> cut_off(std::span<const std::uint32_t> nodes, Time from, Time until);

    /// A payload to fill. May be called from any thread. Errors: payload_too_large, payloads_full.
    Result<Payload> allocate(std::size_t size) { return payloads_->allocate(size); }
    /// For one whose bytes are in another process and that nobody reads here: it counts, and leaves its trace, as the
    /// one that `sealed` was asked of there.
    Result<Payload> stand_in(std::size_t size, std::uint64_t fingerprint) {
        return payloads_->stand_in(size, fingerprint);
    }
    /// Of a payload that is filled, what the trace keeps of its bytes; 0 for none. For one thread at a time for each
    /// payload.
    std::uint64_t sealed(const Payload& payload) const;

    /// Sends at now() along an edge. Errors: unknown_link; network_full, with nothing sent.
    Result<void> send(std::uint32_t link, const Payload& payload, std::uint64_t tag = 0);
    Result<void> send(std::uint32_t from, std::uint32_t to, const Payload& payload, std::uint64_t tag = 0);
    /// Sends to all out-neighbours, in ascending order; stops at the first error.
    Result<void> broadcast(std::uint32_t from, const Payload& payload, std::uint64_t tag = 0);

    /// Is shown every message as it is sent, whatever becomes of it.
    using Tap = std::function<void(std::uint32_t from, std::uint32_t to, std::span<const std::byte> bytes)>;
    void set_tap(Tap tap) { tap_ = std::move(tap); }

    /// Rings once. There is no way to take it back: a driver whose node crashed ignores the stale tag. Errors:
    /// graph_node; bad_time unless now() <= time <= time_limit; network_full.
    Result<void> set_timer(std::uint32_t node, Time time, std::uint64_t tag = 0);

    /// Asks the processor early for what a broadcast of this node will touch.
    void prefetch(std::uint32_t node, const Payload& payload) const;

    /// The next event. False, with the clock where it was, when none is left at `until` or before.
    bool next(Event& event, Time until = time_limit);
    /// All events of the next time that are scheduled so far (a message without delay, sent while they are served,
    /// makes another batch of the same time). False as above.
    bool pop_batch(Batch& batch, Time until = time_limit);

    Time now() const { return queue_.now(); }
    const Graph& graph() const { return *graph_; }
    const Counters& counters() const { return counters_; }
    std::size_t pending() const { return queue_.size() + waiting_; }
    std::size_t payloads_in_use() const { return payloads_->in_use(); }
    std::size_t payload_bytes() const { return payloads_->reserved_bytes(); }
    /// A hash of every event handed out and every message lost so far, in order: equal for equal runs.
    std::uint64_t trace() const { return trace_; }

    /// All that is under way, and what links and clock have come to: between two events, from which a network of the
    /// same graph, settings and profiles goes on as this one. Profiles stay as they are.
    NetworkState save() const;
    /// Errors: shape_mismatch (another graph), bad_time, unknown_link, payload_too_large, payloads_full; the network
    /// is then of no further use.
    Result<void> restore(const NetworkState& state);

private:
    struct Item {
        enum class Kind : std::uint8_t { delivery, timer, departure };
        Time time;
        std::uint64_t tag;
        Payload::Buffer* buffer;  ///< counted by hand: items are moved as plain bytes
        std::uint32_t subject;    ///< link, or node of a timer
        Kind kind;
    };

    struct Waiting {
        std::uint64_t tag;
        Payload::Buffer* buffer;
        std::uint32_t next;
    };

    struct Link {
        Time last_arrival = 0;
        Time busy_until = 0;
        std::uint64_t messages = 0;  ///< that left so far
        std::uint32_t failures = 0;  ///< in a row
        std::uint32_t profile = 0;
        std::uint32_t waiting = 0;
        std::uint32_t first_waiting = 0;  ///< into waiting_slots_
        std::uint32_t last_waiting = 0;
        bool has_cuts = false;
    };

    struct Cut {
        std::uint32_t link;
        Time from, until;
        friend auto operator<=>(const Cut&, const Cut&) = default;
    };

    enum class Mark : std::uint8_t { delivery, timer, lost, cut, overflowed };

    Network(const Graph& graph, const LinkProfile& profile, const NetworkSettings& settings);
    Result<void> room() const;
    void transmit(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag);
    bool arrive(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag, Time left, Stream& random);
    void enqueue(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag);
    void await(Link& link, Payload::Buffer* buffer, std::uint64_t tag);
    void let_go();
    Waiting dequeue(Link& link);
    void depart(std::uint32_t index);
    bool is_cut(std::uint32_t index, Time left, Time arrival) const;
    void drop(Mark why, std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag);
    void record(Mark mark, std::uint32_t subject, const Payload::Buffer* buffer, std::uint64_t tag);
    void fill(Event& event, const Item& item);
    std::uint32_t node_of(const Item& item) const;

    const Graph* graph_;
    NetworkSettings settings_;
    std::unique_ptr<PayloadPool> payloads_;
    std::vector<LinkProfile> profiles_;
    LargeVector<Link> links_;
    std::vector<Cut> cuts_;  ///< sorted
    EventQueue<Item> queue_;
    std::vector<Waiting> waiting_slots_;
    std::vector<std::uint32_t> free_slots_;
    std::size_t waiting_ = 0;
    LargeVector<Item> popped_;             ///< of the batch under construction
    std::vector<std::uint32_t> group_of_;  ///< by node, while a batch is built
    Counters counters_;
    Tap tap_;
    std::uint64_t trace_ = 0;
};

}  // namespace dunlin::simulation

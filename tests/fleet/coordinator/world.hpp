// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/coordinator.hpp"
#include "fleet/masks/mask_member.hpp"
#include "simulated_files.hpp"
#include "training/host/host_memory.hpp"
#include "transport/session/node_session.hpp"
#include "transport/wire/wire_codec.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <catch2/catch.hpp>

namespace dunlin::testing {

/// What a test remembers of the records, by their number: told again after a crash, they must be the same.
struct Chronicle final : Journal {
    struct Applied {
        std::uint64_t job;
        std::uint32_t member, incarnation;
        std::uint64_t sequence, base_version;
        float samples;
        std::uint16_t encoding;
        std::vector<std::byte> bytes;
        auto operator<=>(const Applied&) const = default;
    };
    std::map<std::uint64_t, Applied> updates;                    ///< that were taken
    std::map<std::uint64_t, std::vector<MaskedSum::Part>> sums;  ///< whose masked updates were, together
    std::uint64_t metrics = 0;                                   ///< in reports
    std::map<std::uint64_t, std::uint64_t> models;  ///< checksum of the first job's model after each record
    std::map<std::uint64_t, LedgerEntry> ledger;

    void applied(const FleetState& state, const Record& record, const JobChange* change) override;
};

struct WorldFaults {
    float cut = 0;           ///< of a node's connection, in a millisecond
    float node_crash = 0;    ///< it goes on from what it stored
    float amnesia = 0;       ///< a crash that takes what was stored along
    float power = 0;         ///< of the coordinator: at one of its next file operations, or at once
    float file_failure = 0;  ///< of one of its next file operations
    float busy = 0;          ///< of a message to a node: its queue is full
    /// Most that a node takes to prepare, learn, measure or store, while it goes on talking; 0: it does so at once.
    std::uint32_t longest_work_ms = 0;
    std::uint32_t longest_delay_ms = 20;
};

struct WorldSettings {
    std::uint64_t seed = 1;
    std::uint32_t nodes = 4;
    std::uint32_t store_every = 1;
    CoordinatorSettings coordinator = {};
    StoreSettings store = {.batch_bytes = 1u << 20, .log_bytes = 5'000};
    /// What a node measures of a model, beside its loss; empty: nothing.
    std::function<double(std::uint32_t node, ConstVector<float> model)> score = {};
};

/// A coordinator on simulated files, nodes that are sessions as devices run them, and a network between them that
/// carries encoded bytes in order until it is cut. A step is a millisecond.
class World final : public Outbox {
public:
    explicit World(const WorldSettings& settings);

    struct Node {
        PublicKey key{};
        HostMemory memory{1u << 16};
        std::unique_ptr<MaskMember> masks;
        std::unique_ptr<NodeSession> session;
        std::vector<std::byte> stored;
        std::uint64_t connection = 0;  ///< 0: none
        std::uint64_t mute = 0;        ///< a connection whose messages to the coordinator are swallowed
        std::int64_t dial_ms = 0;
        bool old = false;   ///< it says that it speaks version 1 of the wire alone
        bool full = false;  ///< there is no room for its state
        bool slow = false;  ///< it prepares for a job for as long as this is so, and says nothing meanwhile
        std::size_t loses = std::variant_npos;  ///< a kind of its messages that never arrives
        bool off = false;                       ///< for good, or until it is switched on
        bool older = false;                     ///< knows no nonces
        std::int64_t clock_ms = 0;              ///< what its clock is ahead
        std::uint32_t finals = 0;
        std::uint32_t discarded = 0;  ///< what nobody waited for any more when it was done
        /// What is under way beside the talking: works with copies.
        struct Work {
            Duty duty{};
            std::int64_t due_ms = 0;
            std::vector<float> parameters = {}, gradient = {};
            Question question = {};
            Stream random = {};
            std::vector<std::byte> state = {};
        };
        std::optional<Work> work, storing;
        std::deque<std::pair<std::int64_t, Frame>> inbox;  ///< when due
        std::deque<std::pair<std::int64_t, Frame>> outbox;
    };

    Coordinator& coordinator() { return *coordinator_; }
    Node& node(std::uint32_t number) { return nodes_[number]; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
    Chronicle& chronicle() { return chronicle_; }
    SimulatedFiles& files() { return files_; }
    std::int64_t now_ms() const { return now_ms_; }

    /// A job on all nodes; the coordinator may crash meanwhile. Its number.
    std::uint64_t start_job(const JobPlan& plan, std::string token = "test");
    /// On the first so many nodes.
    std::uint64_t start_job(const JobPlan& plan, std::string token, std::uint32_t nodes);
    void step(const WorldFaults& faults);
    /// Steps until it is so, or for `limit_ms`; answers whether it is.
    template <class Condition>
    bool run(const WorldFaults& faults, std::int64_t limit_ms, const Condition& condition) {
        for (const std::int64_t end_ms = now_ms_ + limit_ms; now_ms_ < end_ms;) {
            if (condition()) return true;
            step(faults);
        }
        return condition();
    }
    /// Kills the coordinator and starts it again; with `power_loss`, what was not synchronised may be gone.
    void restart_coordinator(bool power_loss);
    /// Puts a coordinator in its place that knows the same nodes and nothing else, as one from an early backup.
    void forget_everything();
    void switch_off(std::uint32_t number);
    void switch_on(std::uint32_t number) { nodes_[number].off = false; }
    /// Has every node that is on forgotten its job?
    bool all_idle() const {
        return std::all_of(nodes_.begin(), nodes_.end(),
                           [](const Node& node) { return node.off || node.session->job() == 0; });
    }
    void leave(std::uint32_t number) { nodes_[number].session->leave(); }

    /// Updates that nodes were told are applied: (job, member, incarnation, sequence).
    std::vector<std::array<std::uint64_t, 4>> acknowledged;
    std::uint64_t coordinator_crashes = 0;

    Result<void> send(const PublicKey& to, const Message& message) override;
    void silent(const PublicKey& key) override;

private:
    void open();
    void boot(std::uint32_t number);
    void admit_all();
    void cut(std::uint32_t number);
    void drive(std::uint32_t number);
    bool begin(std::uint32_t number, Duty duty);
    void end_work(std::uint32_t number);
    void measure(std::uint32_t number);
    /// What the node's machine asks for; where that is products, of a Hessian I.
    void answer(std::uint32_t number, const Question& question, ConstVector<float> w, Stream& random,
                Vector<float> out) const;
    void deliver(std::uint32_t number);
    void carry(std::deque<std::pair<std::int64_t, Frame>>& queue, const Message& message);
    Node* find(const PublicKey& key);

    WorldSettings settings_;
    WorldFaults faults_;
    std::string directory_ = "store";
    Stream random_;
    SimulatedFiles files_;
    Chronicle chronicle_;
    std::vector<Node> nodes_;
    std::unique_ptr<Coordinator> coordinator_;
    std::int64_t now_ms_ = 0, tick_from_ms_ = 0;
    std::uint64_t connections_ = 0;
};

/// Two-dimensional toy jobs: node i's loss is half the squared distance to (i, -i).
JobPlan toy_plan(std::uint32_t members, Aggregation aggregation);

}  // namespace dunlin::testing

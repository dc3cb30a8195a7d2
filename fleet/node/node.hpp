// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/jobs/node_task.hpp"
#include "fleet/masks/mask_member.hpp"
#include "fleet/node/job_memory.hpp"
#include "fleet/node/node_store.hpp"
#include "training/host/background.hpp"
#include "transport/session/node_session.hpp"
#include "transport/zeromq/node_link.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace dunlin {

/// What a node learns with in a job: of the experiments that Dunlin knows, or of one's own.
using TaskMaker = std::function<Outcome<std::unique_ptr<NodeTask>>(const JobTerms&)>;

struct NodeSettings {
    std::string name;
    std::filesystem::path directory;
    NodeLinkSettings link;
    /// Most that a job may take, with its data where the program counts them (JobMemory); used as it is needed.
    std::size_t memory_bytes = std::size_t{64} << 20;
    std::uint32_t store_every = 1;  ///< SessionSettings::store_every
    std::string software = {};
    TaskMaker make_task = make_node_task;
};

/// What happened, for a log: a word ("joined", "store_failed") and a line for people.
using NodeLog = std::function<void(std::string_view event, const std::string& text)>;

/// A node of a fleet on a host: the session, driven over ZeroMQ, with its state on disk and its tasks made from the
/// experiments of jobs. One thread talks, at all times; what may take long is done beside it: a second thread makes
/// tasks, learns and measures, and a third one waits for the disk.
class Node {
public:
    /// Opens its directory and starts to dial. Errors: the directory is another node's, damaged or not writable;
    /// the link's.
    static Outcome<std::unique_ptr<Node>> make(NodeSettings settings, NodeLog log);

    /// Lives until `stop` (or, once `leave` was set, until it is out of its job). Both may be set from a signal
    /// handler, followed by wake(). What is under way then is of no use any more.
    void run(const std::atomic<bool>& stop, const std::atomic<bool>& leave);
    void wake() const { link_.wake(); }
    /// Is something under way that the destructor would wait for?
    bool busy() const { return work_thread_.busy() || store_thread_.busy(); }

    const NodeLink& link() const { return link_; }
    const NodeSession& session() const { return session_; }

private:
    struct Memory {
        explicit Memory(std::size_t bytes);
        Memory(const Memory&) = delete;
        ~Memory();
        std::span<std::byte> bytes;
    };

    Node(NodeSettings settings, NodeStore store, NodeLink link, NodeLog log);

    /// What the second thread works with, all of it copies, and what comes out.
    struct Work {
        Duty duty = Duty::wait;
        std::uint64_t job = 0;
        JobTerms terms;  ///< prepare; views of the next three
        std::string experiment;
        std::vector<std::uint32_t> in, out;
        Outcome<std::shared_ptr<NodeTask>> task;  ///< prepare: made; else what to work with
        std::vector<float> parameters, gradient;
        bool begins = false;      ///< learn: at a model that the node has just been given
        Question question;        ///< learn
        std::vector<float> kept;  ///< what stays with the node: before, and after a gradient
        Stream random;
        std::vector<Metric> metrics;
        std::vector<std::string> names;  ///< of metrics
        bool final = false;
        bool too_large = false;  ///< there was not the memory for it
        std::string personal_file;
        Result<std::filesystem::path> personal;  ///< where it is
    };

    /// That a thing may take before the node looks for messages.
    static constexpr std::chrono::milliseconds at_once{2};
    static std::int64_t now_ms();

    void take_arrivals();
    void take(const Message& message);
    void expect_shares(const JobTerms& terms);
    void give_up_silence();
    void act(Duty duty);
    void send();
    void say_vitals();
    void begin_store();
    void end_store();
    void forget();
    void begin_work(Duty duty);
    void work();
    void do_work();
    void end_work();
    void too_large();
    std::int64_t beside_data(const JobTerms& terms) const;
    void decline(const Failure& why, const Error& error = {Code::job_not_understood, 0, 0});
    void prepared();
    Outcome<void> keep_on();
    void learned();
    void reported();
    void log_personal() const;

    NodeSettings settings_;
    NodeStore store_;
    NodeLink link_;
    NodeLog log_;
    Memory memory_;
    MaskMember masks_;
    NodeSession session_;
    std::shared_ptr<NodeTask> task_;
    Arrival arrival_;
    Work work_;
    JobMemory job_memory_;
    std::string refusal_;             ///< what the coordinator is told
    std::vector<std::string> names_;  ///< of the metrics that are reported
    /// What stays with the node, as of the session's state: it changes with a step that the session takes, and is
    /// stored with the state that has the step. Before there is a task, what was stored.
    KeptPart kept_;
    std::vector<std::byte> storing_;
    KeptPart storing_kept_;
    Result<void> stored_;
    std::int64_t heard_ms_ = 0, heartbeat_ms_ = 1000, vitals_ms_ = 0;
    bool vitals_wanted_ = true;  ///< on this connection
    bool storing_failed_ = false;
    Code away_because_{};
    Background work_thread_, store_thread_;  ///< last, for they use the rest
};

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"
#include "training/host/failure.hpp"
#include "training/simulation/learner.hpp"
#include "transport/messages.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// What a node learns in a job: its own part of an experiment, with what it learns by.
class NodeTask {
public:
    virtual ~NodeTask() = default;
    virtual Learner& learner() = 0;
    /// What the learner keeps from one gradient to the next and from one model that it is given to the next, in no
    /// message (invariant 10): personal layers, a model of the node's own. As many numbers at all times; empty where
    /// there is nothing of the kind. The node keeps it with the state of its session, and hands it back before every
    /// gradient and measurement: so a gradient that nobody waits for any more changes nothing.
    virtual std::vector<float> kept() const { return {}; }
    virtual void put_kept(ConstVector<float> /*kept*/) {}
    /// How well the node does with the shared parameters w once it has made them its own. The metrics are this
    /// task's memory until the next call.
    virtual std::span<const Metric> measure(ConstVector<float> w) = 0;
    /// The parameters that the last measure made the node's own, as a .dunlin file; "" where a task has none. For
    /// this node's disk: what is personal is in no message (invariant 10).
    virtual std::string personal_file() const { return {}; }
    /// What was left out, filled in or assumed in data of this node's own; for its log.
    virtual DataNotes notes() const { return {}; }
};

/// Errors: an experiment that this program does not know, or whose settings or data are wrong here; a job for
/// another shape; one that wants data of a node's own.
Outcome<std::unique_ptr<NodeTask>> make_node_task(const JobTerms& terms);

/// The same on a node that has data, a file or folder; empty: none. Where they do not fit the job, the error's `told`
/// is for the coordinator.
Outcome<std::unique_ptr<NodeTask>> make_node_task_with(const std::string& own_data, const JobTerms& terms);

}  // namespace dunlin

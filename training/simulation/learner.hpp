// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/random.hpp"
#include "core/vector.hpp"
#include "training/host/host_memory.hpp"

#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace dunlin {

/// What a node of a fleet learns with, whatever its task and its adaptation are: the first two axes joined, so that
/// every aggregation meets every pair of them.
class Learner {
public:
    virtual ~Learner() = default;
    virtual std::size_t dimension() const = 0;

    /// Is told w, the model that its node got from the others, before the gradients of the steps from it are asked
    /// for: where the node learns what stays with it. Advances `random`. Returns the task gradients that it cost.
    virtual int given(ConstVector<float> /*w*/, Stream& /*random*/) { return 0; }

    /// Writes a stochastic gradient of the node's personalised objective F_i at w. Advances `random`. Returns the
    /// task gradients that it cost, a Hessian-vector product counted as two.
    virtual int gradient(ConstVector<float> w, Stream& random, Vector<float> out) = 0;

    /// Answers what a machine asks for at w. Where that is products, `out` holds the direction first. Learners that no
    /// machine with a series is given have gradients alone.
    virtual int answer([[maybe_unused]] const Question& question, ConstVector<float> w, Stream& random,
                       Vector<float> out) {
        assert(question.kind == Question::Kind::gradient);
        return gradient(w, random, out);
    }
};

/// The learner that computes node `node`'s gradient, on thread `worker`, which uses it until it asks again.
using LearnerOf = std::function<Learner&(std::uint32_t node, int worker)>;

/// A task and an adaptation as a Learner. The task is the caller's, or shared by learners that take turns.
template <class Task, class Adaptation>
class TaskLearner final : public Learner {
public:
    TaskLearner(Task& task, const Adaptation& adaptation)
        : task_(task), adaptation_(adaptation), scratch_(adaptation.scratch(task.dimension())) {}

    std::size_t dimension() const override { return task_.dimension(); }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        return adaptation_.template gradient<float>(task_, w, random, out, Vector<float>(scratch_));
    }

private:
    Task& task_;
    Adaptation adaptation_;
    std::vector<float> scratch_;
};

}  // namespace dunlin

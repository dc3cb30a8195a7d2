// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/workers.hpp"
#include "training/problems/federated_problem.hpp"
#include "training/problems/round_plan.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace dunlin {

/// Makes `theta` the model that a node is judged by, on thread `worker`; `random` is for that alone.
using MakeModel = std::function<void(std::uint32_t node, Stream& random, Vector<float> theta, int worker)>;

/// Judges all nodes' models, in parallel and on all ranks. Problem and workers outlive it. For one thread.
class FleetJudge {
public:
    FleetJudge(FederatedProblem& problem, Workers& workers, std::uint64_t seed, const Judging& how)
        : problem_(problem), workers_(workers), seed_(seed), how_(how) {}

    /// `epoch` says which draws; the same ones give the same models.
    std::vector<FleetScore> scores(std::uint64_t epoch, const MakeModel& make);
    /// What a node's model is made by in `scores` of an epoch.
    Stream stream(std::uint32_t node, std::uint64_t epoch) const;
    /// Of each node the number that stands for it.
    std::vector<double> by_node(const std::vector<FleetScore>& scores) const;
    /// The problem's metrics of all.
    std::vector<double> together(const std::vector<FleetScore>& scores) const;

    /// Environment steps that were sampled so far, but for judging, on all ranks.
    std::int64_t environment_steps() const;
    /// Goes on from so many.
    void set_environment_steps(std::int64_t steps);

private:
    FederatedProblem& problem_;
    Workers& workers_;
    std::uint64_t seed_;
    Judging how_;
    std::int64_t judging_steps_ = 0;  ///< of this rank
};

}  // namespace dunlin

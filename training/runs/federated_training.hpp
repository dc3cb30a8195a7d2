// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/run_pauses.hpp"
#include "training/problems/federated_result.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/problems/round_plan.hpp"
#include "training/problems/side_course.hpp"
#include "training/problems/solo_course.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace dunlin {

/// Called with a result that has a new row, those of an earlier part of the run first; an error ends the run.
using FederatedKeep = std::function<Outcome<void>(const FederatedResult&)>;

/// How a fleet learns and is judged.
struct FederatedTerms {
    FederatedSettings settings;
    std::uint64_t seed = 1;
    std::optional<RoundPlan> rounds = {};                      ///< none: it lives by the clock of `settings`
    Judging judging = {};                                      ///< by rounds; by the clock `settings` say it
    std::function<std::unique_ptr<SideCourse>()> beside = {};  ///< may be empty, and may give null
    /// By rounds, in place of the fleet that the aggregation has; may be empty. It outlives neither of its arguments.
    std::function<Outcome<std::unique_ptr<GossipFleet>>(PersonalLayers&, Workers&)> fleet = {};
};

/// A run of any problem by any method, ready to start.
class FederatedRun {
public:
    /// `problem` and `workers`, who have as many threads, outlive it. Errors: those of settings and fleets.
    static Outcome<std::unique_ptr<FederatedRun>> make(FederatedProblem& problem, FederatedTerms terms,
                                                       Workers& workers);
    /// Of a model that is learned in one process. `course` outlives it.
    static std::unique_ptr<FederatedRun> alone(SoloCourse& course);
    virtual ~FederatedRun() = default;

    /// What was assumed, left out or filled in of data, graph and trace.
    virtual const DataNotes& notes() const = 0;

    /// Trains, once, and judges the models on the way: by the clock `evaluations` times and at both ends (`local` and
    /// `global` take their steps at median speed instead); by rounds every so many. When `pauses` stop it it ends
    /// early, with the rows so far; it goes on from an earlier part, also of one that had ended, where settings give it
    /// more time. By rounds a node that diverges is a result with a `failure`. The numbers do not depend on the number
    /// of workers and ranks.
    virtual Outcome<void> run(const RunPauses& pauses, const FederatedKeep& keep, FederatedResult& result) = 0;
};

/// Makes a run by the clock, and runs it.
inline Outcome<void> train_federated(FederatedProblem& problem, const FederatedSettings& settings,
                                     std::uint64_t seed, Workers& workers, const RunPauses& pauses,
                                     const FederatedKeep& keep, FederatedResult& result) {
    return FederatedRun::make(problem, {.settings = settings, .seed = seed}, workers)
        .and_then([&](std::unique_ptr<FederatedRun> run) { return run->run(pauses, keep, result); });
}

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/archive.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/runs/federated_training.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// How a federated run lives on between two evaluations, and what there is to judge.
class FederatedCourse {
public:
    virtual ~FederatedCourse() = default;
    /// Lives until `share` of the whole is over. `stop` is asked where save would be right.
    virtual Outcome<void> advance(double share, const std::function<bool()>& stop) = 0;
    /// How much of the whole is over.
    virtual double reached() const = 0;
    virtual void describe(FederatedRow& row) = 0;
    virtual void save(Saver& saver) const = 0;
    virtual Result<void> restore(Loader& loader) = 0;
    /// What is known of the fleet so far.
    virtual void report(FederatedResult&) const {}
    /// Tells the problem who takes part, where some are gone.
    virtual void attend(FederatedProblem&) const {}
    /// Writes the model that a node of this rank's block was given, with its own personal layers.
    virtual void shared(std::uint32_t node, Vector<float> w) const = 0;
    /// Writes a node's personal model.
    virtual void personal(std::uint32_t node, Stream& random, Vector<float> theta, int worker) = 0;
};

/// The course that the terms' method takes. `first` is a whole model; problem, layers and workers belong to the
/// caller. `notes` are told what was assumed of graph and trace. Errors: those of the fleets.
Outcome<std::unique_ptr<FederatedCourse>> make_course(FederatedProblem& problem, const FederatedTerms& terms,
                                                      const std::vector<float>& first, PersonalLayers& layers,
                                                      Workers& workers, DataNotes& notes);
/// That of rounds, of which the terms have a plan.
Outcome<std::unique_ptr<FederatedCourse>> make_round_course(FederatedProblem& problem, const FederatedTerms& terms,
                                                            const std::vector<float>& first, PersonalLayers& layers,
                                                            Workers& workers, DataNotes& notes);

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/navigation_fleet.hpp"
#include "training/problems/regression_fleet.hpp"
#include "training/runs/federated_training.hpp"

#include <catch2/catch.hpp>

namespace dunlin::test {

/// A run of a problem whose fleet lives by rounds.
struct RoundRun {
    std::unique_ptr<FederatedProblem> problem;
    std::unique_ptr<Workers> workers;
    std::unique_ptr<FederatedRun> run;
};

template <class S>
Outcome<RoundRun> make_rounds(const ProblemKind<S>& kind, const S& settings, int threads) {
    RoundRun made{.problem = {}, .workers = std::make_unique<Workers>(threads), .run = {}};
    auto problem = kind.make(settings, threads);
    if (!problem) return tl::unexpected(problem.error());
    made.problem = *std::move(problem);
    auto rounds = kind.rounds(settings, *made.problem);
    if (!rounds) return tl::unexpected(rounds.error());
    auto run = FederatedRun::make(*made.problem,
                                  {.settings = kind.learning(settings),
                                   .seed = settings.seed,
                                   .rounds = *rounds,
                                   .judging = kind.judging(settings)},
                                  *made.workers);
    if (!run) return tl::unexpected(run.error());
    made.run = *std::move(run);
    return made;
}

template <class S>
FederatedResult train_rounds(const ProblemKind<S>& kind, const S& settings, int threads = 1,
                             DataNotes* notes = nullptr) {
    auto made = make_rounds(kind, settings, threads);
    if (!made) FAIL(made.error().text);
    if (notes != nullptr) *notes = made->run->notes();
    FederatedResult result;
    const auto keep = [](const FederatedResult&) -> Outcome<void> { return {}; };
    const auto done = made->run->run({}, keep, result);
    if (!done) FAIL(done.error().text);
    return result;
}

template <class S>
std::string refusal(const ProblemKind<S>& kind, const S& settings) {
    const auto made = make_rounds(kind, settings, 1);
    return made ? std::string() : made.error().text;
}

/// The worst of the nodes' own figures, of those that are there.
inline double worst_of(const FederatedResult& result) {
    double worst = 0;
    for (const double value : result.personal_by_node) {
        if (value > worst) worst = value;
    }
    return worst;
}

}  // namespace dunlin::test

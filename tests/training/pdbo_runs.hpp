// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/pdbo_fleet.hpp"
#include "training/runs/federated_training.hpp"

#include <catch2/catch.hpp>

namespace dunlin::testing {

/// A quarter of a second at most.
inline PdboSettings small_world() {
    PdboSettings s;
    s.agents = 8;
    s.rows = 400;
    s.digits.side = 6;
    s.hidden = {6};
    s.mixture.predictors = 2;
    s.mixture.batch = 16;
    s.inner_steps = 24;
    s.outer_steps = 2;
    s.neumann_steps = 5;
    return s;
}

/// A run of a kind, and what it was of.
struct Ran {
    std::unique_ptr<FederatedProblem> problem;
    FederatedResult result;
    int rows_kept = 0;

    const PdboAgents& agents() const { return static_cast<const PdboAgents&>(*problem); }
    const BilevelCounters& counters() const { return agents().counters(); }
    double best(PdboAgents::Metric metric) const { return result.history[result.selected].personal[metric]; }
    /// Of all agents, one after the other.
    std::vector<float> logits() const {
        std::vector<float> all;
        const std::size_t d = problem->dimension(), shared = problem->split().shared_size();
        for (std::size_t at = 0; at < result.personal_models.size(); at += d)
            all.insert(all.end(), result.personal_models.begin() + static_cast<std::ptrdiff_t>(at + shared),
                       result.personal_models.begin() + static_cast<std::ptrdiff_t>(at + d));
        return all;
    }
};

inline Outcome<Ran> try_run(const PdboSettings& s, const RunPauses& pauses = {}, int threads = 1) {
    const RegisteredProblem kind = registered(pdbo_kind());
    Ran ran;
    auto made = kind.make(s, threads);
    if (!made) return tl::unexpected(made.error());
    ran.problem = *std::move(made);
    auto rounds = kind.rounds(s, *ran.problem);
    if (!rounds) return tl::unexpected(rounds.error());
    Workers workers(threads);
    FederatedTerms terms{
        .settings = kind.learning(s),
        .seed = s.seed,
        .rounds = *std::move(rounds),
        .judging = kind.judging(s),
        .fleet = [&](PersonalLayers& layers, Workers& own) { return kind.fleet(s, *ran.problem, layers, own); }};
    auto run = FederatedRun::make(*ran.problem, std::move(terms), workers);
    if (!run) return tl::unexpected(run.error());
    const auto keep = [&](const FederatedResult&) -> Outcome<void> {
        ++ran.rows_kept;
        return {};
    };
    if (auto done = (*run)->run(pauses, keep, ran.result); !done) return tl::unexpected(done.error());
    return ran;
}

inline Ran run(const PdboSettings& settings, const RunPauses& pauses = {}, int threads = 1) {
    auto ran = try_run(settings, pauses, threads);
    if (!ran) FAIL(ran.error().text);
    CHECK(ran->result.failure == "");
    return *std::move(ran);
}

inline std::string refused(const PdboSettings& settings) {
    const auto ran = try_run(settings);
    REQUIRE_FALSE(ran);
    return ran.error().text;
}

/// All that a run ends with.
inline void check_same(const Ran& one, const Ran& other) {
    CHECK(one.result.trace == other.result.trace);
    CHECK(one.result.personal_models == other.result.personal_models);
    CHECK(one.result.shared_model == other.result.shared_model);
    CHECK(one.result.personal_by_node == other.result.personal_by_node);
    CHECK(one.result.selected == other.result.selected);
    CHECK(one.result.complete == other.result.complete);
    REQUIRE(one.result.history.size() == other.result.history.size());
    for (std::size_t row = 0; row < one.result.history.size(); ++row)
        CHECK(one.result.history[row].personal == other.result.history[row].personal);
    CHECK(one.counters().push_bytes == other.counters().push_bytes);
    CHECK(one.counters().hyper_bytes == other.counters().hyper_bytes);
}

}  // namespace dunlin::testing

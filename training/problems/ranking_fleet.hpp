// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_ranking.hpp"
#include "training/problems/network_settings.hpp"
#include "training/problems/problem_kinds.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// Personalised search ranking on a fleet: every user is a node.
struct RankingSettings : ProblemSettings, NetworkSettings {
    RankingSettings() { hidden = {32, 16}; }

    std::string path;         ///< a folder with items.csv and queries.csv; empty: generated data
    int latest_queries = 0;   ///< train on each user's latest ones only; 0: on all
    int personal_latest = 0;  ///< personal models train on the latest of these only; 0: on all
    bool standardise = true;  ///< item features to zero mean and unit variance
    bool validate = false;    ///< train without each user's last fifth of training queries, and judge on that
    SyntheticRankingSettings synthetic;

    RankingLoss loss = RankingLoss::binary_cross_entropy;
    int samples = 8;  ///< rankings drawn per query, for RankingLoss::reward
    int trees = 0;    ///< of random forests beside it, one of all users' queries and one a user; 0: none
};

Settings ranking_settings(RankingSettings& settings);

/// Reads or draws the data. Metrics: mrr, accuracy_at_1, normalised_mrr. Errors: of the files, of the settings.
Outcome<std::unique_ptr<FederatedProblem>> make_ranking_problem(const RankingSettings& settings, int threads);

ProblemKind<RankingSettings> ranking_kind();

}  // namespace dunlin

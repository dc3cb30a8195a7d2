// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/ranks.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dunlin::app {

/// One run of a comparison, and where its result goes.
struct PlannedTrial {
    TrainRequest request;
    std::string label;                             ///< "memrl seed 3", for who watches
    std::filesystem::path file;                    ///< that keeps it
    std::string settings;                          ///< the resolved ones that its file names
    std::optional<TrialResult>* result = nullptr;  ///< the caller's; empty: it has not ended
};

/// Runs trials, several at a time, here and on the other ranks, and keeps each in its file as soon as it has ended.
/// True: all have. False: interrupted. Error: a result that cannot be kept.
Outcome<bool> run_trials(const std::vector<PlannedTrial>& trials, const Kind& kind, Ranks& ranks, int threads,
                         bool quiet);

/// Takes over what an earlier program kept; what cannot be read stays empty.
void load_trial(const PlannedTrial& trial);

/// What another rank does with a trial that `run_trials` asks it for.
std::string answer_to(const std::string& question);

}  // namespace dunlin::app

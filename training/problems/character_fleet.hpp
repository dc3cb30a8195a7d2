// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/character_data.hpp"
#include "training/problems/problem_kinds.hpp"

#include <string>
#include <vector>

namespace dunlin {

/// The next character of what a speaker says, on a fleet in which each node is a speaker.
struct CharacterFleetSettings : ProblemSettings {
    CharacterSettings data;

    std::vector<int> hidden{32};
    Activation activation = Activation::relu;
    std::vector<std::string> personal_layers;  ///< see split_of
};

/// The problem "characters", for registered_problems.
ProblemKind<CharacterFleetSettings> character_kind();

}  // namespace dunlin

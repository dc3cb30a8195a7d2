// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/character_data.hpp"
#include "training/problems/network_settings.hpp"
#include "training/problems/problem_kinds.hpp"

namespace dunlin {

/// The next character of what a speaker says, on a fleet in which each node is a speaker.
struct CharacterFleetSettings : ProblemSettings, NetworkSettings {
    CharacterSettings data;
};

/// The problem "characters", for registered_problems.
ProblemKind<CharacterFleetSettings> character_kind();

}  // namespace dunlin

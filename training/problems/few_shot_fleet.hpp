// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/episodes.hpp"
#include "training/problems/network_settings.hpp"
#include "training/problems/problem_kinds.hpp"

#include <string>

namespace dunlin {

/// How well a fleet learns to learn: nodes with characters of their own, judged on characters that nobody has trained
/// on, a few drawings of each being given. The network's last layer, an output for each of an episode's classes, need
/// not be among its `layers`.
struct FewShotSettings : ProblemSettings, NetworkSettings {
    std::string path;  ///< of load_pictures; empty: made-up characters
    int nodes = 8;
    bool own_characters = false;  ///< each node has a part of the characters; otherwise all have all
    int characters = 200;         ///< made-up ones
    int side = 28;                ///< of a picture, to which others are resized
    EpisodeSettings episode;
    int test_episodes = 600;
};

/// The problem "few-shot", for registered_problems.
ProblemKind<FewShotSettings> few_shot_kind();

}  // namespace dunlin

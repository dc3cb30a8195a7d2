// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dunlin::device {

/// What the outputs of an exported model are, and what a sample says of them.
enum class Target : std::uint8_t {
    classes,  ///< logits; a sample has the number of its class
    value,    ///< one number; a sample has it
    score     ///< one number that ranks: of a short list a sample has the number of the one that was chosen
};

/// How an exported model learns from samples in a fleet: as its experiment does.
struct SampleLearning {
    int batch = 16;          ///< samples of a gradient, drawn with replacement; all, where there are no more
    int steps = 0;           ///< to make a shared model one's own
    float rate = 0.1f;       ///< of these
    float pull = 0.0f;       ///< lambda, towards the shared model
    float accuracy = 0.0f;   ///< they end at this gradient norm; 0: none does
    float step_clip = 0.0f;  ///< the longest of them, as a norm; 0: no limit
};

}  // namespace dunlin::device

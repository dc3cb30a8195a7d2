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

}  // namespace dunlin::device

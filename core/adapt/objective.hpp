// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dunlin {

/// Which of the adaptations makes a task into what a node optimises: none, MAML or the Moreau envelope.
enum class Objective : std::uint8_t { plain, maml, moreau };

}  // namespace dunlin

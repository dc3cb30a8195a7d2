// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dunlin {

/// Which of the adaptations makes a task into what a node optimises: none, MAML, the Moreau envelope, personal layers
/// that follow the shared ones, or a personal model that follows the shared one (Ditto).
enum class Objective : std::uint8_t { plain, maml, moreau, bilevel, ditto };

}  // namespace dunlin

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dunlin {

/// Which of the adaptations makes a task into what a node optimises: none, MAML, the Moreau envelope, or personal
/// layers that follow the shared ones.
enum class Objective : std::uint8_t { plain, maml, moreau, bilevel };

}  // namespace dunlin
